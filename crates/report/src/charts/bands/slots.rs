//! The horizontal axis: one slot a band of ranks, one place in it an output.

use std::collections::BTreeMap;

use super::super::drawing::{Align, Bounds, Drawing, Ink, MEDIUM, MUTED, SMALL, TEXT};
use super::super::legend;

const SHADE: Ink = Ink::new(0xf4, 0xf4, 0xf4);

/// Ranks of a band: first, and first after it.
pub type Ranks = (u64, u64);

/// Places of the bands, and of each output within one.
pub struct Slots {
    /// Left side of the first band.
    pub left: f64,
    /// Right side of the last.
    pub right: f64,
    /// The bands from left to right.
    pub bands: Vec<Ranks>,
    /// Number of outputs.
    pub rows: usize,
}

impl Slots {
    fn width(&self) -> f64 {
        (self.right - self.left) / self.bands.len() as f64
    }

    fn start(&self, band: usize) -> f64 {
        self.left + band as f64 * self.width()
    }

    /// Place of an output in a band.
    pub fn x(&self, ranks: Ranks, row: usize) -> f64 {
        let band = self.bands.iter().position(|other| *other == ranks).unwrap_or(0);
        self.start(band) + self.width() * (row as f64 + 1.0) / (self.rows as f64 + 1.0)
    }

    /// Shades every other band.
    pub fn shade(&self, drawing: &mut Drawing, bounds: Bounds) {
        for band in (1..self.bands.len()).step_by(2) {
            let left = self.start(band);
            drawing.rectangle(Bounds { left, right: left + self.width(), ..bounds }, SHADE);
        }
    }

    /// Writes ranks and shares under the bands.
    pub fn label(&self, drawing: &mut Drawing, bottom: f64, tokens: &BTreeMap<Ranks, u64>) {
        drawing.line(vec![(self.left, bottom), (self.right, bottom)], MUTED, 1.2);
        let total: u64 = tokens.values().sum();
        for (band, ranks) in self.bands.iter().enumerate() {
            let middle = self.start(band) + 0.5 * self.width();
            // The full number where it fits, thousands as k where it does not.
            let room = self.width() - 6.0;
            let full = format!("{}-{}", ranks.0, ranks.1.saturating_sub(1));
            let full = if band == 0 { format!("rank {full}") } else { full };
            let short = format!("{}-{}", thousands(ranks.0), thousands(ranks.1));
            let fits = super::super::font::text_width(&full, SMALL) <= room;
            let label = if fits { full } else { legend::fit(&short, room.max(30.0)) };
            drawing.text((middle, bottom + 18.0), &label, SMALL, TEXT, Align::Middle);
            let count = tokens.get(ranks).copied().unwrap_or(0);
            let share = format!("{:.1} %", 100.0 * count as f64 / total as f64);
            drawing.text(
                (middle, bottom + 38.0),
                &legend::fit(&share, room.max(30.0)),
                SMALL,
                MUTED,
                Align::Middle,
            );
        }
        let middle = 0.5 * (self.left + self.right);
        let title = "frequency rank of the target, and share of the test tokens";
        drawing.text((middle, bottom + 66.0), title, MEDIUM, TEXT, Align::Middle);
    }
}

fn thousands(rank: u64) -> String {
    if rank >= 1_000_000 {
        format!("{}M", crate::format::significant(rank as f64 / 1e6, 2))
    } else if rank >= 1000 {
        format!("{}k", crate::format::significant(rank as f64 / 1e3, 2))
    } else {
        rank.to_string()
    }
}
