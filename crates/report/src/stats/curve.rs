//! The mean of learning curves whose points lie at different times.

/// Mean of several curves of positive values over time. Each curve is interpolated linearly in time
/// and in the logarithm of the value; the mean is taken at every time that occurs in a curve, where
/// all curves are defined. Curves must be in order of time; points that are not finite or not
/// positive are left out.
pub fn mean(curves: &[Vec<(f64, f64)>]) -> Vec<(f64, f64)> {
    let curves: Vec<Vec<(f64, f64)>> = curves
        .iter()
        .map(|curve| {
            curve
                .iter()
                .copied()
                .filter(|&(t, v)| t.is_finite() && v.is_finite() && v > 0.0)
                .collect::<Vec<_>>()
        })
        .filter(|curve| !curve.is_empty())
        .collect();
    let latest_start = curves.iter().map(|curve| curve[0].0).fold(f64::NEG_INFINITY, f64::max);
    let earliest_end = curves.iter().map(|curve| curve[curve.len() - 1].0).fold(f64::INFINITY, f64::min);
    let mut times: Vec<f64> = curves
        .iter()
        .flatten()
        .map(|&(time, _)| time)
        .filter(|time| (latest_start..=earliest_end).contains(time))
        .collect();
    times.sort_by(f64::total_cmp);
    times.dedup();
    times
        .into_iter()
        .map(|time| {
            let sum: f64 = curves.iter().map(|curve| value_at(curve, time)).sum();
            (time, sum / curves.len() as f64)
        })
        .collect()
}

/// Value of one curve at a time between its first and its last point.
fn value_at(curve: &[(f64, f64)], time: f64) -> f64 {
    let after = curve.partition_point(|point| point.0 < time).min(curve.len() - 1);
    let (t1, v1) = curve[after];
    if after == 0 || t1 <= time {
        return v1;
    }
    let (t0, v0) = curve[after - 1];
    let share = (time - t0) / (t1 - t0);
    (v0.ln() * (1.0 - share) + v1.ln() * share).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_curve_is_its_own_mean() {
        let curve = vec![(0.0, 100.0), (1.0, 50.0), (2.5, 20.0)];
        assert_eq!(mean(std::slice::from_ref(&curve)), curve);
        assert_eq!(mean(&[]), []);
        assert_eq!(mean(&[vec![], vec![(1.0, 3.0)]]), [(1.0, 3.0)]);
    }

    #[test]
    fn curves_are_interpolated_and_cut_to_the_common_time() {
        let slow = vec![(0.0, 100.0), (2.0, 1.0)];
        let fast = vec![(1.0, 30.0), (3.0, 10.0)];
        let mean = mean(&[slow, fast]);
        // Common time is 1 to 2; at 1 the slow curve is sqrt(100 * 1) = 10, at 2 the fast one
        // sqrt(30 * 10).
        assert_eq!(mean.len(), 2);
        assert!((mean[0].1 - 20.0).abs() < 1e-9 && mean[0].0 == 1.0);
        assert!((mean[1].1 - 0.5 * (1.0 + 300.0_f64.sqrt())).abs() < 1e-9 && mean[1].0 == 2.0);
    }

    #[test]
    fn curves_without_common_time_have_no_mean_or_bad_points() {
        assert_eq!(mean(&[vec![(0.0, 2.0)], vec![(1.0, 2.0)]]), []);
        assert_eq!(mean(&[vec![(0.0, f64::NAN), (1.0, 4.0), (2.0, f64::INFINITY)]]), [(1.0, 4.0)]);
    }
}
