//! Time per call of a custom function beside the same arithmetic as libtorch's own function, on a
//! tensor of one element, where nothing but the call counts. Run with `cargo run -p lexmax-benches
//! --bin overhead`.

use std::error::Error;
use std::time::Instant;

use lexmax_autograd::{BackwardContext, ForwardContext, Function, Result, apply};
use tch::Tensor;

const BATCHES: usize = 41;
const CALLS: usize = 2000;

/// `y = 2 x`, with `saved` tensors that go through the node.
struct Double {
    saved: usize,
}

impl Function for Double {
    fn forward(&mut self, context: &mut ForwardContext<'_>) -> Result<Vec<Tensor>> {
        let x = context.input(0)?;
        for _ in 0..self.saved {
            context.save(x);
        }
        Ok(vec![x.f_mul_scalar(2.0)?])
    }

    fn backward(&mut self, context: &BackwardContext<'_>) -> Result<Vec<Option<Tensor>>> {
        for index in 0..context.n_saved() {
            let _ = context.saved(index)?;
        }
        Ok(vec![Some(context.grad_output(0)?.f_mul_scalar(2.0)?)])
    }
}

fn custom(x: &Tensor, saved: usize) -> std::result::Result<Tensor, Box<dyn Error>> {
    Ok(apply(Double { saved }, &[Some(x)])?.pop().ok_or("no output")?)
}

/// One function under test.
type Call<'a> = &'a dyn Fn(&Tensor) -> std::result::Result<Tensor, Box<dyn Error>>;

/// Microseconds per call over one batch.
fn batch(call: Call<'_>, x: &Tensor, backward: bool) -> std::result::Result<f64, Box<dyn Error>> {
    let start = Instant::now();
    for _ in 0..CALLS {
        let y = call(x)?;
        if backward {
            // Returns the gradient, so that no accumulation into the leaf is timed.
            let gradient = Tensor::f_run_backward(&[&y], &[x], false, false)?;
            std::hint::black_box(&gradient);
        }
        std::hint::black_box(&y);
    }
    Ok(start.elapsed().as_secs_f64() * 1e6 / CALLS as f64)
}

/// Median and quartiles, in words.
fn quartiles(mut batches: Vec<f64>) -> String {
    batches.sort_by(f64::total_cmp);
    let [low, median, high] = [1, 2, 3].map(|quarter| batches[quarter * (BATCHES - 1) / 4]);
    format!("{median:.2} [{low:.2}, {high:.2}]")
}

fn main() -> std::result::Result<(), Box<dyn Error>> {
    let functions: [(&str, Call<'_>); 4] = [
        ("libtorch's own function", &|x| Ok(x.f_mul_scalar(2.0)?)),
        ("custom, no saved tensor", &|x| custom(x, 0)),
        ("custom, 1 saved tensor", &|x| custom(x, 1)),
        ("custom, 4 saved tensors", &|x| custom(x, 4)),
    ];
    let x = Tensor::f_from_slice(&[1.5f32])?.f_set_requires_grad(true)?;
    println!(
        "microseconds per call, y = 2 x of one element: median [quartiles] of {BATCHES} batches of {CALLS}"
    );
    for (column, backward) in [("forward", false), ("forward + backward", true)] {
        // Batches take turns, so that a busy moment of the machine meets all functions alike.
        let mut batches = vec![Vec::with_capacity(BATCHES); functions.len()];
        for _ in 0..BATCHES {
            for ((_, call), batches) in functions.iter().zip(&mut batches) {
                batches.push(batch(*call, &x, backward)?);
            }
        }
        println!("\n{column:28} {:>24} {:>26}", "time", "over libtorch's own");
        for ((name, _), own) in functions.iter().zip(&batches) {
            let over = own.iter().zip(&batches[0]).map(|(own, libtorch)| own - libtorch).collect();
            println!("{name:28} {:>24} {:>26}", quartiles(own.clone()), quartiles(over));
        }
    }
    Ok(())
}
