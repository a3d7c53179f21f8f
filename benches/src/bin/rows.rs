//! Times of row-sparse steps beside libtorch's own operations:
//! `cargo run --release -p lexmax-benches --bin rows`.

use std::time::Instant;

use lexmax_optim::{Optimizer, OptimizerConfig, row_gradient};
use tch::{Device, Kind, Tensor};

const VOCAB: i64 = 33_278;

/// Median milliseconds of a call, of 21 after one that warms up.
fn median(
    mut call: impl FnMut() -> Result<(), Box<dyn std::error::Error>>,
) -> Result<f64, Box<dyn std::error::Error>> {
    let mut times = Vec::new();
    for _ in 0..22 {
        let started = Instant::now();
        call()?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    times.remove(0);
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cpu = (Kind::Float, Device::Cpu);
    println!("milliseconds on {} threads, V = {VOCAB}", tch::get_num_threads());
    for (count, width) in [(2_000_i64, 200), (10_000, 200), (10_000, 512)] {
        // Twice as many occurrences as rows, in no order.
        let rows = Tensor::f_arange(count, (Kind::Int64, Device::Cpu))?.f_mul_scalar(VOCAB / count)?;
        let ids = Tensor::f_cat(&[rows.f_flip([0])?, rows.shallow_clone()], 0)?;
        let values = Tensor::f_ones([2 * count, width], cpu)?.f_mul_scalar(0.01)?;
        let size = [VOCAB, width];
        println!("{count} rows of {width}:");
        let ours = median(|| row_gradient(&ids, &values, &size).map(drop).map_err(Into::into))?;
        let options = cpu;
        let theirs = median(|| {
            let rows = ids.f_unsqueeze(0)?;
            let _ = Tensor::f_sparse_coo_tensor_indices_size(&rows, &values, size, options, false)?
                .f_coalesce()?
                .f_values()?;
            Ok(())
        })?;
        println!("  rows of twice as many ids added up  {ours:8.3}   coalesce   {theirs:8.3}");
        let sums = values.f_narrow(0, 0, count)?;
        let mut table = Tensor::f_zeros(size, cpu)?;
        let _guard = tch::no_grad_guard();
        let theirs = median(|| {
            let _ = table.f_index_add_(0, &rows, &sums)?;
            Ok(())
        })?;
        drop(_guard);
        println!("  index_add_ of these rows            {theirs:8.3}");
        for config in [
            r#"{"kind": "sgd"}"#,
            r#"{"kind": "adagrad"}"#,
            r#"{"kind": "sgd", "momentum": 0.9, "lazy": true}"#,
            r#"{"kind": "adam", "lazy": true}"#,
            r#"{"kind": "sgd", "momentum": 0.9}"#,
            r#"{"kind": "adam"}"#,
        ] {
            let weight = Tensor::f_zeros(size, cpu)?.f_set_requires_grad(true)?;
            let rule: OptimizerConfig = serde_json::from_str(config)?;
            let mut optimizer = Optimizer::new(vec![("weight".into(), weight.shallow_clone())], &rule)?;
            let looked_up = Tensor::f_embedding(&weight, &rows, -1, false, true)?;
            looked_up.f_sum(Kind::Float)?.f_backward()?;
            let sparse = median(|| optimizer.step(1e-3).map_err(Into::into))?;
            optimizer.zero_grad()?;
            weight.f_square()?.f_sum(Kind::Float)?.f_backward()?;
            let dense = median(|| optimizer.step(1e-3).map_err(Into::into))?;
            println!("  {config:<48} {sparse:8.3}   by a dense gradient {dense:8.3}");
        }
    }
    Ok(())
}
