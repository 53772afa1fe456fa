//! A JMX server on loopback that says what a test wants: for what a real JVM cannot be made to do.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};

use crate::java::sample::Sample;
use crate::java::{Graph, Input, Limits, Reader, View};
use crate::jmx::session::{Target, methods};
use crate::rmi::LOOKUP;

/// What came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) hash: i64,
    /// The bean, where there is one.
    pub(crate) name: String,
    /// User and password, or attributes.
    pub(crate) texts: Vec<String>,
    /// Connections before this one.
    pub(crate) connection: usize,
}

/// What goes out.
pub(crate) enum Action {
    Value(Sample),
    Throw(Sample),
    /// Nothing stands behind the head.
    Void,
    Raw(Vec<u8>),
    /// So many bytes of an answer, then the end.
    Cut(Sample, usize),
    Close,
    /// Nothing, for ever.
    Hang,
}

type Behaviour = dyn Fn(&Call) -> Action + Send + Sync;

/// The server.
#[derive(Clone)]
pub(crate) struct Fake {
    pub(crate) port: u16,
    calls: Arc<Mutex<Vec<Call>>>,
    connections_max: usize,
    /// Which process it is: part of the number of its objects.
    process: Arc<AtomicU8>,
}

impl Fake {
    /// A server that logs everybody in and has its behaviour for all other calls.
    pub(crate) fn start(behaviour: impl Fn(&Call) -> Action + Send + Sync + 'static) -> Self {
        Self::start_for(usize::MAX, behaviour)
    }

    /// A server that lets all connections but the first ones wait.
    pub(crate) fn start_for(
        connections_max: usize,
        behaviour: impl Fn(&Call) -> Action + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let process = Arc::new(AtomicU8::new(5));
        let fake = Self { port, calls, connections_max, process };
        let (server, behaviour) = (fake.clone(), Arc::new(behaviour));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().enumerate() {
                let (server, behaviour) = (server.clone(), Arc::clone(&behaviour));
                std::thread::spawn(move || {
                    if connection >= server.connections_max {
                        // It is taken, and nothing is ever said.
                        let _ = std::io::copy(&mut stream.unwrap(), &mut std::io::sink());
                        return;
                    }
                    // It ends with its client.
                    let _ = server.serve(stream.unwrap(), connection, &*behaviour);
                });
            }
        });
        fake
    }

    /// From now on it is another process.
    pub(crate) fn restart(&self) {
        self.process.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn target(&self) -> Target {
        Target::new("127.0.0.1", self.port)
    }

    /// Calls of a method so far.
    pub(crate) fn calls(&self, method: crate::rmi::Method) -> Vec<Call> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call.hash == method.hash).cloned().collect()
    }

    fn stub(&self) -> Sample {
        stub(self.port, self.process.load(Ordering::Relaxed))
    }

    fn serve(
        &self,
        stream: TcpStream,
        connection: usize,
        behaviour: &Behaviour,
    ) -> Result<(), Box<dyn std::error::Error>> {
        stream.set_nodelay(true)?;
        let mut out = stream.try_clone()?;
        let mut input = Input::new(stream);
        let _: [u8; 7] = input.array()?;
        out.write_all(b"\x4e\x00\x09127.0.0.1\x00\x00\xc0\x00")?;
        let host = input.u16()?;
        input.short(host)?;
        input.i32()?;
        let mut graph = Graph::default();
        loop {
            match input.u8()? {
                0x54 => {
                    let _: [u8; 14] = input.array()?;
                    continue;
                }
                0x50 => {}
                other => panic!("message {other:#x}"),
            }
            let call = read_call(&mut input, &mut graph, connection)?;
            self.calls.lock().unwrap().push(call.clone());
            let action = match call.hash {
                hash if hash == LOOKUP.hash => Action::Value(self.stub()),
                hash if hash == methods::CLOSE.hash => Action::Void,
                _ => behaviour(&call),
            };
            let action = match action {
                // What no behaviour knows is a login.
                Action::Void if call.hash == methods::NEW_CLIENT.hash => Action::Value(self.stub()),
                action => action,
            };
            match action {
                Action::Value(value) => out.write_all(&answer(1, &value))?,
                Action::Void => out.write_all(&answer(1, &Sample::new()))?,
                Action::Throw(thrown) => out.write_all(&answer(2, &thrown))?,
                Action::Raw(bytes) => out.write_all(&bytes)?,
                Action::Cut(value, bytes) => {
                    out.write_all(&answer(1, &value)[..bytes])?;
                    return Ok(());
                }
                Action::Close => return Ok(()),
                Action::Hang => {}
            }
        }
    }
}

/// The bytes of an answer.
pub(crate) fn answer(kind: u8, body: &Sample) -> Vec<u8> {
    let mut head = vec![kind];
    head.extend([7; 14]);
    [&[0x51], Sample::new().block(&head).raw(&body.bytes[4..]).bytes.as_slice()].concat()
}

/// An exception.
pub(crate) fn exception(class: &str, message: &str) -> Sample {
    Sample::new()
        .object()
        .class(class, 2, &[])
        .class("java.lang.Throwable", 2, &["LdetailMessage:Ljava/lang/String;"])
        .null()
        .string(message)
}

/// A set of names.
pub(crate) fn names(names: &[String]) -> Sample {
    let set = Sample::new().object().class("java.util.HashSet", 3, &[]).null();
    let mut head = 16i32.to_be_bytes().to_vec();
    head.extend(0.75f32.to_be_bytes());
    head.extend((names.len() as i32).to_be_bytes());
    let mut set = set.block(&head);
    for name in names {
        crate::java::push_object_name(name, &mut set.bytes);
    }
    set.end()
}

/// An `MBeanInfo` with attributes of type `int`.
pub(crate) fn info(attributes: &[&str]) -> Sample {
    let mut sample = Sample::new()
        .object()
        .class(
            "javax.management.MBeanInfo",
            3,
            &[
                "Lattributes:[Ljavax/management/MBeanAttributeInfo;",
                "LclassName:Ljava/lang/String;",
            ],
        )
        .null()
        .array()
        .class("[Ljavax.management.MBeanAttributeInfo;", 2, &[])
        .null()
        .int(attributes.len() as i32);
    for name in attributes {
        sample = sample
            .object()
            .class(
                "javax.management.MBeanAttributeInfo",
                2,
                &["Zis", "ZisRead", "ZisWrite", "LattributeType:Ljava/lang/String;"],
            )
            .class(
                "javax.management.MBeanFeatureInfo",
                3,
                &["Ldescription:Ljava/lang/String;", "Lname:Ljava/lang/String;"],
            )
            .null()
            .string("what it is")
            .string(name)
            .block(&[1])
            .end()
            .raw(&[0, 1, 0])
            .string("int");
    }
    sample.string("Bean").end()
}

/// An `AttributeList` with values built by a function.
pub(crate) fn list<'a>(
    attributes: impl IntoIterator<Item = &'a str>,
    value: impl Fn(&str, Sample) -> Sample,
) -> Sample {
    let mut sample = Sample::new()
        .object()
        .class("javax.management.AttributeList", 2, &[])
        .class("java.util.ArrayList", 3, &["Isize"])
        .null()
        .int(1)
        .block(&[0, 0, 0, 1]);
    for name in attributes {
        sample = sample
            .object()
            .class(
                "javax.management.Attribute",
                2,
                &["Lname:Ljava/lang/String;", "Lvalue:Ljava/lang/Object;"],
            )
            .null()
            .string(name);
        sample = value(name, sample);
    }
    sample.end()
}

fn stub(port: u16, process: u8) -> Sample {
    // A host that leads nowhere: clients are to ignore it.
    let mut reference = b"\x00\x0aUnicastRef\x00\x0dpod-7.invalid".to_vec();
    reference.extend(u32::from(port).to_be_bytes());
    reference.extend([process; 23]);
    Sample::new()
        .object()
        .class("javax.management.remote.rmi.RMIServerImpl_Stub", 2, &[])
        .class("java.rmi.server.RemoteObject", 3, &[])
        .null()
        .block(&reference)
        .end()
}

fn read_call(
    input: &mut Input<TcpStream>,
    graph: &mut Graph,
    connection: usize,
) -> Result<Call, Box<dyn std::error::Error>> {
    let limits = Limits::default();
    let mut reader = Reader::new(input, graph, &limits);
    reader.header()?;
    let head: [u8; 34] = reader.block()?;
    let hash = i64::from_be_bytes(head[26..].try_into()?);
    let mut call = Call { hash, connection, ..Call::default() };
    let known = |method: crate::rmi::Method| method.hash == hash;
    let arguments = if known(methods::CLOSE) {
        0
    } else if known(methods::GET_MBEAN_INFO) {
        2
    } else if known(methods::QUERY_NAMES)
        || known(methods::GET_ATTRIBUTES)
        || known(methods::GET_ATTRIBUTE)
    {
        3
    } else {
        1
    };
    for _ in 0..arguments {
        let root = reader.object()?;
        let graph = reader.graph();
        match graph.view(root) {
            View::Object(name) => {
                let text = name.items().nodes().next().and_then(|id| graph.text(id));
                call.name = text.unwrap_or_default().to_owned();
            }
            View::Text(text) => call.texts.push(text.to_owned()),
            View::Array(array) => call
                .texts
                .extend(array.items().nodes().filter_map(|id| graph.text(id)).map(str::to_owned)),
            _ => {}
        }
    }
    Ok(call)
}
