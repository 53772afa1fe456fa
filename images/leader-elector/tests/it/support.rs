//! Servers that the tests start.

pub(crate) mod apiserver;
pub(crate) mod etcd;

use std::net::TcpListener;

/// A port on 127.0.0.1 that the kernel just had free.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
