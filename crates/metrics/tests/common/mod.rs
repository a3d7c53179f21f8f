//! Naive oracles that the measures are held to: every class of every row is looked at.
#![allow(dead_code)]

use lexmax_metrics::TopK;

/// Rank by definition: 1 plus the other candidates that score at least as much.
pub fn rank(scores: &[f64], target: usize, excluded: &[u32]) -> u64 {
    let others = (0..scores.len()).filter(|&c| c != target && !excluded.contains(&(c as u32)));
    1 + others.filter(|&c| scores[c] >= scores[target]).count() as u64
}

/// Prediction by definition: the target at rank 1, else the best other class, the least of equals.
pub fn prediction(scores: &[f64], target: usize) -> usize {
    if rank(scores, target, &[]) == 1 {
        return target;
    }
    let mut best = None::<usize>;
    for class in (0..scores.len()).filter(|&c| c != target) {
        best = Some(best.filter(|&b| scores[b] >= scores[class]).unwrap_or(class));
    }
    best.unwrap()
}

/// Candidates by falling score, at equal score non-targets first, then by id.
pub fn order(scores: &[f64], targets: &[u32], excluded: &[u32]) -> Vec<u32> {
    let mut classes: Vec<u32> = (0..scores.len() as u32).filter(|c| !excluded.contains(c)).collect();
    classes.sort_by(|&a, &b| {
        let by_score = scores[b as usize].total_cmp(&scores[a as usize]);
        by_score.then(targets.contains(&a).cmp(&targets.contains(&b))).then(a.cmp(&b))
    });
    classes
}

/// Owned list of the best classes, ties by id, as a layer's top-k gives them.
pub struct Best {
    pub ids: Vec<u32>,
    pub scores: Vec<f64>,
}

impl Best {
    pub fn of(scores: &[f64], length: usize) -> Best {
        let mut ids = order(scores, &[], &[]);
        ids.truncate(length);
        let scores = ids.iter().map(|&id| scores[id as usize]).collect();
        Best { ids, scores }
    }

    pub fn list(&self) -> TopK<'_> {
        TopK { ids: &self.ids, scores: &self.scores }
    }
}

/// Gain of nDCG at a position counted from 1.
pub fn gain(position: usize) -> f64 {
    1.0 / (1.0 + position as f64).log2()
}

/// Whether two figures agree but for rounding.
pub fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-12 * (1.0 + b.abs()) || a == b
}
