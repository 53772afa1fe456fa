use proptest::prelude::*;

use super::sample::Sample;
use super::{
    Graph, JavaError, Limits, NodeId, Problem, Slot, View, push_header, push_object_name,
    push_string, push_strings, read_object,
};

fn read(sample: &Sample) -> (Graph, NodeId) {
    read_object(&sample.bytes, &Limits::default()).unwrap()
}

fn refused(sample: &Sample) -> JavaError {
    read_object(&sample.bytes, &Limits::default()).unwrap_err()
}

#[test]
fn an_integer_has_its_field_and_its_classes() {
    let (graph, root) = read(&Sample::new().integer(-7));
    let object = graph.object(root).unwrap();
    assert_eq!(object.class_name(), "java.lang.Integer");
    assert!(object.extends("java.lang.Number"));
    assert!(!object.extends("java.lang.Long"));
    assert_eq!(object.field("value"), Some(Slot::Int(-7)));
    assert_eq!(object.field("other"), None);
}

#[test]
fn every_primitive_field_is_read() {
    let sample = Sample::new()
        .object()
        .class("All", 2, &["Bb", "Cc", "Dd", "Ff", "Ii", "Jj", "Ss", "Zz"])
        .null()
        .raw(&[0xff, 0x00, 0x41])
        .raw(&1.5f64.to_be_bytes())
        .raw(&0.25f32.to_be_bytes())
        .int(1 << 20)
        .long(-1)
        .raw(&[0xff, 0xfe, 1]);
    let (graph, root) = read(&sample);
    let object = graph.object(root).unwrap();
    let slots = ["b", "c", "d", "f", "i", "j", "s", "z"].map(|name| object.field(name).unwrap());
    assert_eq!(
        slots,
        [
            Slot::Byte(-1),
            Slot::Char(0x41),
            Slot::Double(1.5),
            Slot::Float(0.25),
            Slot::Int(1 << 20),
            Slot::Long(-1),
            Slot::Short(-2),
            Slot::Boolean(true),
        ]
    );
}

#[test]
fn an_unknown_class_is_read_with_what_it_wrote_itself() {
    // Two levels, both with data of their own; an object field between; then a field that refers
    // back to the object itself.
    let sample = Sample::new()
        .object()
        .class("Below", 3, &["Lself:LBelow;", "In"])
        .class("Above", 3, &["Lname:Ljava/lang/String;"])
        .null()
        .string("first")
        .block(&[1, 2])
        .integer(5)
        .end()
        .reference(4)
        .int(9)
        .block(&[3])
        .block(&[])
        .end();
    let (graph, root) = read(&sample);
    let object = graph.object(root).unwrap();
    assert_eq!(graph.text(object.node("name")), Some("first"));
    assert_eq!(object.node("self"), root);
    assert_eq!(object.field("n"), Some(Slot::Int(9)));
    assert_eq!(object.items().count(), 4);
    let inner = object.items().nodes().next().unwrap();
    assert_eq!(graph.object(inner).unwrap().field("value"), Some(Slot::Int(5)));
}

#[test]
fn an_externalizable_class_ends_at_its_mark() {
    let sample = Sample::new()
        .object()
        .class("Ext", 0x0c, &[])
        .class("Parent", 2, &["Iunwritten"])
        .null()
        .block(b"abc")
        .string("x")
        .end();
    let (graph, root) = read(&sample);
    assert_eq!(graph.object(root).unwrap().items().count(), 2);
    let old = Sample::new().object().class("Ext", 4, &[]).null().raw(b"abc");
    assert!(matches!(refused(&old).problem, Problem::Structure(_)));
}

#[test]
fn arrays_enums_classes_proxies() {
    let bytes = Sample::new().array().class("[B", 2, &[]).null().int(3).raw(&[1, 2, 3]);
    let (graph, root) = read(&bytes);
    let View::Array(array) = graph.view(root) else { panic!("{:?}", graph.view(root)) };
    assert_eq!((array.class_name(), array.bytes()), ("[B", [1, 2, 3].as_slice()));

    let sample = Sample::new()
        .array()
        .class("[Ljava.lang.Object;", 2, &[])
        .null()
        .int(5)
        .raw(&[0x7e])
        .class("Color", 0x12, &[])
        .class("java.lang.Enum", 0x12, &[])
        .null()
        .string("RED")
        .raw(&[0x76])
        .reference(2)
        .array()
        .class("[J", 2, &[])
        .null()
        .int(2)
        .long(1)
        .long(2)
        .object()
        .raw(&[0x7d])
        .int(1)
        .utf("java.rmi.Remote")
        .end()
        .class("java.lang.reflect.Proxy", 2, &["Lh:Ljava/lang/reflect/InvocationHandler;"])
        .null()
        .null()
        .null();
    let (graph, root) = read(&sample);
    let View::Array(array) = graph.view(root) else { panic!("{:?}", graph.view(root)) };
    let shown: Vec<_> = array
        .items()
        .nodes()
        .map(|id| match graph.view(id) {
            View::Null => "null".to_owned(),
            View::Enum { class, name } => format!("{class}.{name}"),
            View::Class(name) => format!("class {name}"),
            View::Array(array) => array.class_name().to_owned(),
            View::Object(object) => object.class_name().to_owned(),
            View::Text(text) => text.to_owned(),
        })
        .collect();
    assert_eq!(shown, ["Color.RED", "class Color", "[J", "$Proxy", "null"]);
}

#[test]
fn texts_of_all_kinds() {
    for text in ["", "plain", "null \0 byte", "größe", "漢字", "beyond 𝄞 sixteen bits"] {
        let mut bytes = Vec::new();
        push_header(&mut bytes);
        push_string(text, &mut bytes);
        let (graph, root) = read_object(&bytes, &Limits::default()).unwrap();
        assert_eq!(graph.text(root), Some(text));
    }
    let long = "ä".repeat(100_000);
    let mut bytes = Vec::new();
    push_header(&mut bytes);
    push_string(&long, &mut bytes);
    assert_eq!(bytes[4], 0x7c);
    let (graph, root) = read_object(&bytes, &Limits::default()).unwrap();
    assert_eq!(graph.text(root), Some(long.as_str()));
    // Half a pair is legal in Java; bytes that are no text are not.
    let half = Sample::new().raw(&[0x74, 0, 4, b'a', 0xed, 0xa0, 0x80]);
    let (graph, root) = read(&half);
    assert_eq!(graph.text(root), Some("a\u{fffd}"));
    for bad in [&[0x74, 0, 1, 0xff][..], &[0x74, 0, 2, 0xc3, 0x41], &[0x74, 0, 1, 0x80]] {
        assert!(matches!(refused(&Sample::new().raw(bad)).problem, Problem::Structure(_)));
    }
}

#[test]
fn what_calls_carry_reads_back() {
    let mut bytes = Vec::new();
    push_header(&mut bytes);
    push_strings(&["user", "päss"], &mut bytes);
    let (graph, root) = read_object(&bytes, &Limits::default()).unwrap();
    let View::Array(array) = graph.view(root) else { panic!("{:?}", graph.view(root)) };
    let texts: Vec<_> = array.items().nodes().filter_map(|id| graph.text(id)).collect();
    assert_eq!((array.class_name(), texts), ("[Ljava.lang.String;", vec!["user", "päss"]));

    bytes.truncate(4);
    push_object_name("java.lang:type=Memory", &mut bytes);
    let (graph, root) = read_object(&bytes, &Limits::default()).unwrap();
    let object = graph.object(root).unwrap();
    let name = object.items().nodes().next().unwrap();
    assert_eq!(object.class_name(), "javax.management.ObjectName");
    assert_eq!(graph.text(name), Some("java.lang:type=Memory"));
}

#[test]
fn a_reset_forgets_handles() {
    let good = Sample::new().raw(&[0x79]).string("x");
    assert!(read_object(&good.bytes, &Limits::default()).is_ok());
    let inside = Sample::new()
        .array()
        .class("[Ljava.lang.Object;", 2, &[])
        .null()
        .int(1)
        .raw(&[0x79])
        .null();
    assert!(matches!(refused(&inside).problem, Problem::Unexpected { found: 0x79, .. }));
}

#[test]
fn an_abort_tells_the_exception() {
    let sample = Sample::new()
        .array()
        .class("[Ljava.lang.Object;", 2, &[])
        .null()
        .int(2)
        .string("before")
        .raw(&[0x7b])
        .object()
        .class("java.io.NotSerializableException", 2, &[])
        .class("java.lang.Throwable", 2, &["LdetailMessage:Ljava/lang/String;"])
        .null()
        .string("java.lang.Thread");
    let error = refused(&sample);
    assert_eq!(error.offset, sample.bytes.len() as u64);
    assert_eq!(
        error.problem.to_string(),
        "the sender gave up: java.io.NotSerializableException: java.lang.Thread"
    );
}

#[test]
fn classes_do_not_pile_up_by_reference() {
    // Each class stands above the next, which is complete before the one after it begins.
    let chain = |count: u32| {
        let sample = Sample::new().array().class("[LA;", 2, &[]).null().int(count as i32);
        (0..count).fold(sample, |sample, number| {
            let sample = sample.raw(&[0x76]).class("A", 2, &[]);
            // Handles are those of the array and its class, then of a class and its descriptor.
            if number == 0 { sample.null() } else { sample.reference(2 * number) }
        })
    };
    let (graph, root) = read(&chain(48));
    let View::Array(array) = graph.view(root) else { panic!("{:?}", graph.view(root)) };
    assert_eq!(array.items().count(), 48);
    assert!(matches!(refused(&chain(50)).problem, Problem::Limit("classes above a class")));
}

#[test]
fn a_large_message_leaves_no_memory_behind() {
    let fields: Vec<String> = (0..60_000).map(|field| format!("B{field}")).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let wide = Sample::new().array().class("[LA;", 2, &[]).null().int(3);
    let wide = (0..3).fold(wide, |sample, _| sample.raw(&[0x76]).class("A", 2, &fields).null());
    let nulls = Sample::new().array().class("[LA;", 2, &[]).null().int(200_000);
    let nulls = nulls.raw(&vec![0x70; 200_000]);
    for large in [wide, nulls] {
        let (mut graph, _) = read(&large);
        assert!(graph.capacity_bytes() > 1 << 20);
        graph.clear();
        assert_eq!(graph.capacity_bytes(), 0);
    }
    let (mut graph, _) = read(&Sample::new().integer(1));
    graph.clear();
    assert!(graph.capacity_bytes() > 0, "what is usual is kept");
}

#[test]
fn hostile_streams_meet_a_limit() {
    let nested = |depth: usize| {
        let mut sample = Sample::new().array().class("[Ljava.lang.Object;", 2, &[]).null().int(1);
        for _ in 1..depth {
            sample = sample.array().reference(0).int(1);
        }
        sample
    };
    assert!(read_object(&nested(1_999).null().bytes, &Limits::default()).is_ok());
    assert!(matches!(refused(&nested(5_000)).problem, Problem::Limit("objects within objects")));

    // Classes above classes, without end.
    let mut tower = Sample::new().object();
    for _ in 0..1000 {
        tower = tower.class("A", 2, &[]);
    }
    assert!(matches!(refused(&tower).problem, Problem::Limit("classes within classes")));

    // A class that would be its own parent.
    let own = Sample::new().object().class("A", 2, &[]).reference(0);
    assert!(matches!(refused(&own).problem, Problem::Reference(0x7e_0000, "a class")));

    // Lengths that nothing stands behind.
    let array = Sample::new().array().class("[B", 2, &[]).null();
    assert!(matches!(
        refused(&array.clone().int(i32::MAX)).problem,
        Problem::Limit("elements of an array")
    ));
    assert!(matches!(refused(&array.clone().int(-1)).problem, Problem::Limit(_)));
    assert!(matches!(refused(&array.int(999_999)).problem, Problem::End));
    let string = Sample::new().raw(&[0x7c]).long(i64::MAX);
    assert!(matches!(refused(&string).problem, Problem::Limit("bytes of a string")));

    // A class of many fields whose objects nest in their first field.
    let fields: Vec<String> = (0..60_000).map(|field| format!("L{field}:LA;")).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let mut wide = Sample::new().object().class("A", 2, &fields).null();
    for _ in 0..100 {
        wide = wide.object().reference(0);
    }
    assert!(matches!(refused(&wide).problem, Problem::Limit("elements")));

    // Fields of classes that no object has.
    let fields: Vec<String> = (0..10_000).map(|field| format!("B{field}")).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let classes = |count: i32| {
        let array = Sample::new().array().class("[Ljava.lang.Class;", 2, &[]).null().int(count);
        (0..count).fold(array, |sample, _| sample.raw(&[0x76]).class("A", 2, &fields).null())
    };
    assert!(read_object(&classes(99).bytes, &Limits::default()).is_ok());
    assert!(matches!(refused(&classes(101)).problem, Problem::Limit("elements")));

    let few = Limits { handles: 2, ..Limits::default() };
    let error = read_object(&Sample::new().integer(1).bytes, &few).unwrap_err();
    assert!(error.to_string().contains("more objects than allowed"), "{error}");

    // An endless source.
    let endless = Sample::new().array().class("[Ljava.lang.Object;", 2, &[]).null().int(900_000);
    let source = std::io::Read::chain(endless.bytes.as_slice(), std::io::repeat(0x79));
    let mut input = super::Input::new(source);
    let mut graph = Graph::default();
    let limits = Limits::default();
    let mut reader = super::Reader::new(&mut input, &mut graph, &limits);
    reader.header().unwrap();
    assert!(reader.object().is_err());
    let block = Sample::new().object().class("A", 3, &[]).null().raw(&[0x7a]).int(i32::MAX);
    let source = std::io::Read::chain(block.bytes.as_slice(), std::io::repeat(0));
    let mut input = super::Input::new(source);
    let limits = Limits { bytes: 1 << 20, ..limits };
    let mut reader = super::Reader::new(&mut input, &mut graph, &limits);
    reader.header().unwrap();
    assert!(matches!(reader.object().unwrap_err().problem, Problem::Limit("bytes")));
    assert!(graph.bytes.len() <= 2 << 20);
}

proptest! {
    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in proptest::collection::vec(
        prop_oneof![0x70u8..0x7f, 0u8..4, any::<u8>()], 0..400)) {
        let mut stream = super::HEADER.to_vec();
        stream.extend(bytes);
        if let Ok((graph, root)) = read_object(&stream, &Limits::default()) {
            let _ = graph.view(root);
            for object in graph.objects() {
                prop_assert!(object.items().count() <= stream.len());
            }
        }
    }

    #[test]
    fn mutated_streams_do_no_harm(at in 4usize..400, byte: u8, cut in 0usize..400) {
        let mut bytes = Sample::new()
            .array().class("[Ljava.lang.Object;", 2, &[]).null().int(3)
            .integer(1)
            .object().class("java.util.ArrayList", 3, &["Isize"]).null().int(1).block(&[0, 0, 0, 1])
            .string("x").end()
            .object().reference(2).int(5)
            .bytes;
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.truncate(bytes.len() - cut % 20);
        let _ = read_object(&bytes, &Limits::default());
    }
}
