//! The socket on which a JVM takes commands: opened by it when it is asked to.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, fchown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::socket::{getsockopt, sockopt};
use rustix::fs::OFlags;
use socket2::{Domain, SockAddr, Socket, Type};

use super::AttachError;
use super::process::Process;

/// Time between two looks for the socket; a JVM needs some ten milliseconds.
const PAUSE: Duration = Duration::from_millis(10);

/// Connects; has the socket opened first if there is none.
pub(super) fn open(process: &Process, deadline: Instant) -> Result<UnixStream, AttachError> {
    let path = process.path(&format!("root/tmp/.java_pid{}", process.inner_pid));
    if !exists(&path)? {
        knock(process, &path, deadline)?;
    }
    check(process, &path)?;
    let pid = process.pid;
    let failed = |source| AttachError::Io { pid, doing: "connecting to the JVM", source };
    let stream = connect(pid, &path, deadline)?;
    // Whatever was put at that path meanwhile: only the JVM itself is talked to.
    let peer = getsockopt(&stream, sockopt::PeerCredentials).map_err(|it| failed(it.into()))?;
    if peer.pid() != pid {
        let what = format!("process {} listens there, not {pid}", peer.pid());
        return Err(AttachError::Socket { path, what });
    }
    Ok(stream)
}

/// Connects, and waits for room in the queue of a JVM that is busy or stopped.
pub(super) fn connect(pid: i32, path: &Path, deadline: Instant) -> Result<UnixStream, AttachError> {
    let failed = |source| AttachError::Io { pid, doing: "connecting to the JVM", source };
    let address = SockAddr::unix(path).map_err(failed)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None).map_err(failed)?;
    // A blocking one would wait for ever.
    socket.set_nonblocking(true).map_err(failed)?;
    while let Err(error) = socket.connect(&address) {
        match error.kind() {
            ErrorKind::Interrupted => {}
            ErrorKind::WouldBlock if Instant::now() < deadline => pause(),
            ErrorKind::WouldBlock => {
                return Err(AttachError::Deadline { pid, what: "room in the queue of its socket" });
            }
            _ => return Err(failed(error)),
        }
    }
    socket.set_nonblocking(false).map_err(failed)?;
    Ok(OwnedFd::from(socket).into())
}

/// Asks the JVM for its socket and waits for it.
fn knock(process: &Process, socket: &Path, deadline: Instant) -> Result<(), AttachError> {
    let _mark = Mark::put(process)?;
    process.quit()?;
    let start = Instant::now();
    let half = deadline.saturating_duration_since(start) / 2;
    let mut again = true;
    while !exists(socket)? {
        let now = Instant::now();
        if now >= deadline {
            return Err(AttachError::Deadline { pid: process.pid, what: "socket" });
        }
        // The first may have come before the JVM had set itself up.
        if again && now.duration_since(start) >= half {
            again = false;
            process.quit()?;
        }
        pause();
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "polls a condition that has a deadline")]
fn pause() {
    std::thread::sleep(PAUSE);
}

fn exists(path: &Path) -> Result<bool, AttachError> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(AttachError::Socket { path: path.to_owned(), what: error.to_string() }),
    }
}

/// Others may write to the temporary directory too: a JVM's socket is its own and nobody else's.
fn check(process: &Process, path: &Path) -> Result<(), AttachError> {
    let wrong = |what: String| Err(AttachError::Socket { path: path.to_owned(), what });
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) => return wrong(error.to_string()),
    };
    if !metadata.file_type().is_socket() {
        return wrong("not a socket".into());
    }
    if metadata.uid() != process.uid {
        return wrong(format!("belongs to user {}, not {}", metadata.uid(), process.uid));
    }
    if metadata.mode() & 0o066 != 0 {
        return wrong(format!("others may use it (mode {:o})", metadata.mode() & 0o777));
    }
    Ok(())
}

/// The file that tells the JVM what SIGQUIT means this time; removed when this is dropped.
struct Mark {
    path: PathBuf,
}

// === impl Mark ===

impl Mark {
    /// In its working directory, or, where that cannot be written to, in its temporary directory.
    fn put(process: &Process) -> Result<Self, AttachError> {
        let name = format!(".attach_pid{}", process.inner_pid);
        let first = process.path(&format!("cwd/{name}"));
        Self::create(process, first)
            .or_else(|_| Self::create(process, process.path(&format!("root/tmp/{name}"))))
            .map_err(|source| AttachError::Io {
                pid: process.pid,
                doing: "writing .attach_pid to its working or temporary directory",
                source,
            })
    }

    fn create(process: &Process, path: PathBuf) -> std::io::Result<Self> {
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        // One that was left behind does as well. No link is followed out of their directory,
        // and nobody waits for the reader of a pipe.
        options.write(true).create(true).mode(0o600).custom_flags(flags.bits().cast_signed());
        let file: File = options.open(&path)?;
        let mark = Self { path };
        // JVMs before 11 want the file to be their own, root's is not enough.
        if file.metadata()?.uid() != process.uid {
            fchown(&file, Some(process.uid), Some(process.gid))?;
        }
        Ok(mark)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // The JVM does not mind it; the next one to attach takes it over.
        let _ = std::fs::remove_file(&self.path);
    }
}
