//! How a pass over many beans goes on when it was interrupted: over a new connection, without the
//! call that is to blame.

use std::time::Instant;

use super::lane::Stopped;
use super::{Session, SessionError};

/// Most new connections within one pass over all beans; each is the work of a bean that cannot be
/// read, which is remembered.
const RECONNECTS_MAX: u32 = 1_000;

/// Calls within one pass that may fail as if the connection were to blame, twice each, before it is
/// believed.
const EXCUSES_MAX: u32 = 3;

/// How the current pass over all beans goes.
#[derive(Debug)]
pub(super) struct Pass {
    /// Connections that may still be made.
    reconnects: u32,
    /// Calls that may still be left out.
    excuses: u32,
    /// Why one was.
    excused: Option<SessionError>,
    /// The call that comes first now has failed with the connection before this one.
    retried: bool,
    /// Something was answered.
    pub(super) progress: bool,
}

// === impl Pass ===

impl Pass {
    pub(super) fn new() -> Self {
        Self {
            reconnects: RECONNECTS_MAX,
            excuses: EXCUSES_MAX,
            excused: None,
            retried: false,
            progress: false,
        }
    }

    /// A pass in which nothing was answered was none, whoever was excused.
    pub(super) fn finish(&mut self) -> Result<(), SessionError> {
        match self.excused.take() {
            Some(error) if !self.progress => Err(error),
            _ => Ok(()),
        }
    }
}

// === impl Session ===

impl Session {
    /// After a pipeline has stopped early: whether and how the rest can be read. `skip` gets the
    /// error of the one call that is to blame.
    pub(super) fn go_on(
        &mut self,
        outcome: Result<(), Stopped>,
        progress: bool,
        deadline: Instant,
        skip: impl FnOnce(SessionError),
    ) -> Result<(), SessionError> {
        use Stopped::{Aborted, Astray, Failed};

        self.pass.progress |= progress;
        let retried = std::mem::take(&mut self.pass.retried) && !progress;
        match outcome {
            Ok(()) => Ok(()),
            Err(Aborted(error)) => {
                let error = self.replace(error, deadline)?;
                skip(error);
                Ok(())
            }
            // The answer before is to blame; it has been given.
            Err(Astray(error)) if progress => self.replace(error, deadline).map(drop),
            // Over the old connection and over a new one: it is this call, or there is nobody.
            Err(Failed(error)) if retried && error.is_connection() && self.pass.excuses > 0 => {
                self.pass.excuses -= 1;
                let error = self.replace(error, deadline)?;
                skip(SessionError::Protocol(format!("it ends every connection: {error}")));
                self.pass.excused = Some(error);
                Ok(())
            }
            // The server has gone, perhaps come back. Where nothing was said at all it is not tried
            // twice.
            Err(Failed(error))
                if !retried
                    && error.is_connection()
                    && (progress || matches!(error, SessionError::Remote { .. })) =>
            {
                self.replace(error, deadline)?;
                self.pass.retried = true;
                Ok(())
            }
            Err(Astray(error) | Failed(error)) => Err(error),
        }
    }

    /// Connects anew within a pass; gives back why.
    fn replace(
        &mut self,
        why: SessionError,
        deadline: Instant,
    ) -> Result<SessionError, SessionError> {
        let Some(reconnects) = self.pass.reconnects.checked_sub(1) else { return Err(why) };
        self.pass.reconnects = reconnects;
        self.reconnect(deadline)?;
        Ok(why)
    }
}
