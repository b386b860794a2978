//! The limits of the server, in one place.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits on connections and calls. tonic leaves most of these open unless told otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerLimits {
    /// TLS handshakes under way at once, per listener.
    pub handshakes_max: u32,
    /// Time a handshake may take.
    pub handshake_timeout_ms: u64,
    /// Open connections, per listener.
    pub connections_max: u32,
    /// Open connections from one address, per listener.
    pub connections_per_ip_max: u32,
    /// Age at which a connection is asked to close; spread by a tenth either way per process.
    pub connection_age_max_ms: u64,
    /// Time after that before it is cut.
    pub connection_age_grace_ms: u64,
    /// Calls open at once on one connection.
    pub streams_per_connection_max: u32,
    /// Unary calls being worked on at once.
    pub unary_calls_max: u32,
    /// Long polls and streams open at once.
    pub waiting_calls_max: u32,
    /// Longest deadline of a unary call, whatever the client asks.
    pub unary_deadline_max_ms: u64,
    /// Longest time the server holds a long poll before it answers empty.
    pub long_poll_max_ms: u64,
    /// Largest message accepted, after decompression, in bytes.
    pub message_in_bytes_max: u32,
    /// Largest message sent, in bytes.
    pub message_out_bytes_max: u32,
    /// Uploads and reads of payloads under way at once.
    pub payload_streams_max: u32,
    /// Those of one identity.
    pub payload_streams_per_identity_max: u32,
    /// Bytes of payloads held in memory for uploads; and as many for uploads that are being used.
    pub payload_stream_bytes_max: u32,
    /// Longest wait for the next piece of a payload, either way.
    pub payload_idle_ms: u64,
    /// Longest time that one upload may take.
    pub payload_upload_max_ms: u64,
}

impl ServerLimits {
    /// Time a handshake may take.
    #[must_use]
    pub fn handshake_timeout(&self) -> Duration {
        Duration::from_millis(self.handshake_timeout_ms)
    }

    /// Longest deadline of a unary call.
    #[must_use]
    pub fn unary_deadline(&self) -> Duration {
        Duration::from_millis(self.unary_deadline_max_ms)
    }

    /// Longest wait for the next piece of a payload.
    #[must_use]
    pub fn payload_idle(&self) -> Duration {
        Duration::from_millis(self.payload_idle_ms)
    }

    /// Longest time that one upload may take.
    #[must_use]
    pub fn payload_upload(&self) -> Duration {
        Duration::from_millis(self.payload_upload_max_ms)
    }

    /// Longest time a poll is held.
    #[must_use]
    pub fn long_poll(&self) -> Duration {
        Duration::from_millis(self.long_poll_max_ms)
    }
}
