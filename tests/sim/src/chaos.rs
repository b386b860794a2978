//! Deaths, pauses, cuts and jumps: what befalls machines rather than messages.

use std::sync::Arc;
use std::time::Duration;

use crate::Stage;
use crate::cluster::host::{Blow, Host, LEASE_MS};
use crate::edge::gate::Motion;
use crate::edge::worker::Site;
use crate::stage::dice::Dice;
use crate::stage::sometimes::Sometimes;

/// Everything that befalls the world is mended after at most this.
pub const MENDED_AFTER: Duration = Duration::from_millis(9_000);

/// Whatever befalls a world.
#[derive(Clone)]
pub struct Chaos {
    /// The world.
    pub stage: Arc<Stage>,
    /// Controllers.
    pub hosts: Vec<Arc<Host>>,
    /// Workers.
    pub sites: Vec<Arc<Site>>,
}

impl Chaos {
    /// Strikes until the storm is over.
    pub async fn reign(self) {
        let dice = Dice::of(self.stage.seed, "chaos");
        let misfortune = self.stage.storm.rates().misfortune;
        loop {
            tokio::time::sleep(dice.span_ms(200, 2_500)).await;
            if self.stage.storm.is_over() {
                return;
            }
            if dice.happens(misfortune) {
                self.strike(&dice);
            }
        }
    }

    /// Kills workers at the very moment at which they are granted something.
    pub async fn reap(self) {
        let dice = Dice::of(self.stage.seed, "reaper of workers");
        loop {
            for worker in self.stage.doomed().await {
                let Some(site) = self.sites.iter().find(|site| site.worker() == worker) else {
                    continue;
                };
                self.stage.saw(Sometimes::GranteeDied);
                self.stage
                    .note(site.name(), "dies before it hears of its grant");
                site.kill();
                let site = Arc::clone(site);
                later(dice.span_ms(500, 6_000), move || site.start());
            }
        }
    }

    fn strike(&self, dice: &Dice) {
        let host = &self.hosts[dice.index(self.hosts.len())];
        let site = &self.sites[dice.index(self.sites.len())];
        let stage = &self.stage;
        let span = dice.span_ms(100, 8_000);
        match dice.below(9) {
            0 => host.strike(Blow::Crash(span.min(Duration::from_secs(5)))),
            1 => host.strike(Blow::Drain(span / 4)),
            2 => {
                stage.saw(Sometimes::ControllerCutOff);
                stage.note(
                    host.name(),
                    format_args!("cannot reach the database for {span:?}"),
                );
                host.cut_off(true);
                let host = Arc::clone(host);
                later(span, move || host.cut_off(false));
            }
            3 => {
                stage.saw(Sometimes::WorkerCrashed);
                stage.note(site.name(), "dies");
                site.kill();
                let site = Arc::clone(site);
                later(span, move || site.start());
            }
            4 | 5 => {
                if span > Duration::from_millis(LEASE_MS) {
                    stage.saw(Sometimes::WorkerStoodStill);
                }
                stage.note(site.name(), format_args!("stands still for {span:?}"));
                site.set(Motion::Stopped);
                let site = Arc::clone(site);
                later(span, move || site.set(Motion::Running));
            }
            6 => {
                stage.saw(Sometimes::WorkerCutOff);
                stage.note(site.name(), format_args!("can reach nobody for {span:?}"));
                site.wire().cut(true);
                let site = Arc::clone(site);
                later(span, move || site.wire().cut(false));
            }
            7 => {
                let by = 1_500 + dice.below(100_000);
                stage.saw(Sometimes::ClockJumpedForward);
                stage.note("db", format_args!("the clock jumps {by} ms ahead"));
                stage.clock.jump_ms(i64::try_from(by).unwrap_or(i64::MAX));
            }
            _ => {
                let by = 1_500 + dice.below(14_000);
                stage.saw(Sometimes::ClockJumpedBackward);
                stage.note("db", format_args!("the clock jumps {by} ms back"));
                stage.clock.jump_ms(-i64::try_from(by).unwrap_or(i64::MAX));
            }
        }
    }
}

fn later(span: Duration, mend: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        tokio::time::sleep(span).await;
        mend();
    });
}
