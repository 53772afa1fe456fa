//! How members, groups and hellos are written; and where a group's id comes from.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{ADDRESS_BYTES_MAX, FOUNDERS_MAX, Founder, Group, GroupId, Hello, Identity};
use crate::codec::{CodecError, Reader, Writer};
use crate::election::NAME_BYTES_MAX;

/// Goes into the hash first, so that no other use of the same hash gives the same value.
const GROUP_DOMAIN: &[u8] = b"leader-elector group 1\0";

// === impl GroupId ===

impl GroupId {
    /// Of an empty member, in the header of its frames.
    pub const NONE: Self = Self(0);

    /// The id of the group that these members found, in this order.
    fn of(founders: &[Founder]) -> Self {
        let mut writer = Writer::default();
        write_founders(founders, &mut writer);
        let hash = Sha256::new().chain_update(GROUP_DOMAIN).chain_update(&writer.bytes).finalize();
        let mut id = [0; 16];
        id.copy_from_slice(&hash[..16]);
        Self(u128::from_be_bytes(id))
    }
}

impl fmt::Display for GroupId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:032x}", self.0)
    }
}

// === impl Group ===

impl Group {
    /// The group of these founders; everybody who knows them computes the same.
    #[must_use]
    pub fn of(mut founders: Vec<Founder>) -> Self {
        founders.sort();
        founders.dedup_by_key(|founder| founder.id);
        Self { id: GroupId::of(&founders), founders }
    }

    /// Whether a member of this id founded it.
    #[must_use]
    pub fn founded_by(&self, id: u64) -> bool {
        self.founders.iter().any(|founder| founder.id == id)
    }

    fn write(&self, writer: &mut Writer) {
        // Without the id: who reads computes it, so it cannot be false.
        write_founders(&self.founders, writer);
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        let count = reader.count(FOUNDERS_MAX)?;
        let mut founders: Vec<Founder> = Vec::with_capacity(count);
        for _ in 0..count {
            let founder =
                Founder { id: reader.number()?, name: name(reader)?, witness: reader.flag()? };
            if founders.last().is_some_and(|last| last.id >= founder.id) {
                return Err(CodecError::Order);
            }
            founders.push(founder);
        }
        Ok(Self { id: GroupId::of(&founders), founders })
    }

    fn write_optional(group: Option<&Self>, writer: &mut Writer) {
        writer.flag(group.is_some());
        if let Some(group) = group {
            group.write(writer);
        }
    }

    fn read_optional(reader: &mut Reader<'_>) -> Result<Option<Self>, CodecError> {
        if reader.flag()? { Self::read(reader).map(Some) } else { Ok(None) }
    }
}

// === impl Identity ===

impl Identity {
    /// Appends the identity.
    pub fn write(&self, writer: &mut Writer) {
        writer.number(self.id).text(&self.name);
        Group::write_optional(self.group.as_ref(), writer);
    }

    /// Reads an identity.
    ///
    /// # Errors
    /// The bytes are no identity, or one past a limit.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { id: reader.number()?, name: name(reader)?, group: Group::read_optional(reader)? })
    }
}

// === impl Hello ===

impl Hello {
    /// The id of its group, or [`GroupId::NONE`].
    #[must_use]
    pub fn group_id(&self) -> GroupId {
        self.group.as_ref().map_or(GroupId::NONE, |group| group.id)
    }

    /// The hello as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.number(self.id).text(&self.name).flag(self.witness).text(&self.advertise);
        writer.number(u64::from(self.expected));
        Group::write_optional(self.group.as_ref(), &mut writer);
        writer.bytes
    }

    /// Reads what [`Hello::to_bytes`] wrote.
    ///
    /// # Errors
    /// The bytes are no hello, or one past a limit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(bytes);
        let hello = Self {
            id: reader.number()?,
            name: name(&mut reader)?,
            witness: reader.flag()?,
            advertise: reader.text(ADDRESS_BYTES_MAX)?,
            expected: u16::try_from(reader.number()?).map_err(|_| CodecError::Large)?,
            group: Group::read_optional(&mut reader)?,
        };
        reader.end()?;
        // 0 means nobody in Raft.
        if hello.id == 0 { Err(CodecError::Number) } else { Ok(hello) }
    }
}

fn write_founders(founders: &[Founder], writer: &mut Writer) {
    writer.number(founders.len() as u64);
    for founder in founders {
        writer.number(founder.id).text(&founder.name).flag(founder.witness);
    }
}

fn name(reader: &mut Reader<'_>) -> Result<Arc<str>, CodecError> {
    reader.text(NAME_BYTES_MAX)
}
