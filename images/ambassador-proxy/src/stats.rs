//! Counters of the data path.
//!
//! Each worker has its own set and is its only writer, so counting is a plain load and store; a
//! reader adds the sets up. The names are those of nutcracker's statistics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that one thread writes and any thread reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds; only its own worker may call this.
    #[inline]
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// Subtracts; only its own worker may call this.
    #[inline]
    pub fn sub(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(amount), Relaxed);
    }

    /// Sets a gauge.
    #[inline]
    pub fn set(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    /// The present value.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A table of counters: name, kind as in nutcracker's `-D` output, meaning.
pub type Descriptions = &'static [(&'static str, &'static str, &'static str)];

macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($field:ident $kind:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub struct $name {
            $(#[doc = $text] pub $field: Counter,)*
        }

        impl $name {
            /// Name, kind and meaning of each, in nutcracker's order.
            pub const DESCRIPTIONS: Descriptions = &[$((stringify!($field), $kind, $text),)*];

            /// The present values, in the order of the descriptions.
            pub fn values(&self) -> Vec<u64> {
                vec![$(self.$field.get(),)*]
            }
        }
    };
}

counters! {
    /// What a worker counts for a pool.
    PoolStats {
        client_eof "counter" "connections closed by the client",
        client_err "counter" "client connections that ended with an error",
        client_connections "gauge" "client connections now",
        server_ejects "counter" "times a server was ejected",
        forward_error "counter" "requests answered with an error of the proxy",
        fragments "counter" "fragments made of requests with several keys",
    }
}

counters! {
    /// What a worker counts for a server.
    ServerStats {
        server_eof "counter" "connections closed by the server",
        server_err "counter" "server connections that ended with an error",
        server_timedout "counter" "times the server did not answer in time",
        server_connections "gauge" "server connections now",
        server_ejected_at "timestamp" "when the server was last ejected, in µs since the epoch",
        requests "counter" "requests sent to the server",
        request_bytes "counter" "bytes of those requests",
        responses "counter" "replies from the server",
        response_bytes "counter" "bytes of those replies",
        in_queue "gauge" "requests that wait to be sent",
        in_queue_bytes "gauge" "bytes of those requests",
        out_queue "gauge" "requests that wait for their reply",
        out_queue_bytes "gauge" "bytes of those requests",
    }
}

counters! {
    /// What a worker counts that nutcracker does not know.
    WorkerStats {
        accepted "counter" "client connections accepted",
        refused_clients "counter" "client connections refused at the limit",
        protocol_errors "counter" "requests that were not of the protocol",
        slow_clients "counter" "clients cut off because they did not read their replies",
        over_memory "counter" "requests or clients refused at a memory limit",
        stray_replies "counter" "replies that nobody asked for",
        late_replies "counter" "replies that came after their request had timed out",
        turns "counter" "turns of the event loop",
        bytes_held "gauge" "bytes held for clients and servers",
    }
}

/// The counters of one worker for one pool.
#[derive(Debug)]
pub struct PoolCounters {
    /// For the pool itself.
    pub pool: Arc<PoolStats>,
    /// For each server, in the order of the configuration.
    pub servers: Vec<Arc<ServerStats>>,
}
