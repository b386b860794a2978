//! `profile_…`: where a run's microseconds, rows and bytes go. A pass of its own, without checkpoints, in which the
//! database counts its statements; its figures explain the others and are not held against bars.

use crate::load::closed::{self, Until};
use crate::load::starter::Starter;
use crate::meter::counters::{Counters, SETTLING};
use crate::meter::{cpu, statements};
use crate::report::profile::Profile;
use crate::rig::installation::Installation;
use crate::rig::usage::Usage;
use crate::rig::workflow::Workflow;
use crate::sitting::{Options, Record};

/// Profiles runs of one and of ten steps.
pub(crate) async fn measure(options: &Options, record: &mut Record) -> anyhow::Result<()> {
    let mut installation = Installation::bare(options, &[], statements::COUNTING).await?;
    installation
        .add_worker(0, "executor", options.slots)
        .await?;
    for steps in [1, 10] {
        let workflow = Workflow::Steps(steps);
        installation.apply(workflow).await?;
        let starter = Starter::new(&installation.channels().await?, workflow);
        options.warm(&installation, &starter).await?;
        let profile = watch(options, &installation, &starter).await?;
        let key = format!("{steps}step");
        let mut put = |name: &str, each: f64| {
            record.put(&format!("profile_{name}_per_run_{key}"), each);
        };
        put("wal_bytes", profile.count("wal_bytes"));
        put("wal_syncs", profile.count("wal_syncs"));
        put("commits", profile.count("commits"));
        put("statements", profile.calls());
        put("rows", profile.rows());
        println!("{}", profile.render());
        record.detail(&format!("profile_{key}"), profile.json());
    }
    Ok(())
}

/// Puts load on and reads everything off.
async fn watch(
    options: &Options,
    installation: &Installation,
    starter: &Starter,
) -> anyhow::Result<Profile> {
    let postgres = &installation.postgres;
    tokio::time::sleep(SETTLING).await;
    statements::reset(postgres)?;
    let counters = Counters::read(postgres)?;
    let roles = cpu::of_server_by_role(postgres.pid()?)?;
    let used = Usage::read(installation)?;

    let until = Until::Elapsed(options.short());
    let outcome = closed::load(starter, options.in_flight, until).await?;

    let runs = outcome.runs();
    let each_us = |seconds: f64| seconds * 1e6 / runs;
    let used = Usage::read(installation)?.since(&used);
    let parts = used.parts().into_iter();
    let after = cpu::of_server_by_role(postgres.pid()?)?.into_iter();
    let by_role = after.map(|(role, seconds)| {
        let before = roles.get(&role).copied().unwrap_or(0.0);
        (role, each_us(seconds - before))
    });
    let statements = statements::read(postgres)?;
    tokio::time::sleep(SETTLING).await;
    Ok(Profile {
        runs,
        cpu_us: parts
            .map(|(part, seconds)| (part.to_owned(), each_us(seconds)))
            .collect(),
        postgres_cpu_us: by_role.collect(),
        counted: Counters::read(postgres)?.since(&counters, runs),
        statements,
    })
}
