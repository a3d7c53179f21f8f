//! Exact test perplexity by the frequency rank of the target: above the values, below the change from the reference.

use std::collections::BTreeMap;

use super::Chart;
use super::axis::Axis;
use super::drawing::{Align, Bounds, Drawing, Ink, MEDIUM, MUTED, SMALL, TEXT};
use super::frame::Frame;
use super::legend::{self, Entry, Swatch};
use super::palette::{Style, draw_marker};
use crate::stats::Estimate;
use crate::summary::Summary;

const SHADE: Ink = Ink::new(0xf4, 0xf4, 0xf4);
const PANEL: f64 = 280.0;

/// Ranks of a band: first, and first after it.
type Ranks = (u64, u64);

struct Row<'a> {
    name: &'a str,
    style: Style,
    bands: BTreeMap<Ranks, Estimate>,
}

/// The chart; `None` where no finished run scored a token in a band.
pub fn chart(summary: &Summary, styles: &[Style]) -> Option<Chart> {
    let mut tokens: BTreeMap<Ranks, u64> = BTreeMap::new();
    let mut rows = Vec::new();
    let mut base = None;
    for (i, (output, &style)) in summary.outputs.iter().zip(styles).enumerate() {
        let mut values: BTreeMap<Ranks, Vec<f64>> = BTreeMap::new();
        for (_, result) in summary.results(output) {
            for band in result.test.bands.iter().filter(|band| band.tokens > 0) {
                let perplexity = (band.nats / band.tokens as f64).exp();
                if perplexity.is_finite() {
                    values.entry((band.from, band.to)).or_default().push(perplexity);
                    let most = tokens.entry((band.from, band.to)).or_default();
                    *most = band.tokens.max(*most);
                }
            }
        }
        let bands: BTreeMap<_, _> =
            values.into_iter().filter_map(|(ranks, values)| Some((ranks, Estimate::of(&values)?))).collect();
        if !bands.is_empty() {
            if summary.reference == Some(i) {
                base = Some(rows.len());
            }
            rows.push(Row { name: &output.name, style, bands });
        }
    }
    if rows.is_empty() {
        return None;
    }
    let base = base.filter(|_| rows.len() > 1);
    let entries: Vec<Entry> = rows
        .iter()
        .map(|row| Entry { text: row.name.to_owned(), swatch: Swatch::Marker(row.style) })
        .collect();
    let head = "Best overall first";
    let legend_left = legend::left(head, &entries);
    let panels = if base.is_some() { 2.0 } else { 1.0 };
    let height =
        (80.0 + panels * PANEL + 30.0 * (panels - 1.0) + 90.0).max(110.0 + legend::height(entries.len()));

    let title = "Perplexity by frequency of the target word";
    let explanation = "Exact, test set. Rank 0 is the most frequent word.";
    let mut drawing = Drawing::new(height, title, explanation);
    let y = Axis::log(rows.iter().flat_map(|row| row.bands.values()).map(|e| e.mean));
    let change = base.map(|base| {
        let changes = rows.iter().map(|row| changes(row, &rows[base])).collect::<Vec<_>>();
        let axis = Axis::linear(changes.iter().flat_map(|c| c.values().copied()).chain([0.0]), false);
        (changes, axis)
    });
    let against =
        base.map_or(String::new(), |base| format!("change from {}, %", legend::fit(rows[base].name, 150.0)));
    let left = change.iter().map(|(_, axis)| Frame::left_margin(axis)).fold(Frame::left_margin(&y), f64::max);
    let right = legend_left - 28.0;
    let slots = Slots { left, right, bands: tokens.keys().copied().collect(), rows: rows.len() };

    let top = Bounds { left, top: 80.0, right, bottom: 80.0 + PANEL };
    let frame = Frame { bounds: top, x: Axis::linear([0.0, 1.0], true), y };
    slots.shade(&mut drawing, top);
    frame.draw_y(&mut drawing, "perplexity, log scale");
    for (i, row) in rows.iter().enumerate() {
        for (ranks, estimate) in &row.bands {
            let x = slots.x(*ranks, i);
            draw_marker(&mut drawing, row.style.marker, (x, frame.y(estimate.mean)), 5.0, row.style.ink);
        }
    }
    drawing.line(vec![(left, top.bottom), (right, top.bottom)], MUTED, 1.2);
    let mut bottom = top.bottom;
    if let (Some((changes, axis)), Some(base)) = (change, base) {
        let bounds = Bounds { left, top: bottom + 30.0, right, bottom: bottom + 30.0 + PANEL };
        let frame = Frame { bounds, x: Axis::linear([0.0, 1.0], true), y: axis };
        slots.shade(&mut drawing, bounds);
        frame.draw_y(&mut drawing, &against);
        drawing.line(vec![(left, frame.y(0.0)), (right, frame.y(0.0))], MUTED, 1.4);
        for (i, (row, changes)) in rows.iter().zip(&changes).enumerate() {
            for (ranks, change) in changes.iter().filter(|_| i != base) {
                let x = slots.x(*ranks, i);
                drawing.line(vec![(x, frame.y(0.0)), (x, frame.y(*change))], row.style.ink.fade(0.45), 1.6);
                draw_marker(&mut drawing, row.style.marker, (x, frame.y(*change)), 5.0, row.style.ink);
            }
        }
        bottom = bounds.bottom;
    }
    slots.label(&mut drawing, bottom, &tokens);
    legend::draw(&mut drawing, head, &entries, legend_left, 76.0);
    Some(Chart { file: "bands", title: title.into(), drawing })
}

/// Change of each band's mean perplexity from the reference's, in per cent.
fn changes(row: &Row, base: &Row) -> BTreeMap<Ranks, f64> {
    row.bands
        .iter()
        .filter_map(|(ranks, estimate)| {
            let change = 100.0 * (estimate.mean / base.bands.get(ranks)?.mean - 1.0);
            change.is_finite().then_some((*ranks, change))
        })
        .collect()
}

/// Columns of the bands, each with a place for every output.
struct Slots {
    left: f64,
    right: f64,
    bands: Vec<Ranks>,
    rows: usize,
}

impl Slots {
    fn width(&self) -> f64 {
        (self.right - self.left) / self.bands.len() as f64
    }

    fn start(&self, band: usize) -> f64 {
        self.left + band as f64 * self.width()
    }

    fn x(&self, ranks: Ranks, row: usize) -> f64 {
        let band = self.bands.iter().position(|other| *other == ranks).unwrap_or(0);
        self.start(band) + self.width() * (row as f64 + 1.0) / (self.rows as f64 + 1.0)
    }

    /// Shades every other band.
    fn shade(&self, drawing: &mut Drawing, bounds: Bounds) {
        for band in (1..self.bands.len()).step_by(2) {
            let left = self.start(band);
            drawing.rectangle(Bounds { left, right: left + self.width(), ..bounds }, SHADE);
        }
    }

    /// Writes ranks and shares under the bands.
    fn label(&self, drawing: &mut Drawing, bottom: f64, tokens: &BTreeMap<Ranks, u64>) {
        drawing.line(vec![(self.left, bottom), (self.right, bottom)], MUTED, 1.2);
        let total: u64 = tokens.values().sum();
        for (band, ranks) in self.bands.iter().enumerate() {
            let middle = self.start(band) + 0.5 * self.width();
            // The full number where it fits, thousands as k where it does not.
            let room = self.width() - 6.0;
            let full = format!("{}-{}", ranks.0, ranks.1.saturating_sub(1));
            let full = if band == 0 { format!("rank {full}") } else { full };
            let short = format!("{}-{}", thousands(ranks.0), thousands(ranks.1));
            let fits = super::render::text_width(&full, SMALL) <= room;
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
