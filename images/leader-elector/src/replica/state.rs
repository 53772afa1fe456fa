//! Everything that is replicated: the table, and the names of the members.

use std::collections::BTreeMap;

use super::Member;
use crate::bootstrap::Group;
use crate::codec::{CodecError, Reader, Writer};
use crate::election::{NAME_BYTES_MAX, Planted, Table};

const STATE_VERSION: u64 = 1;
/// Members of a group, those that lag and those to be removed included.
const MEMBERS_MAX: usize = 1000;
/// Largest written table.
const TABLE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The replicated state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) table: Table,
    pub(super) members: BTreeMap<u64, Member>,
}

// === impl State ===

impl State {
    pub(super) fn founded(group: &Group) -> Self {
        let members = group.founders.iter().map(|founder| {
            (founder.id, Member { name: founder.name.clone(), witness: founder.witness })
        });
        Self { table: Table::default(), members: members.collect() }
    }

    pub(super) fn planting(mut self, planted: Planted) -> Self {
        self.table = self.table.planting(planted);
        self
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.number(STATE_VERSION).number(self.members.len() as u64);
        for (id, member) in &self.members {
            writer.number(*id).text(&member.name).flag(member.witness);
        }
        writer.slice(&self.table.to_bytes());
        writer.bytes
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        match reader.number()? {
            STATE_VERSION => {}
            version => return Err(CodecError::Tag(version)),
        }
        let mut members = BTreeMap::new();
        for _ in 0..reader.count(MEMBERS_MAX)? {
            let id = reader.number()?;
            let member = Member { name: reader.text(NAME_BYTES_MAX)?, witness: reader.flag()? };
            members.insert(id, member);
        }
        let table = Table::from_bytes(reader.slice(TABLE_BYTES_MAX)?)?;
        reader.end()?;
        Ok(Self { table, members })
    }
}
