//! Driver that all calls share: how the work is cut, which thread has which buffers, and how the
//! threads' shares are added up, always in the threads' order.

use std::ops::Range;

use super::buffers::{Chunk, Worker};
use super::gradients::Gradients;
use super::input::Linear;
use super::options::Options;
use super::plan::{Plan, Sizes, Task};
use super::rows::RowSums;
use super::sweep::{Call, Job, WantedGradients};
use super::workspace::Workspace;
use crate::element::Element;
use crate::pool;

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
/// [`Pass::on_each`], and where gradients were made calls [`Pass::add_gradients`]; [`Pass::finish`]
/// comes last.
pub(crate) struct Pass<'a, 'w, 'g, T> {
    pub call: Call<'a, T>,
    /// One for each thread.
    pub jobs: Vec<Job<'w, 'g, T>>,
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
        let plan = Plan::of_groups(work.group, sizes, workspace.threads, workspace.memory_limit, work.task);
        workspace.fit(&plan, sizes, work.task);
        let call = Call::new(linear, options, plan, workspace.level);
        let Workspace { workers, chunk, .. } = workspace;
        let Gradients { hidden, weight, bias, accumulate } = gradients;
        let jobs = jobs(&mut workers[..plan.threads], weight, linear.hidden_size);
        Self { call, jobs, chunk, d_hidden: hidden, d_bias: bias, add_weight: accumulate }
    }

    /// Chunks of so many rows, one after the other.
    pub fn chunks(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<T> {
        let chunk = self.call.plan.chunk;
        (0..rows).step_by(chunk).map(move |first| first..(first + chunk).min(rows))
    }

    /// Runs a part of the call on all threads.
    pub fn on_each(&mut self, work: impl Fn(&Call<'a, T>, &mut Job<'w, 'g, T>, &Chunk<T>) + Sync) {
        let (call, chunk) = (&self.call, &*self.chunk);
        pool::on_each(&mut self.jobs, |job| work(call, job, chunk));
    }

    /// First sweep over a chunk of so many rows.
    pub fn sweep_sums(&mut self, rows: usize) {
        self.on_each(|call, job, chunk| call.sums(job.worker, job.thread, chunk, rows));
    }

    /// Sums of a row of the chunk over all threads; its target's logit from the thread that has it.
    pub fn sums(&self, row: usize) -> RowSums {
        let mut total = RowSums::NONE;
        for job in &self.jobs {
            let part = job.worker.sums[row];
            total.add(part.max, part.sum);
            total.weighted += part.weighted;
        }
        let owner = self.call.classes_owner(self.chunk.targets[row]);
        total.target_logit = self.jobs[owner].worker.sums[row].target_logit;
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

    /// Takes in the gradients of a chunk: adds the threads' shares of those of the hidden states to
    /// the rows that the chunk was made of. The weight's gradient of the next chunk is added to
    /// this one's.
    pub fn add_gradients(&mut self, rows: impl Iterator<Item = usize>) {
        self.add_weight = true;
        let Some(d_hidden) = &mut self.d_hidden else { return };
        let size = self.call.linear.hidden_size;
        for (at, row) in rows.enumerate() {
            let out = &mut d_hidden[row * size..(row + 1) * size];
            for job in &self.jobs {
                for (out, part) in out.iter_mut().zip(&job.worker.d_hidden[at * size..(at + 1) * size]) {
                    *out = *out + *part;
                }
            }
        }
    }

    /// Adds the threads' sums of the bias's gradient, each of its own classes.
    pub fn finish(self) {
        let Some(d_bias) = self.d_bias else { return };
        let sums = self.jobs.iter().flat_map(|job| &job.worker.d_bias);
        for (out, sum) in d_bias.iter_mut().zip(sums) {
            *out = T::from_f64(out.to_f64() + sum);
        }
    }
}

/// One job for each worker, with its own rows of the weight's gradient.
fn jobs<'w, 'g, T: Element>(
    workers: &'w mut [Worker<T>],
    mut d_weight: Option<&'g mut [T]>,
    size: usize,
) -> Vec<Job<'w, 'g, T>> {
    let mut jobs = Vec::with_capacity(workers.len());
    for (thread, worker) in workers.iter_mut().enumerate() {
        let share = d_weight.take().map(|rest| {
            let (mine, rest) = rest.split_at_mut(worker.d_bias.len() * size);
            d_weight = Some(rest);
            mine
        });
        jobs.push(Job { thread, worker, d_weight: share });
    }
    jobs
}
