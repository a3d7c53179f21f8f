//! Work of one thread on its groups: the softmax over classes for all of their rows, then the words
//! of each.

use std::ops::Range;

use super::groups::{Group, Groups};
use super::layer::TwoLevel;
use super::workspace::Worker;
use crate::buffer::sized;
use crate::element::Element;
use crate::error::Result;
use crate::linear_ce::{self, Gradients, Linear, Options, RowLosses, Upstream};

/// Work of one thread and its output buffers; all indexed by position.
pub(super) struct Job<'a, 'g, T> {
    pub layer: TwoLevel<'a, T>,
    pub all: &'a Groups,
    pub groups: &'a [Group],
    pub positions: Range<usize>,
    /// Hidden states of its rows.
    pub hidden: &'g [T],
    /// Factors of the losses of its rows; none where only log-probabilities are wanted.
    pub upstream: Option<Upstream<'g, T>>,
    pub log_probs: &'g mut [f64],
    /// The classes' share of the gradient of the hidden states.
    pub d_hidden: Option<&'g mut [T]>,
    /// Output rows of the gradient of the hidden states.
    pub hidden_rows: Option<Vec<&'g mut [T]>>,
    pub d_weight: Option<&'g mut [T]>,
    pub d_bias: Option<&'g mut [T]>,
    pub d_class_weight: Option<&'g mut [T]>,
    pub d_class_bias: Option<&'g mut [T]>,
    pub d_group: &'g mut [T],
    pub sweeps: &'g mut linear_ce::Workspace<T>,
    pub result: Result<()>,
}

/// Buffers of one worker, with its sums of the classes' gradients.
pub(super) struct Sums<'g, T> {
    pub sweeps: &'g mut linear_ce::Workspace<T>,
    pub d_group: &'g mut [T],
    pub class_weight: Option<&'g mut [T]>,
    pub class_bias: Option<&'g mut [T]>,
}

impl<'g, T: Element> Sums<'g, T> {
    /// Each gradient of the classes is wanted or not; the first worker gets the output, the others
    /// sums of their own.
    pub fn of(
        worker: &'g mut Worker<T>,
        (weight_wanted, weight): (bool, Option<&'g mut [T]>),
        (bias_wanted, bias): (bool, Option<&'g mut [T]>),
        weight_len: usize,
        classes: usize,
    ) -> Self {
        let own = |buffer: &'g mut Vec<T>, wanted: bool, given: Option<&'g mut [T]>, len: usize| match (
            wanted, given,
        ) {
            (false, _) => None,
            (true, Some(given)) => Some(given),
            (true, None) => Some(sized(buffer, len)),
        };
        Self {
            sweeps: &mut worker.sweeps,
            d_group: &mut worker.d_group,
            class_weight: own(&mut worker.d_class_weight, weight_wanted, weight, weight_len),
            class_bias: own(&mut worker.d_class_bias, bias_wanted, bias, classes),
        }
    }
}

impl<T: Element> Job<'_, '_, T> {
    pub fn run(&mut self) {
        self.result = self.classes().and_then(|()| self.words());
    }

    fn classes(&mut self) -> Result<()> {
        let linear = Linear {
            hidden: self.hidden,
            weight: self.layer.class_weight,
            bias: self.layer.class_bias,
            hidden_size: self.layer.hidden_size,
        };
        let wanted = Gradients {
            hidden: self.d_hidden.as_deref_mut(),
            weight: self.d_class_weight.as_deref_mut(),
            bias: self.d_class_bias.as_deref_mut(),
            accumulate: false,
        };
        let classes = &self.all.classes[self.positions.clone()];
        let rows = sweep(linear, classes, self.upstream, wanted, self.sweeps)?;
        self.log_probs.copy_from_slice(&rows.target_log_prob);
        Ok(())
    }

    fn words(&mut self) -> Result<()> {
        let size = self.layer.hidden_size;
        let (first_position, first_value) = (self.positions.start, self.groups[0].values.start);
        for group in self.groups {
            let here = group.positions.start - first_position..group.positions.end - first_position;
            let values = group.values.start - first_value..group.values.end - first_value;
            let linear = Linear {
                hidden: &self.hidden[here.start * size..here.end * size],
                weight: &self.layer.weight[group.words.start * size..group.words.end * size],
                bias: self.layer.bias.map(|bias| &bias[group.words.clone()]),
                hidden_size: size,
            };
            let upstream = match self.upstream {
                Some(Upstream::Rows(factors)) => Some(Upstream::Rows(&factors[here.clone()])),
                other => other,
            };
            let wanted = Gradients {
                hidden: self.d_hidden.is_some().then(|| &mut self.d_group[..here.len() * size]),
                weight: self
                    .d_weight
                    .as_deref_mut()
                    .map(|out| &mut out[values.start * size..values.end * size]),
                bias: self.d_bias.as_deref_mut().map(|out| &mut out[values]),
                accumulate: false,
            };
            let places = &self.all.places[group.positions.clone()];
            let rows = sweep(linear, places, upstream, wanted, self.sweeps)?;
            for (log_prob, of_word) in self.log_probs[here.clone()].iter_mut().zip(&rows.target_log_prob) {
                *log_prob += of_word;
            }
            let (Some(of_classes), Some(out)) = (&self.d_hidden, &mut self.hidden_rows) else { continue };
            let parts = of_classes[here.start * size..here.end * size]
                .chunks_exact(size)
                .zip(self.d_group.chunks_exact(size));
            for (out, (of_class, of_word)) in out[here].iter_mut().zip(parts) {
                for ((out, of_class), of_word) in out.iter_mut().zip(of_class).zip(of_word) {
                    *out = *of_class + *of_word;
                }
            }
        }
        Ok(())
    }
}

/// Losses of one softmax, with gradients where there is an upstream.
fn sweep<T: Element>(
    linear: Linear<'_, T>,
    targets: &[i64],
    upstream: Option<Upstream<'_, T>>,
    wanted: Gradients<'_, T>,
    workspace: &mut linear_ce::Workspace<T>,
) -> Result<RowLosses> {
    let options = Options::default();
    match upstream {
        None => linear_ce::loss(linear, targets, &options, workspace),
        Some(upstream) => {
            linear_ce::loss_and_gradients(linear, targets, &options, upstream, wanted, workspace)
        }
    }
}

/// Adds the threads' gradients of the classes, in the order of the threads.
pub(super) fn finish<T: Element>(mut jobs: Vec<Job<'_, '_, T>>) -> Result<()> {
    for job in &mut jobs {
        std::mem::replace(&mut job.result, Ok(()))?;
    }
    let Some((first, others)) = jobs.split_first_mut() else { return Ok(()) };
    for other in others {
        let pairs = [
            (&mut first.d_class_weight, &other.d_class_weight),
            (&mut first.d_class_bias, &other.d_class_bias),
        ];
        for (out, part) in pairs {
            let (Some(out), Some(part)) = (out, part) else { continue };
            for (out, part) in out.iter_mut().zip(part.iter()) {
                *out = *out + *part;
            }
        }
    }
    Ok(())
}
