//! Driver that all calls share: how the work is cut, what each phase works on, and how what the
//! spans leave is joined, always in the order of the spans.

use std::ops::Range;

use super::buffers::{Chunk, Worker};
use super::gradients::Gradients;
use super::input::Linear;
use super::options::Options;
use super::plan::{Plan, Sizes, Task};
use super::rows::RowSums;
use super::span::Span;
use super::sweep::{Call, Job, WantedGradients};
use super::workspace::Workspace;
use crate::element::Element;
use crate::parts::split;
use crate::pool;
use crate::product::Precision;
use crate::queue::{Order, Queue};

/// Rows of one call and what is made of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work {
    /// Rows that count.
    pub rows: usize,
    /// Neighbouring rows that stay in one chunk.
    pub group: usize,
    pub task: Task,
}

/// One call on its way over the chunks of its rows.
///
/// For each of [`Pass::chunks`] the caller gathers rows into [`Pass::chunk`], sweeps with
/// [`Pass::on_spans`], and where gradients were made calls [`Pass::add_gradients`];
/// [`Pass::finish`] comes last.
pub(crate) struct Pass<'a, 'w, 'g, T> {
    pub call: Call<'a, T>,
    /// One for each thread.
    pub workers: &'w mut [Worker<T>],
    /// One for each span.
    pub jobs: Vec<Job<'w, 'g, T>>,
    pub queue: Queue,
    pub chunk: &'w mut Chunk<T>,
    d_hidden: Option<&'g mut [T]>,
    d_bias: Option<&'g mut [T]>,
    add_weight: bool,
}

impl<'a, 'w, 'g, T: Element> Pass<'a, 'w, 'g, T> {
    /// Plans the work, makes the buffers fit, and shares out the rows of the weight's gradient.
    /// What comes in is checked, and [`Gradients::start`] was called.
    pub fn new(
        linear: Linear<'a, T>,
        options: &Options<'a, T>,
        work: Work,
        gradients: Gradients<'g, T>,
        workspace: &'w mut Workspace<T>,
    ) -> Self {
        let sizes = Sizes {
            rows: work.rows,
            hidden_size: linear.hidden_size,
            vocab_size: linear.vocab_size(),
            bytes: size_of::<T>(),
            filtered: options.active_filter().is_some(),
        };
        let limit = workspace.limit(sizes);
        let plan = Plan::of_groups(work.group, sizes, workspace.threads, limit, work.task);
        workspace.fit(&plan, sizes, work.task);
        let mut call = Call::new(linear, options, plan, workspace.level, workspace.library());
        call.exact_targets = workspace.precision == Precision::Bf16;
        let Workspace { workers, spans, chunk, .. } = workspace;
        let Gradients { hidden, weight, bias, accumulate } = gradients;
        let workers = &mut workers[..plan.threads];
        let jobs = jobs(&call, &mut spans[..plan.spans], weight);
        let queue = Queue::new(plan.spans, plan.threads);
        Self { call, workers, jobs, queue, chunk, d_hidden: hidden, d_bias: bias, add_weight: accumulate }
    }

    /// Chunks of so many rows, one after the other.
    pub fn chunks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<T> {
        let chunk = self.call.plan.chunk;
        (0..rows).step_by(chunk).map(move |first| first..(first + chunk).min(rows))
    }

    /// Runs a phase of the call: `work` once for each span, on whichever thread is free.
    pub fn on_spans(
        &mut self,
        order: Order,
        work: impl Fn(&Call<'a, T>, &mut Worker<T>, &mut Job<'w, 'g, T>, &Chunk<T>) + Sync,
    ) {
        let (call, chunk) = (&self.call, &*self.chunk);
        self.queue.run(self.workers, &mut self.jobs, order, |worker, job| work(call, worker, job, chunk));
    }

    /// First sweep over a chunk of so many rows.
    pub fn sweep_sums(&mut self, rows: usize) {
        self.on_spans(Order::Rising, |call, worker, job, chunk| call.sums(worker, job, chunk, rows));
    }

    /// Sums of a row of the chunk over all spans; its target's logit from the span that has it.
    pub fn sums(&self, row: usize) -> RowSums {
        let mut total = RowSums::NONE;
        for job in &self.jobs {
            let part = job.span.sums[row];
            total.add(part.max, part.sum);
            total.weighted += part.weighted;
        }
        if let Some(owner) = self.call.plan.span_of(self.chunk.targets[row]) {
            total.target_logit = self.jobs[owner].span.sums[row].target_logit;
        }
        total
    }

    /// Gradients that the sweeps of this chunk make.
    pub fn needs(&self) -> WantedGradients {
        WantedGradients {
            hidden: self.d_hidden.is_some(),
            bias: self.d_bias.is_some(),
            add_weight: self.add_weight,
        }
    }

    /// Takes in the gradients of a chunk: adds the spans' parts of those of the hidden states to
    /// the rows that the chunk was made of, named in rising order. The weight's gradient of the
    /// next chunk is added to this one's.
    pub fn add_gradients(&mut self, rows: impl Iterator<Item = usize>) {
        self.add_weight = true;
        let Some(d_hidden) = &mut self.d_hidden else { return };
        let size = self.call.linear.hidden_size;
        let (mut rest, mut passed) = (&mut **d_hidden, 0);
        let mut outs = Vec::with_capacity(self.chunk.targets.len());
        for (at, row) in rows.enumerate() {
            split(&mut rest, (row - passed) * size);
            outs.push((at, split(&mut rest, size)));
            passed = row + 1;
        }
        let share = outs.len().div_ceil(self.workers.len()).max(1);
        let mut shares: Vec<_> = outs.chunks_mut(share).collect();
        let jobs = &self.jobs;
        pool::on_each(&mut shares, |share| {
            for (at, out) in share.iter_mut() {
                for job in jobs {
                    for (out, part) in out.iter_mut().zip(&job.span.d_hidden[*at * size..(*at + 1) * size]) {
                        *out = *out + *part;
                    }
                }
            }
        });
    }

    /// Adds the spans' sums of the bias's gradient, each of its own classes.
    pub fn finish(self) {
        let Some(d_bias) = self.d_bias else { return };
        let sums = self.jobs.iter().flat_map(|job| &job.span.d_bias);
        for (out, sum) in d_bias.iter_mut().zip(sums) {
            *out = T::from_f64(out.to_f64() + sum);
        }
    }
}

/// One job for each span, with its own rows of the weight's gradient.
fn jobs<'w, 'g, T: Element>(
    call: &Call<'_, T>,
    spans: &'w mut [Span<T>],
    mut d_weight: Option<&'g mut [T]>,
) -> Vec<Job<'w, 'g, T>> {
    let of_span = |number: usize| call.plan.classes_of_span(number, call.linear.vocab_size());
    let jobs = spans.iter_mut().enumerate().map(|(number, span)| Job {
        number,
        span,
        d_weight: d_weight.as_mut().map(|rest| split(rest, of_span(number).len() * call.linear.hidden_size)),
    });
    jobs.collect()
}
