//! Trains a small n-gram language model with the exact softmax and saves what its output layer
//! sees, for the measurements of filtered gradients (`filtered.rs`).
//!
//! `cargo run --release -p lexmax-benches --bin trained -- TRAIN_TEXT OUT.safetensors [STEPS [ROWS
//! [HIDDEN]]]`
//!
//! `TRAIN_TEXT` is plain text, words separated by white space, an end of sentence at each line
//! (`gunzip -k train.txt.gz` of WikiText-2). The model: embeddings of the last 4 words side by
//! side, one tanh layer to `D`, softmax over all words of the text. The last tenth of the text is
//! held out; the file holds hidden states and targets of rows from there, and weight and bias.

use std::collections::HashMap;
use std::error::Error;

use lexmax::full::{Full, FullConfig};
use lexmax::kernels::seed::generator;
use lexmax::output::{BuildContext, OutputLayer};
use rand::RngExt;
use tch::nn::{self, Module, OptimizerConfig};
use tch::{Device, Kind, Tensor};

const CONTEXT: usize = 4;
const EMBEDDING: i64 = 128;

/// The text as ids of falling frequency, and the number of words.
fn ids(text: &str) -> (Vec<i64>, usize) {
    let words: Vec<&str> =
        text.lines().flat_map(|line| line.split_whitespace().chain(std::iter::once("<eos>"))).collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    for word in &words {
        *counts.entry(word).or_default() += 1;
    }
    let mut by_count: Vec<(&str, usize)> = counts.into_iter().collect();
    by_count.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let rank: HashMap<&str, i64> = by_count.iter().zip(0..).map(|((word, _), id)| (*word, id)).collect();
    (words.iter().map(|word| rank[word]).collect(), by_count.len())
}

/// Contexts `[N, 4]` and next words `[N]` at the given places.
fn batch(ids: &[i64], places: impl Iterator<Item = usize>) -> Result<(Tensor, Tensor), Box<dyn Error>> {
    let (mut contexts, mut targets) = (Vec::new(), Vec::new());
    for place in places {
        contexts.extend_from_slice(&ids[place..place + CONTEXT]);
        targets.push(ids[place + CONTEXT]);
    }
    let contexts = Tensor::f_from_slice(&contexts)?.f_view([-1, CONTEXT as i64])?;
    Ok((contexts, Tensor::f_from_slice(&targets)?))
}

/// The bias starts as the log-frequency of its word, so that no step is spent on learning that.
fn start_bias(store: &nn::VarStore, ids: &[i64], vocab: usize) -> Result<(), Box<dyn Error>> {
    let mut counts = vec![0.5_f32; vocab];
    for id in ids {
        counts[*id as usize] += 1.0;
    }
    let log_prior = Tensor::f_from_slice(&counts)?.f_div_scalar(ids.len() as f64)?.f_log()?;
    tch::no_grad(|| store.variables()["output.bias"].shallow_clone().f_copy_(&log_prior))?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [text, out, numbers @ ..] = &arguments[..] else {
        return Err("expected TRAIN_TEXT OUT.safetensors [STEPS [ROWS [HIDDEN]]]".into());
    };
    let number = |at: usize, default: i64| numbers.get(at).map_or(Ok(default), |number| number.parse());
    let (steps, rows, width) = (number(0, 2000)?, number(1, 256)?, number(2, 256)?);
    let (ids, vocab) = ids(&std::fs::read_to_string(text)?);
    let held_out = ids.len() - ids.len() / 10;
    if ids.len() - held_out <= 2 * CONTEXT {
        return Err("the text is too short".into());
    }
    println!("{} words, {vocab} different", ids.len());

    let store = nn::VarStore::new(Device::Cpu);
    let root = store.root();
    let init = nn::Init::Uniform { lo: -0.1, up: 0.1 };
    let embedding_config = nn::EmbeddingConfig { ws_init: init, ..Default::default() };
    let embedding = nn::embedding(&root / "embedding", vocab as i64, EMBEDDING, embedding_config);
    let inputs = CONTEXT as i64 * EMBEDDING;
    let middle = nn::linear(&root / "middle", inputs, width, Default::default());
    let layer =
        Full::new(&BuildContext::new(&root / "output", vocab as i64, width, 1), &FullConfig::default())?;
    start_bias(&store, &ids[..held_out], vocab)?;
    let mut optimizer = nn::Adam::default().build(&store, 2e-3)?;
    let forward = |contexts: &Tensor| -> Result<Tensor, tch::TchError> {
        middle.forward(&embedding.forward(contexts).f_view([-1, inputs])?).f_tanh()
    };
    let mut places = generator(1, "batches", 0);
    let mut average = f64::NAN;
    for step in 0..steps {
        let (contexts, targets) = batch(&ids, (0..rows).map(|_| places.random_range(0..held_out - CONTEXT)))?;
        let loss = layer.loss_with(&forward(&contexts)?, &targets, &mut generator(1, "none", step as u64))?;
        let value = loss.value()?;
        average = if average.is_nan() { value } else { 0.98 * average + 0.02 * value };
        optimizer.zero_grad();
        loss.backward()?;
        optimizer.step();
        if (step + 1) % 100 == 0 || step + 1 == steps {
            print!("step {}: training perplexity about {:.0}, ", step + 1, average.exp());
            tch::no_grad(|| save(&ids, held_out, &forward, &layer, &store, out))?;
        }
    }
    Ok(())
}

/// Saves what the output layer sees of the first held-out rows; each time anew, so that training
/// can be cut short.
fn save(
    ids: &[i64],
    held_out: usize,
    forward: &dyn Fn(&Tensor) -> Result<Tensor, tch::TchError>,
    layer: &Full,
    store: &nn::VarStore,
    out: &str,
) -> Result<(), Box<dyn Error>> {
    let measured = 1024.min(ids.len() - held_out - CONTEXT);
    let (contexts, targets) = batch(ids, held_out..held_out + measured)?;
    let hidden = forward(&contexts)?;
    let perplexity = layer.log_prob(&hidden, &targets)?.into_tensor().f_mean(Kind::Double)?.f_neg()?;
    println!("of the saved held-out rows {:.0}", perplexity.f_double_value(&[])?.exp());
    let variables = store.variables();
    let named = [
        ("hidden", &hidden),
        ("targets", &targets),
        ("weight", &variables["output.weight"]),
        ("bias", &variables["output.bias"]),
    ];
    Tensor::write_safetensors(&named, out)?;
    Ok(())
}
