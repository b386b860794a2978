//! The table at the end of a sitting.

use crate::report::bars::{Must, Verdict, judge};
use crate::report::figures::{Figure, Figures};

/// All figures with median, spread, ratio and bar.
pub(crate) fn render(figures: &Figures) -> String {
    let head = ["figure", "median", "spread", "ratio", "bar", "aim", ""].map(str::to_owned);
    let rows = figures.iter().map(|figure| row(figures, figure));
    let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        for (index, (cell, width)) in row.iter().zip(widths).enumerate() {
            // Names to the left, numbers to the right.
            let padded = if index == 0 {
                format!("{cell:<width$}")
            } else {
                format!("  {cell:>width$}")
            };
            text.push_str(&padded);
        }
        text = text.trim_end().to_owned() + "\n";
    }
    text
}

fn row(figures: &Figures, figure: &Figure) -> [String; 7] {
    let verdict = judge(figures, &figure.key);
    let spread = match figure.values.len() {
        0 | 1 => String::new(),
        _ => format!("±{:.0} %", figure.spread() * 50.0),
    };
    let ratio = verdict
        .as_ref()
        .filter(|verdict| verdict.bar.per.is_some())
        .map_or_else(String::new, |verdict| number(verdict.compared));
    let (bar, aim, met) = verdict.as_ref().map_or_else(Default::default, judged);
    [
        figure.key.clone(),
        number(figure.median()),
        spread,
        ratio,
        bar,
        aim,
        met,
    ]
}

fn judged(verdict: &Verdict) -> (String, String, String) {
    let bar = match verdict.bar.must {
        Must::BeAtMost(most) => format!("≤ {}", number(most)),
        Must::BeAtLeast(least) => format!("≥ {}", number(least)),
    };
    let aim = verdict.bar.aim.map_or_else(String::new, number);
    let met = if verdict.met { "met" } else { "MISSED" };
    (bar, aim, met.to_owned())
}

/// Three digits that matter, and no more.
fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => grouped(value),
        size if size >= 10.0 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}

fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        let left = digits.len() - index;
        if index > 0 && left.is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_stands_beside_its_bar() {
        let mut figures = Figures::default();
        figures.put("pgbench_simple_update_tps", 8_100.0);
        for value in [4_000.0, 4_050.0, 4_200.0] {
            figures.put("runs_per_s_1step", value);
        }
        figures.put("latency_1step_p50_ms", 1.13);
        let table = render(&figures);
        let lines: Vec<_> = table
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(lines[1], "pgbench_simple_update_tps 8,100");
        assert_eq!(
            lines[2],
            "runs_per_s_1step 4,050 ±2 % 0.50 ≥ 0.60 0.70 MISSED"
        );
        assert_eq!(lines[3], "latency_1step_p50_ms 1.13 ≤ 1.20 met");
    }
}
