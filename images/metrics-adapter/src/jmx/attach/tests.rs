use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};

use super::command::{START, address, ask};
use super::process::Status;
use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// A process that SIGQUIT would end.
struct Bystander(Child);

impl Bystander {
    fn start(argument: &str) -> Self {
        let mut command = Command::new("sleep");
        let child = command.args(["600.0", argument]).stdin(Stdio::null()).spawn().unwrap();
        Self(child)
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.0.id()).unwrap()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_the_kernel_says_of_a_process() {
    let text = "Name:\tjava\nUid:\t1000\t1001\t1002\t1003\nGid:\t7\t8\t9\t10\nPid:\t412\n\
                NSpid:\t412\t30\t1\nSigCgt:\t2000000181005ccf\n";
    let status = Status { uid: 1001, gid: 8, inner_pid: 1, catches_sigquit: true };
    assert_eq!(Status::parse(text), Some(status));
    let deaf = text.replace("5ccf", "5ccb").replace("NSpid:\t412\t30\t1\n", "");
    let status = Status { uid: 1001, gid: 8, inner_pid: 412, catches_sigquit: false };
    assert_eq!(Status::parse(&deaf), Some(status));
    for broken in ["", "Uid:\t1\n", &text.replace("SigCgt", "SigIgn"), &text.replace("5ccf", "x")] {
        assert_eq!(Status::parse(broken), None, "{broken:?}");
    }
}

#[test]
fn only_hotspot_is_touched() {
    let mut bystander = Bystander::start("0.5001");
    let pid = bystander.pid();
    let error = attach(&Selector::Pid(pid), soon()).unwrap_err();
    assert!(matches!(error, AttachError::NotHotSpot(it) if it == pid), "{error}");
    // A pattern does not find it either.
    let pattern = regex::Regex::new(r"^sleep 600\.0 0\.5001$").unwrap();
    let error = attach(&Selector::Pattern(pattern), soon()).unwrap_err();
    assert!(matches!(error, AttachError::None(_)), "{error}");
    assert!(bystander.0.try_wait().unwrap().is_none(), "it lives");
}

#[test]
fn processes_that_are_not_there() {
    // Above the highest number that a kernel gives.
    for pid in [0, -1, i32::MAX] {
        let error = attach(&Selector::Pid(pid), soon()).unwrap_err();
        assert!(matches!(error, AttachError::None(_)), "{pid}: {error}");
    }
}

#[test]
fn a_full_queue_costs_the_deadline_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".java_pid1");
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
    listener.bind(&SockAddr::unix(&path).unwrap()).unwrap();
    listener.listen(0).unwrap();
    let shortly = || Instant::now() + Duration::from_millis(30);
    let mut waiting = Vec::new();
    let error = loop {
        match door::connect(7, &path, shortly()) {
            Ok(stream) => waiting.push(stream),
            Err(error) => break error,
        }
        assert!(waiting.len() < 100, "the queue has no end");
    };
    assert!(!waiting.is_empty());
    assert!(matches!(error, AttachError::Deadline { pid: 7, .. }), "{error}");
    // One that is taken in makes room for one that waits already.
    let late = std::thread::spawn(move || door::connect(7, &path, soon()));
    let taken = listener.accept().unwrap();
    let stream = late.join().unwrap().unwrap();
    let socket = Socket::from(std::os::fd::OwnedFd::from(stream));
    assert!(!socket.nonblocking().unwrap(), "commands rely on timeouts");
    drop(taken);
}

#[test]
fn the_address_in_properties() {
    const KEY: &str = "com.sun.management.jmxremote.localConnectorAddress";
    let cases = [
        (
            format!("#Mon\n{KEY}=service\\:jmx\\:rmi\\://127.0.0.1/stub/ab\\=\\=\n"),
            Some("service:jmx:rmi://127.0.0.1/stub/ab=="),
        ),
        (format!("sun.jvm.args=\n{KEY}=a\\\\b\r\n"), Some("a\\b")),
        (format!("#{KEY}=x\n"), None),
        (format!("{KEY}=\n"), None),
        (format!("x.{KEY}=y\n"), None),
        (String::new(), None),
    ];
    for (text, expected) in cases {
        assert_eq!(address(&text).as_deref(), expected, "{text:?}");
    }
}

/// What a peer says to a command.
fn answer(bytes: &'static [u8]) -> Result<String, AttachError> {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let peer = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let mut theirs = theirs;
        let mut request = [0; 64];
        let count = theirs.read(&mut request).unwrap();
        // The other side may have had enough before the end.
        let _ = theirs.write_all(bytes);
        request[..count].to_vec()
    });
    let result = ask(ours, 1, &START, soon());
    assert_eq!(peer.join().unwrap(), b"1\0jcmd\0ManagementAgent.start_local\0\0\0");
    result
}

#[test]
fn answers_and_refusals() {
    assert_eq!(answer(b"0\nok\nmore").unwrap(), "ok\nmore");
    assert_eq!(answer(b"0\n").unwrap(), "");
    let error = answer(b"100\njava.lang.IllegalStateException: no module\n").unwrap_err();
    let text = "process 1: ManagementAgent.start_local failed with 100: \
                java.lang.IllegalStateException: no module";
    assert_eq!(error.to_string(), text);
    assert!(matches!(answer(b"").unwrap_err(), AttachError::Refused { .. }));
}

#[test]
fn endless_answers_and_silence_end() {
    static ENDLESS: [u8; 3 << 20] = [b'x'; 3 << 20];
    assert!(matches!(answer(&ENDLESS).unwrap_err(), AttachError::Io { .. }));
    let (ours, _theirs) = UnixStream::pair().unwrap();
    let deadline = Instant::now() + Duration::from_millis(50);
    let error = ask(ours, 1, &START, deadline).unwrap_err();
    assert!(matches!(error, AttachError::Deadline { .. }), "{error}");
}
