//! `idle_workers_1000_rss_mb`, `_cpu_pct` of a core: what a controller needs for a thousand connected workers with
//! nothing to do. They are real workers, all in one process of their own.

use std::process::Command;
use std::time::{Duration, Instant};

use fulcrum_e2e::process::Process;
use fulcrum_proto::admin::v1::CreateJoinTokenRequest;
use fulcrum_proto::common::v1::IdentityKind;
use fulcrum_sdk::client;

use crate::meter::memory;
use crate::rig::installation::Installation;
use crate::rig::patience::until;
use crate::rig::usage::Usage;
use crate::sitting::{Options, Record};

const WORKERS: u64 = 1_000;
const SETTLING: Duration = Duration::from_secs(30);
const WATCHED: Duration = Duration::from_secs(60);

/// All come from one address, which is more than one address may hold by default.
const ROOM: &[(&str, &str)] = &[("FULCRUM_SERVER__CONNECTIONS_PER_IP_MAX", "4000")];

/// Lets them in, waits until all are there, and watches.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    let installation = Installation::bare(options, ROOM, &[]).await?;
    let count = options.count(WORKERS);
    let mut command = Command::new(std::env::current_exe()?);
    let controller = &installation.controllers[0];
    command
        .arg("flock")
        .arg("--endpoint")
        .arg(controller.endpoint());
    let mut admin = client::workers(installation.channel().await?);
    for n in 0..count {
        let name = format!("idle-{n}");
        let request = CreateJoinTokenRequest {
            namespace: "default".to_owned(),
            name: name.clone(),
            kind: IdentityKind::Executor.into(),
            capability_patterns: vec!["*".to_owned()],
            ..CreateJoinTokenRequest::default()
        };
        let token = admin.create_join_token(request).await?.into_inner().token;
        let identity = controller.join(&name, &token).await?;
        command.arg("--identities").arg(identity.path());
    }
    let _flock = Process::start("flock", installation.home(), command)?;
    arrived(&installation, count).await?;
    tokio::time::sleep(options.wait(SETTLING)).await;
    for _ in 0..options.repetitions {
        let before = Usage::read(&installation)?;
        let began = Instant::now();
        tokio::time::sleep(options.wait(WATCHED)).await;
        let seconds = began.elapsed().as_secs_f64();
        let used = Usage::read(&installation)?.since(&before);
        let rss = memory::rss_mb(controller.pid())?;
        record.put("idle_workers_1000_rss_mb", rss);
        record.put(
            "idle_workers_1000_cpu_pct",
            used.controller / seconds * 100.0,
        );
        record.put(
            "idle_workers_1000_postgres_cpu_pct",
            used.postgres / seconds * 100.0,
        );
    }
    Ok(())
}

/// Waits until all have registered.
async fn arrived(installation: &Installation, count: u64) -> anyhow::Result<()> {
    let look = async || {
        let registered = installation
            .postgres
            .value("select count(*) from workers")?;
        let there = registered.parse::<u64>()? >= count;
        anyhow::ensure!(there, "{registered} of {count} have registered");
        Ok(())
    };
    until("all workers are there", look).await
}
