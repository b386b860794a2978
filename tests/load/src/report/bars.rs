//! What each figure must reach.

use crate::report::figures::Figures;

/// A bar.
pub(crate) struct Bar {
    /// The figure.
    pub(crate) key: &'static str,
    /// The figure it is divided by first, measured in the same sitting.
    pub(crate) per: Option<&'static str>,
    /// The bar.
    pub(crate) must: Must,
    /// What is aimed at beyond it.
    pub(crate) aim: Option<f64>,
}

/// Which side of the bar is good.
#[derive(Clone, Copy)]
pub(crate) enum Must {
    /// This or less.
    BeAtMost(f64),
    /// This or more.
    BeAtLeast(f64),
}

/// A figure held against its bar.
pub(crate) struct Verdict {
    /// The bar.
    pub(crate) bar: &'static Bar,
    /// What was compared: the median, or its ratio to the other figure's.
    pub(crate) compared: f64,
    /// Whether it is good.
    pub(crate) met: bool,
}

const fn at_most(key: &'static str, bar: f64) -> Bar {
    Bar {
        key,
        per: None,
        must: Must::BeAtMost(bar),
        aim: None,
    }
}

const fn at_least(key: &'static str, per: Option<&'static str>, bar: f64) -> Bar {
    Bar {
        key,
        per,
        must: Must::BeAtLeast(bar),
        aim: None,
    }
}

const fn aiming(bar: Bar, aim: f64) -> Bar {
    Bar {
        aim: Some(aim),
        ..bar
    }
}

const FLOOR: Option<&str> = Some("pgbench_simple_update_tps");
const RUNS: Option<&str> = Some("runs_per_s_1step");

/// All of them.
const BARS: &[Bar] = &[
    aiming(at_most("cpu_us_per_run_1step", 400.0), 280.0),
    aiming(at_most("cpu_us_per_step_10step", 120.0), 85.0),
    aiming(at_least("runs_per_s_1step", FLOOR, 0.6), 0.7),
    aiming(at_least("steps_per_s_10step", FLOOR, 2.0), 2.3),
    aiming(at_least("fanout_items_per_s", RUNS, 0.5), 1.0),
    aiming(at_least("drain_runs_per_s", RUNS, 0.4), 0.8),
    at_most("latency_1step_p50_ms", 1.2),
    at_most("latency_1step_p99_ms", 4.0),
    at_most("latency_10step_p50_ms", 6.0),
    at_most("ready_to_started_p50_ms", 3.0),
    at_most("ready_to_started_p99_ms", 25.0),
    at_most("controller_rss_idle_mb", 60.0),
    at_most("controller_rss_growth_100k_sleeping_mb", 60.0),
    at_most("bytes_per_run_1step", 4_000.0),
    at_most("idle_transactions_per_min", 90.0),
    at_most("recovery_s", 3.0),
    at_most("recovery_in_flight_s", 31.0),
    at_most("recovery_lost", 0.0),
    at_most("recovery_started_twice", 0.0),
    at_most("recovery_accepted_twice", 0.0),
    at_least("two_controllers_ratio", None, 0.85),
    at_most("idle_workers_1000_rss_mb", 250.0),
    at_most("idle_workers_1000_cpu_pct", 5.0),
    at_least("after_1m_ratio", None, 0.9),
    at_most("fresh_to_80_pct_s", 10.0),
    at_most("decide_us_per_step", 10.0),
];

/// Holds a figure against its bar. None if it has none, or if what it is divided by was not measured.
pub(crate) fn judge(figures: &Figures, key: &str) -> Option<Verdict> {
    let bar = BARS.iter().find(|bar| bar.key == key)?;
    let value = figures.median(key)?;
    let compared = match bar.per {
        None => value,
        Some(other) => value / figures.median(other)?,
    };
    let met = match bar.must {
        Must::BeAtMost(most) => compared <= most,
        Must::BeAtLeast(least) => compared >= least,
    };
    Some(Verdict { bar, compared, met })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Group;

    #[test]
    fn a_ratio_is_judged_only_beside_what_it_is_of() {
        let mut figures = Figures::default();
        figures.put("runs_per_s_1step", 5_000.0);
        assert!(judge(&figures, "runs_per_s_1step").is_none());
        figures.put("pgbench_simple_update_tps", 8_000.0);
        let verdict = judge(&figures, "runs_per_s_1step").unwrap();
        assert_eq!((verdict.compared, verdict.met), (0.625, true));
        figures.put("recovery_lost", 1.0);
        assert!(!judge(&figures, "recovery_lost").unwrap().met);
    }

    #[test]
    fn the_manual_has_a_row_for_every_figure_with_a_bar() {
        let manual = include_str!("../../../../docs/performance.md");
        let rows: Vec<&str> = manual
            .lines()
            .filter(|line| line.starts_with("| `"))
            .collect();
        for bar in BARS {
            let name = format!("`{}`", bar.key);
            assert!(rows.iter().any(|row| row.contains(&name)), "{name}");
        }
    }

    #[test]
    fn every_figure_with_a_bar_belongs_to_one_group() {
        for bar in BARS {
            let groups = Group::ALL.iter();
            let meant = groups.filter(|group| group.is_meant_by(bar.key)).count();
            assert_eq!(meant, 1, "{}", bar.key);
        }
    }
}
