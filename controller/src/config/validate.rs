//! What types cannot say.

use std::fmt;

use super::parts::{Config, KeySourceConfig};

/// The largest payload that may be asked for.
const PAYLOAD_BYTES_MAX: u32 = 64 << 20;
/// Payloads of this size arrive whole, too: from those who know no other way.
const PAYLOAD_BYTES_WHOLE: u32 = 4 << 20;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key.
    pub key: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.key, self.problem)
    }
}

/// Everything that is wrong.
#[must_use]
pub fn validate(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut require = |fine: bool, key: &'static str, problem: String| {
        if !fine {
            problems.push(Problem { key, problem });
        }
    };
    let Config {
        database,
        listen,
        identity,
        keys,
        server,
        blobs,
        limits,
        lease,
        lanes,
        loops,
        retention,
        telemetry,
        shutdown,
    } = config;

    for (key, value) in [
        (
            "database.control_connections_max",
            database.control_connections_max,
        ),
        (
            "database.commit_connections_max",
            database.commit_connections_max,
        ),
        (
            "database.request_connections_max",
            database.request_connections_max,
        ),
        (
            "database.report_connections_max",
            database.report_connections_max,
        ),
        ("server.handshakes_max", server.handshakes_max),
        ("server.connections_max", server.connections_max),
        (
            "server.connections_per_ip_max",
            server.connections_per_ip_max,
        ),
        (
            "server.streams_per_connection_max",
            server.streams_per_connection_max,
        ),
        ("server.unary_calls_max", server.unary_calls_max),
        ("server.waiting_calls_max", server.waiting_calls_max),
        ("server.payload_streams_max", server.payload_streams_max),
        (
            "server.payload_streams_per_identity_max",
            server.payload_streams_per_identity_max,
        ),
        ("limits.payload_bytes_max", limits.payload_bytes_max),
        ("limits.page_rows_max", limits.page_rows_max),
        ("limits.lease_batch_max", limits.lease_batch_max),
        ("limits.crash_count_max", limits.crash_count_max.into()),
        ("lanes.count", lanes.count),
        ("lanes.queue_max", lanes.queue_max),
        ("lanes.flush_commands_max", lanes.flush_commands_max),
        ("lanes.flush_beside_runs_min", lanes.flush_beside_runs_min),
        ("lanes.cached_runs_max", lanes.cached_runs_max),
        ("lanes.snapshot_every_events", lanes.snapshot_every_events),
        ("retention.days", retention.days),
    ] {
        require(value > 0, key, "must be at least 1".to_owned());
    }
    for (key, value, min) in [
        (
            "database.acquire_timeout_ms",
            database.acquire_timeout_ms,
            1,
        ),
        (
            "server.handshake_timeout_ms",
            server.handshake_timeout_ms,
            1,
        ),
        (
            "server.connection_age_max_ms",
            server.connection_age_max_ms,
            10_000,
        ),
        (
            "server.unary_deadline_max_ms",
            server.unary_deadline_max_ms,
            1_000,
        ),
        ("server.long_poll_max_ms", server.long_poll_max_ms, 1_000),
        ("server.payload_idle_ms", server.payload_idle_ms, 100),
        (
            "server.payload_upload_max_ms",
            server.payload_upload_max_ms,
            1_000,
        ),
        ("lease.heartbeat_ms", lease.heartbeat_ms, 100),
        (
            "identity.certificate_life_s",
            identity.certificate_life_s,
            60,
        ),
        (
            "identity.server_certificate_life_s",
            identity.server_certificate_life_s,
            60,
        ),
        ("identity.join_token_life_s", identity.join_token_life_s, 10),
        ("blobs.timeout_ms", blobs.timeout_ms, 100),
        ("loops.tick_ms", loops.tick_ms, 50),
        ("loops.sweep_ms", loops.sweep_ms, 1_000),
        ("loops.mail_age_ms", loops.mail_age_ms, 50),
        ("loops.certificates_ms", loops.certificates_ms, 1_000),
        ("loops.partitions_ms", loops.partitions_ms, 1_000),
        ("loops.retention_ms", loops.retention_ms, 1_000),
        ("shutdown.deadline_ms", shutdown.deadline_ms, 1_000),
    ] {
        require(
            value >= min,
            key,
            format!("is {value}; must be at least {min}"),
        );
    }
    require(
        lease.ttl_ms >= 3 * lease.heartbeat_ms,
        "lease.ttl_ms",
        format!(
            "is {}; must be at least three times lease.heartbeat_ms ({})",
            lease.ttl_ms, lease.heartbeat_ms
        ),
    );
    require(
        lease.reassert_ms >= lease.ttl_ms,
        "lease.reassert_ms",
        format!(
            "is {}; must be at least lease.ttl_ms ({})",
            lease.reassert_ms, lease.ttl_ms
        ),
    );
    let place = blobs.url.as_str();
    require(
        place.is_empty() || place.starts_with("file:///") || place.starts_with("s3://"),
        "blobs.url",
        format!("is `{place}`; write file:///folder or s3://bucket/prefix"),
    );
    require(
        blobs.timeout_ms <= 15_000,
        "blobs.timeout_ms",
        format!(
            "is {}; must be at most 15000: commits of other runs wait with it",
            blobs.timeout_ms
        ),
    );
    require(
        loops.tick_ms <= 1_100,
        "loops.tick_ms",
        format!(
            "is {}; must be at most 1100: revocation is promised within 2000 ms, and a quiet tick takes up to 1.8 times as long",
            loops.tick_ms
        ),
    );
    let payload = limits.payload_bytes_max;
    require(
        payload <= PAYLOAD_BYTES_MAX,
        "limits.payload_bytes_max",
        format!("is {payload}; must be at most {PAYLOAD_BYTES_MAX}"),
    );
    require(
        server.message_in_bytes_max >= payload.min(PAYLOAD_BYTES_WHOLE).saturating_add(64 * 1024),
        "server.message_in_bytes_max",
        "must exceed limits.payload_bytes_max, or 4 MiB if that is larger, by at least 64 KiB, or such payloads cannot arrive whole".to_owned(),
    );
    require(
        server.message_out_bytes_max >= 8 << 20,
        "server.message_out_bytes_max",
        "must be at least 8 MiB, or a task cannot be handed to a worker together with what it recorded".to_owned(),
    );
    require(
        server.payload_stream_bytes_max >= payload,
        "server.payload_stream_bytes_max",
        format!(
            "must be at least limits.payload_bytes_max ({payload}), or such payloads cannot be uploaded"
        ),
    );
    let pools = fulcrum_store::PoolSizes {
        control: database.control_connections_max,
        commit: database.commit_connections_max,
        request: database.request_connections_max,
        report: database.report_connections_max,
    };
    let most = fulcrum_store::PoolSizes::CONNECTIONS_MAX;
    require(
        pools.sum() <= most,
        "database",
        format!(
            "the four pools have {} connections with the {} that are always kept; at most {most} are allowed together",
            pools.sum(),
            fulcrum_store::PoolSizes::WATCH
        ),
    );
    require(
        !identity.server_names.is_empty(),
        "identity.server_names",
        "must name at least one".to_owned(),
    );
    for source in &keys.sources {
        let said = match source {
            KeySourceConfig::File(path) => path.is_absolute(),
            KeySourceConfig::Environment(name) => !name.is_empty(),
            KeySourceConfig::Command(argv) => argv.first().is_some_and(|name| !name.is_empty()),
        };
        require(
            said,
            "keys.sources",
            "a file needs an absolute path, an environment variable its name, a command its program"
                .to_owned(),
        );
    }
    let apart = listen.grpc.port() == 0 || listen.grpc != listen.enrol;
    require(
        apart,
        "listen.enrol",
        "must differ from listen.grpc; enrolment has a listener of its own".to_owned(),
    );
    let otlp = telemetry.otlp_endpoint.as_str();
    require(
        otlp.is_empty() || otlp.starts_with("http://") || otlp.starts_with("https://"),
        "telemetry.otlp_endpoint",
        format!("is `{otlp}`; write http://host:4317"),
    );
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    #[test]
    fn all_problems_are_told_at_once() {
        let mut config = load(&Sources::default()).expect("valid");
        config.lease.ttl_ms = 20_000;
        config.lanes.count = 0;
        config.loops.tick_ms = 5_000;
        config.blobs.url = "https://bucket".to_owned();
        let keys: Vec<_> = validate(&config).iter().map(|p| p.key).collect();
        assert_eq!(
            keys,
            ["lanes.count", "lease.ttl_ms", "blobs.url", "loops.tick_ms"]
        );
    }
}
