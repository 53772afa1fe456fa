//! What fuzz targets do with bytes: nothing that is decoded may panic, and it is written alike again.
//! For tests alone.

use crate::bootstrap::Hello;
use crate::codec::Writer;
use crate::election::Table;
use crate::wire;

/// What one member sends to another.
pub fn peer_frame(bytes: &[u8]) {
    if let Ok(frame) = wire::decode(bytes) {
        let mut writer = Writer::default();
        wire::encode(&frame, &mut writer);
        assert_eq!(writer.bytes, bytes, "{frame:?}");
    }
}

/// What a member says of itself.
pub fn hello(bytes: &[u8]) {
    if let Ok(hello) = Hello::from_bytes(bytes) {
        assert_eq!(hello.to_bytes(), bytes, "{hello:?}");
    }
}

/// Commands in a log entry.
pub fn proposals(bytes: &[u8]) {
    if let Ok(proposals) = wire::decode_proposals(bytes) {
        let mut writer = Writer::default();
        wire::encode_proposals(&proposals, &mut writer);
        assert_eq!(writer.bytes, bytes, "{proposals:?}");
    }
}

/// A table in a snapshot. One that was not written by us may have its elections in another order.
pub fn table(bytes: &[u8]) {
    if let Ok(table) = Table::from_bytes(bytes) {
        assert_eq!(Table::from_bytes(&table.to_bytes()), Ok(table));
    }
}
