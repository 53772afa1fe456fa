//! Signals, received here and nowhere else.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// The signals an image may act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Signal {
    /// Stop. Not for images: it is the shutdown sequence.
    Term,
    /// Stop, from a terminal.
    Int,
    /// By default: open the log file anew.
    Hup,
    /// By default: nothing.
    Usr1,
    /// By default: nothing.
    Usr2,
    /// By default: log one level more.
    Ttin,
    /// By default: log one level less.
    Ttou,
}

/// Sends every signal of the process on; each is installed, so none of them kills.
///
/// # Errors
/// The system refuses a handler.
pub(crate) fn listen(tasks: &TaskTracker) -> std::io::Result<mpsc::UnboundedReceiver<Signal>> {
    let (sender, receiver) = mpsc::unbounded_channel();
    let kinds = [
        (Signal::Term, SignalKind::terminate()),
        (Signal::Int, SignalKind::interrupt()),
        (Signal::Hup, SignalKind::hangup()),
        (Signal::Usr1, SignalKind::user_defined1()),
        (Signal::Usr2, SignalKind::user_defined2()),
        (Signal::Ttin, SignalKind::from_raw(rustix::process::Signal::TTIN.as_raw())),
        (Signal::Ttou, SignalKind::from_raw(rustix::process::Signal::TTOU.as_raw())),
    ];
    for (name, kind) in kinds {
        let (mut stream, sender) = (signal(kind)?, sender.clone());
        tasks.spawn(async move {
            while stream.recv().await.is_some() {
                if sender.send(name).is_err() {
                    break;
                }
            }
        });
    }
    Ok(receiver)
}
