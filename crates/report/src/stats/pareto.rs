//! The Pareto front of a quantity to maximise (throughput) and one to minimise (perplexity).

/// One candidate: `gain` is better when larger, `cost` when smaller.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// Quantity that should be large.
    pub gain: f64,
    /// Quantity that should be small.
    pub cost: f64,
}

/// Marks the points that no other point dominates. Equal points share their fate; points with a NaN
/// or an infinity are never on the front. Zero is a value like any other.
pub fn front(points: &[Point]) -> Vec<bool> {
    let valid = |point: &Point| point.gain.is_finite() && point.cost.is_finite();
    // By falling gain, then rising cost: a point is on the front when its cost is below all before
    // it.
    let mut order: Vec<usize> = (0..points.len()).filter(|&i| valid(&points[i])).collect();
    order.sort_by(|&a, &b| {
        points[b].gain.total_cmp(&points[a].gain).then(points[a].cost.total_cmp(&points[b].cost))
    });
    let mut on_front = vec![false; points.len()];
    let mut best: Option<Point> = None;
    for i in order {
        let point = points[i];
        if best.is_none_or(|best| point.cost < best.cost || point == best) {
            on_front[i] = true;
            best = Some(point);
        }
    }
    on_front
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Whether `a` is at least as good as `b` in both respects and better in one.
    fn dominates(a: &Point, b: &Point) -> bool {
        a.gain >= b.gain && a.cost <= b.cost && (a.gain > b.gain || a.cost < b.cost)
    }

    fn points(values: &[(f64, f64)]) -> Vec<Point> {
        values.iter().map(|&(gain, cost)| Point { gain, cost }).collect()
    }

    #[test]
    fn zeros_stay_ties_share_and_nan_is_left_out() {
        let marks =
            front(&points(&[(0.0, 1.0), (5.0, 2.0), (5.0, 2.0), (4.0, 2.0), (9.0, f64::NAN), (5.0, 3.0)]));
        assert_eq!(marks, [true, true, true, false, false, false]);
        assert_eq!(front(&[]), Vec::<bool>::new());
        assert_eq!(front(&points(&[(0.0, 0.0)])), [true]);
        assert_eq!(front(&points(&[(-0.0, 1.0), (0.0, 1.0)])), [true, true]);
    }

    proptest! {
        // Few distinct values, so that ties are common.
        #[test]
        fn on_the_front_means_not_dominated(values in prop::collection::vec((0..6i32, 0..6i32), 0..20)) {
            let points: Vec<Point> =
                values.iter().map(|&(gain, cost)| Point { gain: gain.into(), cost: cost.into() }).collect();
            let marks = front(&points);
            for (point, on_front) in points.iter().zip(marks) {
                prop_assert_eq!(on_front, !points.iter().any(|other| dominates(other, point)));
            }
        }
    }
}
