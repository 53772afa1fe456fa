//! One object of a Java stream, and everything that is made of objects: no panic, and a graph that
//! is not out of proportion to its bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use metrics_adapter::java::{HEADER, Limits, View, read_object};
use metrics_adapter::jmx::session::value_of;
use metrics_adapter::rmi::Remote;

fuzz_target!(|input: &[u8]| {
    let stream = [&HEADER[..], input].concat();
    let limits = Limits { depth: 200, handles: 10_000, elements: 20_000, ..Limits::default() };
    let Ok((graph, root)) = read_object(&stream, &limits) else { return };
    let _ = value_of(&graph, root);
    let _ = Remote::from_stub(&graph, root);
    let _ = graph.throwable(root);
    let objects = graph.objects().inspect(|object| {
        assert!(object.items().count() <= stream.len());
        let _ = object.extends("java.lang.Number");
    });
    assert!(objects.count() <= stream.len());
    if let View::Array(array) = graph.view(root) {
        assert!(array.bytes().len() <= stream.len());
    }
});
