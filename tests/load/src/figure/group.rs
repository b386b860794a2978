//! Which figures there are, and how they are asked for.

use crate::figure::{
    controllers, decide, drain, fan_out, flock, floor, idle, latency, memory, million, profile,
    readiness, recovery, storage, throughput,
};
use crate::sitting::{Options, Record};

/// Figures that are measured together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group {
    Decide,
    Floor,
    OneStep,
    TenSteps,
    Latency,
    Readiness,
    FanOut,
    Drain,
    Memory,
    Storage,
    Idle,
    Recovery,
    Controllers,
    Flock,
    Million,
    Profile,
}

impl Group {
    /// All of them, in the order of a sitting: what others are divided by comes first.
    pub(crate) const ALL: [Group; 16] = [
        Group::Decide,
        Group::Floor,
        Group::OneStep,
        Group::TenSteps,
        Group::Latency,
        Group::Readiness,
        Group::FanOut,
        Group::Drain,
        Group::Memory,
        Group::Storage,
        Group::Idle,
        Group::Recovery,
        Group::Controllers,
        Group::Flock,
        Group::Million,
        Group::Profile,
    ];

    /// What `--only` and `--skip` call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Group::Decide => "decide",
            Group::Floor => "floor",
            Group::OneStep => "1step",
            Group::TenSteps => "10step",
            Group::Latency => "latency",
            Group::Readiness => "readiness",
            Group::FanOut => "fanout",
            Group::Drain => "drain",
            Group::Memory => "memory",
            Group::Storage => "storage",
            Group::Idle => "idle",
            Group::Recovery => "recovery",
            Group::Controllers => "controllers",
            Group::Flock => "flock",
            Group::Million => "million",
            Group::Profile => "profile",
        }
    }

    /// The figures with a name of their own that it measures; a key that goes on after one of them is meant too.
    pub(crate) fn keys(self) -> &'static [&'static str] {
        match self {
            Group::Decide => &["decide_us_per_step"],
            Group::Floor => &["pgbench_simple_update_tps", "commit_latency"],
            Group::OneStep => &[
                "runs_per_s_1step",
                "cpu_us_per_run_1step",
                "latency_loaded_1step",
            ],
            Group::TenSteps => &[
                "steps_per_s_10step",
                "cpu_us_per_step_10step",
                "latency_loaded_10step",
            ],
            Group::Latency => &["latency_1step", "latency_10step"],
            Group::Readiness => &["ready_to_started"],
            Group::FanOut => &["fanout_items_per_s", "fanout_controller_rss"],
            Group::Drain => &["drain_runs_per_s"],
            Group::Memory => &[
                "controller_rss_idle_mb",
                "controller_rss_growth_100k_sleeping_mb",
            ],
            Group::Storage => &["bytes_per_run_1step"],
            Group::Idle => &["idle_transactions_per_min"],
            Group::Recovery => &["recovery_"],
            Group::Controllers => &["two_controllers_ratio"],
            Group::Flock => &["idle_workers_1000"],
            Group::Million => &["after_1m_ratio", "fresh_to_80_pct_s"],
            Group::Profile => &["profile"],
        }
    }

    /// Whether a word of the command line, the name of a group or a key, means this one.
    pub(crate) fn is_meant_by(self, word: &str) -> bool {
        self.name() == word || self.keys().iter().any(|key| word.starts_with(key))
    }

    /// Measures it.
    pub(crate) async fn measure(
        self,
        options: &Options,
        record: &mut Record,
    ) -> anyhow::Result<()> {
        match self {
            Group::Decide => decide::measure(record),
            Group::Floor => Box::pin(floor::measure(options, record)).await,
            Group::OneStep => Box::pin(throughput::measure(options, record, 1)).await,
            Group::TenSteps => Box::pin(throughput::measure(options, record, 10)).await,
            Group::Latency => Box::pin(latency::measure(options, record)).await,
            Group::Readiness => Box::pin(readiness::measure(options, record)).await,
            Group::FanOut => Box::pin(fan_out::measure(options, record)).await,
            Group::Drain => Box::pin(drain::measure(options, record)).await,
            Group::Memory => Box::pin(memory::measure(options, record)).await,
            Group::Storage => Box::pin(storage::measure(options, record)).await,
            Group::Idle => Box::pin(idle::measure(options, record)).await,
            Group::Recovery => Box::pin(recovery::measure(options, record)).await,
            Group::Controllers => Box::pin(controllers::measure(options, record)).await,
            Group::Flock => Box::pin(flock::measure(options, record)).await,
            Group::Million => Box::pin(million::measure(options, record)).await,
            Group::Profile => Box::pin(profile::measure(options, record)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::figure::Group;

    #[test]
    fn a_key_and_a_name_mean_the_same_group() {
        let meant = |word: &str| -> Vec<Group> {
            let groups = Group::ALL.into_iter();
            groups.filter(|group| group.is_meant_by(word)).collect()
        };
        assert_eq!(meant("1step"), [Group::OneStep]);
        assert_eq!(meant("cpu_us_per_run_1step_postgres"), [Group::OneStep]);
        assert_eq!(meant("latency_10step_p50_ms"), [Group::Latency]);
        assert_eq!(meant("recovery_s"), [Group::Recovery]);
        assert_eq!(meant("speed"), []);
    }
}
