//! Trains the sampled softmax on pairs of words for some seconds:
//! `cargo run -p lexmax-sampled --example train`.

use lexmax_sampled::prelude::*;
use tch::nn::{self, Module, OptimizerConfig};
use tch::{Device, Kind, Tensor};

const V: i64 = 2_000;
const D: i64 = 32;

/// Trains, and gives the perplexity of the training words before and after.
fn train() -> Result<[f64; 2], Box<dyn std::error::Error>> {
    // The next word is fixed by the word before it.
    let words = (Tensor::arange(512, (Kind::Double, Device::Cpu)) / 512.0).pow_tensor_scalar(3.0) * V as f64;
    let words = words.to_kind(Kind::Int64).view([16, 32]); // 16 texts of 32 words
    let next = (&words * 7 + 3).remainder(V);

    let store = nn::VarStore::new(Device::Cpu);
    let embedding = nn::embedding(store.root() / "embedding", V, D, Default::default());
    let layer = Sampled::new(
        &BuildContext::new(store.root() / "output", V, D, 1),
        &SampledConfig { samples: Some(100), ..SampledConfig::default() },
    )?;
    let mut optimizer = nn::Adam::default().build(&store, 2e-2)?;

    let perplexity = || -> Result<f64, OutputError> {
        let log_prob = layer.log_prob(&embedding.forward(&words), &next)?;
        Ok(ExactNll::of_targets(&log_prob)?.into_iter().sum::<ExactNll>().perplexity())
    };
    let before = perplexity()?;
    for step in 0..60 {
        let loss = layer.loss(&embedding.forward(&words), &next)?;
        optimizer.zero_grad();
        loss.backward()?;
        optimizer.step();
        if step % 20 == 0 {
            println!("step {step}: training loss {:.3}", loss.value()?);
        }
    }
    Ok([before, perplexity()?])
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let [before, after] = train()?;
    println!("perplexity of the training words: {before:.1} before, {after:.2} after");
    Ok(())
}

#[test]
fn training_lowers_the_perplexity() -> Result<(), Box<dyn std::error::Error>> {
    let [before, after] = train()?;
    assert!(after < 0.1 * before, "{before} before, {after} after");
    Ok(())
}
