//! How commands and tables are written into log entries and snapshots.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::{
    Acquire, Command, ELECTIONS_MAX, ENDED_MAX, Election, Held, Lease, METADATA_BYTES_MAX,
    NAME_BYTES_MAX, Planted, QUEUE_MAX, REQUEST_ID_BYTES_MAX, Session, Table, Waiting,
};
use crate::codec::{CodecError, Reader, Writer};

/// No command is longer than this when written.
pub const COMMAND_BYTES_MAX: usize =
    2 * NAME_BYTES_MAX + METADATA_BYTES_MAX + REQUEST_ID_BYTES_MAX + 64;

/// The first byte of a written table.
const TABLE_VERSION: u64 = 1;

impl Session {
    fn write(self, writer: &mut Writer) {
        writer.number(self.0);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        reader.number().map(Self)
    }
}

impl Command {
    /// Appends the command.
    pub fn write(&self, writer: &mut Writer) {
        match self {
            Self::Init { token_base } => {
                writer.number(0).number(*token_base);
            }
            Self::Acquire(acquire) => {
                writer.number(1);
                acquire.write(writer);
            }
            Self::Renew { election, session, token } => {
                writer.number(2).text(election);
                session.write(writer);
                writer.number(*token);
            }
            Self::Resign { election, session, token, successor } => {
                writer.number(3).text(election);
                session.write(writer);
                writer.number(*token).optional(successor.as_deref());
            }
            Self::Expire { election, session, token, sequence } => {
                writer.number(4).text(election);
                session.write(writer);
                writer.number(*token).number(*sequence);
            }
        }
    }

    /// Reads a command.
    ///
    /// # Errors
    /// The bytes are no command, or one past a limit.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(match reader.number()? {
            0 => Self::Init { token_base: reader.number()? },
            1 => Self::Acquire(Acquire::read(reader)?),
            2 => Self::Renew {
                election: name(reader)?,
                session: Session::read(reader)?,
                token: reader.number()?,
            },
            3 => Self::Resign {
                election: name(reader)?,
                session: Session::read(reader)?,
                token: reader.number()?,
                successor: reader.optional(NAME_BYTES_MAX)?,
            },
            4 => Self::Expire {
                election: name(reader)?,
                session: Session::read(reader)?,
                token: reader.number()?,
                sequence: reader.number()?,
            },
            tag => return Err(CodecError::Tag(tag)),
        })
    }
}

impl Acquire {
    fn write(&self, writer: &mut Writer) {
        writer.text(&self.election).text(&self.holder);
        self.session.write(writer);
        // Negative numbers by zigzag, so that small ones stay short.
        let zigzag = ((self.priority << 1) ^ (self.priority >> 63)).cast_unsigned();
        writer.number(millis(self.ttl)).number(zigzag).flag(self.wait);
        writer.optional(self.metadata.as_deref()).optional(self.request_id.as_deref());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            election: name(reader)?,
            holder: name(reader)?,
            session: Session::read(reader)?,
            ttl: Duration::from_millis(reader.number()?),
            priority: {
                let zigzag = reader.number()?;
                (zigzag >> 1).cast_signed() ^ -((zigzag & 1).cast_signed())
            },
            wait: reader.flag()?,
            metadata: reader.optional(METADATA_BYTES_MAX)?,
            request_id: reader.optional(REQUEST_ID_BYTES_MAX)?,
        })
    }
}

impl Table {
    /// The table as bytes: equal tables give equal bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.number(TABLE_VERSION).number(self.token_last).number(self.version_forgotten);
        writer.number(self.ended.len() as u64);
        self.ended.iter().for_each(|session| session.write(&mut writer));
        writer.number(self.elections.len() as u64);
        for (name, election) in &self.elections {
            writer.text(name).number(election.version).number(election.token);
            writer.flag(election.held.is_some());
            if let Some(held) = &election.held {
                held.write(&mut writer);
            }
            writer.number(election.queue.len() as u64);
            for waiting in &election.queue {
                waiting.acquire.write(&mut writer);
                writer.number(waiting.sequence);
            }
        }
        writer.bytes
    }

    /// Reads what [`Table::to_bytes`] wrote.
    ///
    /// # Errors
    /// The bytes are no table of this version, or one past a limit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        match reader.number()? {
            TABLE_VERSION => {}
            version => return Err(CodecError::Tag(version)),
        }
        let mut table = Self {
            token_last: reader.number()?,
            version_forgotten: reader.number()?,
            planted: Planted::default(),
            ..Self::default()
        };
        for _ in 0..reader.count(ENDED_MAX)? {
            table.ended.push_back(Session::read(&mut reader)?);
        }
        for _ in 0..reader.count(ELECTIONS_MAX)? {
            let name = name(&mut reader)?;
            let version = reader.number()?;
            let token = reader.number()?;
            let held = if reader.flag()? { Some(Held::read(&mut reader)?) } else { None };
            let mut queue = VecDeque::new();
            for _ in 0..reader.count(QUEUE_MAX)? {
                let acquire = Acquire::read(&mut reader)?;
                queue.push_back(Waiting { acquire, sequence: reader.number()? });
            }
            table.bytes += held.as_ref().map_or(0, Held::cost);
            table.bytes += queue.iter().map(|it: &Waiting| it.acquire.cost()).sum::<usize>();
            table.elections.insert(name, Election { version, token, held, queue });
        }
        reader.end()?;
        Ok(table)
    }

    /// The same table with other bugs.
    #[must_use]
    pub fn planting(mut self, planted: Planted) -> Self {
        self.planted = planted;
        self
    }
}

impl Held {
    fn write(&self, writer: &mut Writer) {
        let lease = &self.lease;
        writer.text(&lease.holder);
        lease.session.write(writer);
        writer.number(lease.token).number(millis(lease.ttl)).optional(lease.metadata.as_deref());
        writer.number(self.sequence).optional(self.request_id.as_deref());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let lease = Lease {
            holder: name(reader)?,
            session: Session::read(reader)?,
            token: reader.number()?,
            ttl: Duration::from_millis(reader.number()?),
            metadata: reader.optional(METADATA_BYTES_MAX)?,
        };
        let sequence = reader.number()?;
        Ok(Self { lease, sequence, request_id: reader.optional(REQUEST_ID_BYTES_MAX)? })
    }
}

fn name(reader: &mut Reader<'_>) -> Result<Arc<str>, CodecError> {
    reader.text(NAME_BYTES_MAX)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
