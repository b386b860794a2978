//! Figures by key, one value per repetition.

/// A figure.
pub(crate) struct Figure {
    /// What `report.json` calls it.
    pub(crate) key: String,
    /// One for each repetition, in order.
    pub(crate) values: Vec<f64>,
}

impl Figure {
    /// The middle value, or the mean of the two in the middle.
    pub(crate) fn median(&self) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => (sorted[middle - 1] + sorted[middle]) / 2.0,
        }
    }

    /// The smallest and the largest value.
    pub(crate) fn range(&self) -> (f64, f64) {
        let low = self.values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self
            .values
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        (low, high)
    }

    /// How far apart the repetitions are, as a share of the median. Zero for a single one.
    pub(crate) fn spread(&self) -> f64 {
        let (low, high) = self.range();
        let median = self.median();
        if median == 0.0 || self.values.len() < 2 {
            return 0.0;
        }
        (high - low) / median.abs()
    }
}

/// All figures, in the order they were first measured.
#[derive(Default)]
pub(crate) struct Figures(Vec<Figure>);

impl Figures {
    /// Adds one repetition's value and shows it.
    pub(crate) fn put(&mut self, key: &str, value: f64) {
        println!("  {key:<44} {value:>14.3}");
        match self.0.iter_mut().find(|figure| figure.key == key) {
            Some(figure) => figure.values.push(value),
            None => self.0.push(Figure {
                key: key.to_owned(),
                values: vec![value],
            }),
        }
    }

    /// The median of a figure, if it was measured in this sitting.
    pub(crate) fn median(&self, key: &str) -> Option<f64> {
        let figure = self.0.iter().find(|figure| figure.key == key);
        figure.map(Figure::median)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Figure> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_repetitions_give_their_median_and_spread() {
        let mut figures = Figures::default();
        for value in [9.0, 12.0, 10.0] {
            figures.put("a", value);
        }
        figures.put("b", 1.0);
        assert_eq!(figures.median("a"), Some(10.0));
        assert_eq!(figures.median("c"), None);
        let spreads: Vec<f64> = figures.iter().map(Figure::spread).collect();
        assert_eq!(spreads, [0.3, 0.0]);
    }
}
