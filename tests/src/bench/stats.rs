//! From rounds to a figure: medians, and how far they can be trusted. Pure.

/// A median with the bounds between which the true one lies with 95 %.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) median: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// From the values of the rounds; `None` of fewer than six, which bound nothing.
///
/// The bounds are order statistics: half the rounds lie below the true median
/// with the binomial distribution's probabilities, whatever the noise is like.
pub(crate) fn figure(values: &[f64]) -> Option<Figure> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let outer = (0..n / 2).rev().find(|&rank| coverage(n, rank) >= 0.95)?;
    Some(Figure {
        median: middle(&sorted),
        low: sorted[outer],
        high: sorted[n - 1 - outer],
    })
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[half]
    } else {
        (sorted[half - 1] + sorted[half]) / 2.0
    }
}

/// The probability that the median lies between the values of this rank from
/// below (0: the least) and the same from above.
fn coverage(n: usize, rank: usize) -> f64 {
    let mut outside = 0.0;
    let mut ways = 1.0;
    for k in 0..=rank {
        outside += ways;
        ways *= (n - k) as f64 / (k + 1) as f64;
    }
    1.0 - 2.0 * outside / 2f64.powi(i32::try_from(n).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_rounds_are_bounded_by_the_fourth_from_each_end() {
        let values: Vec<f64> = (1..=15).rev().map(f64::from).collect();
        let figure = figure(&values).unwrap();
        assert_eq!((figure.low, figure.median, figure.high), (4.0, 8.0, 12.0));
        assert!((coverage(15, 3) - 0.9648).abs() < 1e-4);
        assert!(coverage(15, 4) < 0.95);
    }

    #[test]
    fn few_rounds_bound_nothing() {
        assert_eq!(figure(&[1.0; 5]), None);
        let six = figure(&[6.0, 1.0, 2.0, 3.0, 4.0, 5.0]).unwrap();
        assert_eq!((six.low, six.median, six.high), (1.0, 3.5, 6.0));
    }
}
