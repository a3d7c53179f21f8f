//! A phase whose pieces of work are taken by whoever is free.
//!
//! Each worker starts with the pieces that it had in the phase before, whose data its core's cache
//! may still hold, and then takes those that others have not come to. A core that is busy with
//! something else delays a phase by one piece, not by its whole share. Who takes a piece depends on
//! time; so a piece writes to its own memory only, and what all pieces add up is joined in the
//! order of the pieces.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::pool;

/// Pieces of work of the phases of one call, and who had each last.
#[derive(Debug)]
pub(crate) struct Queue {
    owners: Vec<usize>,
}

/// Direction in which a worker goes through its own pieces. What was used last is in the cache, so
/// a phase that reads what the one before wrote goes the other way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Rising,
    Falling,
}

impl Queue {
    /// Pieces shared out evenly among the workers, neighbours together.
    pub fn new(pieces: usize, workers: usize) -> Self {
        let workers = workers.max(1);
        Self { owners: (0..pieces).map(|piece| piece * workers / pieces.max(1)).collect() }
    }

    /// Runs `work` once for each piece, on one of the workers. A panic comes back after all workers
    /// have stopped.
    pub fn run<W: Send, P: Send>(
        &mut self,
        workers: &mut [W],
        pieces: &mut [P],
        order: Order,
        work: impl Fn(&mut W, &mut P) + Sync,
    ) {
        if let [worker] = workers {
            match order {
                Order::Rising => pieces.iter_mut().for_each(|piece| work(worker, piece)),
                Order::Falling => pieces.iter_mut().rev().for_each(|piece| work(worker, piece)),
            }
            return;
        }
        let slots: Vec<Mutex<Option<&mut P>>> =
            pieces.iter_mut().map(|piece| Mutex::new(Some(piece))).collect();
        let takers: Vec<AtomicUsize> = self.owners.iter().map(|owner| AtomicUsize::new(*owner)).collect();
        let owners = &self.owners;
        let mut numbered: Vec<(usize, &mut W)> = workers.iter_mut().enumerate().collect();
        pool::on_each(&mut numbered, |(number, worker)| {
            let number = *number;
            let in_order = |piece: usize, order: Order| match order {
                Order::Rising => piece,
                Order::Falling => slots.len() - 1 - piece,
            };
            let own =
                (0..slots.len()).map(|piece| in_order(piece, order)).filter(|piece| owners[*piece] == number);
            // Those of others from the end that they come to last.
            let others = (0..slots.len())
                .map(|piece| in_order(piece, order.other()))
                .filter(|piece| owners[*piece] != number);
            for piece in own.chain(others) {
                let taken = slots[piece].lock().unwrap_or_else(PoisonError::into_inner).take();
                if let Some(taken) = taken {
                    takers[piece].store(number, Ordering::Relaxed);
                    work(worker, taken);
                }
            }
        });
        self.owners = takers.into_iter().map(AtomicUsize::into_inner).collect();
    }
}

impl Order {
    fn other(self) -> Self {
        match self {
            Self::Rising => Self::Falling,
            Self::Falling => Self::Rising,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_is_worked_once_for_any_counts() {
        for (workers, pieces) in [(1, 0), (1, 3), (2, 1), (3, 16), (5, 2)] {
            let (mut numbers, mut worked) = (vec![(); workers], vec![0; pieces]);
            let mut queue = Queue::new(pieces, workers);
            for order in [Order::Rising, Order::Falling] {
                queue.run(&mut numbers, &mut worked, order, |(), times| *times += 1);
            }
            assert_eq!(worked, vec![2; pieces]);
        }
    }

    #[test]
    fn pieces_of_a_busy_worker_are_taken_by_others() {
        let done = AtomicUsize::new(0);
        let mut by = vec![None; 16];
        let mut queue = Queue::new(16, 2);
        queue.run(&mut [0, 1], &mut by, Order::Rising, |worker, by| {
            // The second worker's first piece lasts until the first has done all others.
            while *worker == 1 && done.load(Ordering::Relaxed) < 15 {
                std::thread::yield_now();
            }
            done.fetch_add(1, Ordering::Relaxed);
            *by = Some(*worker);
        });
        let busy = by.iter().filter(|by| **by == Some(1)).count();
        assert!(busy <= 1 && by.iter().all(Option::is_some), "{by:?}");
        // The next phase begins with who had them.
        assert!(queue.owners.iter().map(|owner| Some(*owner)).eq(by));
    }

    #[test]
    fn pieces_of_one_worker_go_up_or_down() {
        for order in [Order::Rising, Order::Falling] {
            let mut seen = [Vec::new()];
            Queue::new(4, 1).run(&mut seen, &mut [0, 1, 2, 3], order, |seen, piece| seen.push(*piece));
            let expected = if order == Order::Rising { [0, 1, 2, 3] } else { [3, 2, 1, 0] };
            assert_eq!(seen[0], expected);
        }
    }

    #[test]
    fn a_panicking_piece_comes_back_to_the_caller() {
        let panic = std::panic::catch_unwind(|| {
            Queue::new(4, 2).run(&mut [(), ()], &mut [0, 1, 2, 3], Order::Rising, |(), piece| {
                assert!(*piece != 2, "piece two");
            });
        });
        assert!(panic.is_err());
    }
}
