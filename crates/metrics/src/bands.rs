//! Bands of classes by training count: many, medium, few and cold.

use crate::MetricsError;

/// Classes with a training count in one range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Band {
    /// Name, as in `many` or `5 to 19`.
    pub name: String,
    /// Least training count.
    pub least: u64,
    /// Greatest training count; none where there is no limit.
    pub most: Option<u64>,
}

impl Band {
    /// Whether a class with this training count belongs to the band.
    pub fn holds(&self, count: u64) -> bool {
        count >= self.least && self.most.is_none_or(|most| count <= most)
    }
}

/// Bands between edges, from the greatest counts to the class that training never saw.
///
/// Two edges `a, b` give `few < a <= medium <= b < many`, the shots of Liu et al., "Large-Scale
/// Long-Tailed Recognition in an Open World" (2019, arXiv 1904.05160), which takes 20 and 100. Of
/// other numbers of edges each begins the next band and the last one ends its own: 5, 20 and 100
/// give 1 to 4, 5 to 19, 20 to 100, 101 or more. The band `cold` has count 0. Every count is in
/// exactly one band.
///
/// ```
/// let bands = lexmax_metrics::bands(&[20, 100])?;
/// let names: Vec<&str> = bands.iter().map(|band| band.name.as_str()).collect();
/// assert_eq!(names, ["many", "medium", "few", "cold"]);
/// assert!(bands[1].holds(20) && bands[1].holds(100) && !bands[1].holds(101));
/// # Ok::<(), lexmax_metrics::MetricsError>(())
/// ```
///
/// # Errors
/// Edges that do not rise, or begin below 2, which leaves nothing for the lowest band.
pub fn bands(edges: &[u64]) -> Result<Vec<Band>, MetricsError> {
    let rising = edges.windows(2).all(|pair| pair[0] < pair[1]);
    if !rising || edges.first().is_some_and(|&edge| edge < 2) || edges.contains(&u64::MAX) {
        let given = format!("{edges:?}");
        return Err(MetricsError::value("bands of classes", "edges", given, "counts that rise, from 2 on"));
    }
    // First count of each band: the last edge still belongs to the band below it, unless it is the
    // only one.
    let mut starts = vec![1];
    starts.extend(edges.iter().take(edges.len().saturating_sub(1)));
    starts.extend(edges.last().map(|edge| edge + 1));
    let names = ["few", "medium", "many"];
    let range = |at: usize| {
        let (least, most) = (starts[at], starts.get(at + 1).map(|next| next - 1));
        let name = match most {
            _ if edges.len() == 2 => names[at].to_owned(),
            Some(most) => format!("{least} to {most}"),
            None => format!("{least} or more"),
        };
        Band { name, least, most }
    };
    let cold = Band { name: "cold".to_owned(), least: 0, most: Some(0) };
    Ok((0..starts.len()).rev().map(range).chain([cold]).collect())
}

/// Index of the band that holds a count.
pub(crate) fn band_of(bands: &[Band], count: u64) -> usize {
    // Bands cover every count, so the last index is never a fallback in use.
    bands.iter().position(|band| band.holds(count)).unwrap_or(bands.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn names(edges: &[u64]) -> Vec<String> {
        bands(edges).unwrap().into_iter().map(|band| band.name).collect()
    }

    #[test]
    fn bands_of_other_numbers_of_edges_are_named_by_counts() {
        assert_eq!(names(&[]), ["1 or more", "cold"]);
        assert_eq!(names(&[5]), ["6 or more", "1 to 5", "cold"]);
        assert_eq!(names(&[5, 20, 100]), ["101 or more", "20 to 100", "5 to 19", "1 to 4", "cold"]);
    }

    #[test]
    fn counts_at_the_edges_are_in_exactly_one_band() {
        for edges in [&[][..], &[5], &[20, 100], &[200, 1000], &[5, 20, 100]] {
            let bands = bands(edges).unwrap();
            for count in edges.iter().flat_map(|&edge| [edge - 1, edge, edge + 1]).chain([0, 1, u64::MAX]) {
                let held: Vec<usize> = (0..bands.len()).filter(|&at| bands[at].holds(count)).collect();
                assert_eq!(held, [band_of(&bands, count)], "{count} in {edges:?}");
            }
        }
        let bands = bands(&[20, 100]).unwrap();
        let name = |count| bands[band_of(&bands, count)].name.as_str();
        assert_eq!([0, 1, 19, 20, 100, 101].map(name), ["cold", "few", "few", "medium", "medium", "many"]);
    }

    #[test]
    fn edges_that_do_not_rise_are_refused() {
        for edges in [&[100, 20][..], &[20, 20], &[1, 5], &[0], &[u64::MAX]] {
            let error = bands(edges).unwrap_err().to_string();
            assert!(error.contains(&format!("{edges:?}")) && error.contains("rise"), "{error}");
        }
    }
}
