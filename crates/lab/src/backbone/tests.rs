//! Tests of the backbones: carried state, the formulas, determinism.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::config::{LstmConfig, NgramConfig};
use tch::{Device, Kind};

const V: i64 = 11;

fn store() -> nn::VarStore {
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(Kind::Double);
    store
}

fn configs() -> [BackboneConfig; 2] {
    [
        BackboneConfig::Lstm(LstmConfig { embedding: 5, hidden: 4, layers: 2, dropout: 0.5 }),
        BackboneConfig::Ngram(NgramConfig { context: 3, embedding: 5, hidden: 4, dropout: 0.5 }),
    ]
}

fn inputs(rows: i64, batch: i64) -> Tensor {
    (Tensor::arange(rows * batch, (Kind::Int64, Device::Cpu)) * 7).remainder(V).view([rows, batch])
}

#[test]
fn windows_with_carried_state_give_what_one_long_window_gives() {
    for config in configs() {
        let store = store();
        let backbone = build(&config, &store.root(), V, 0.5, 1, false).unwrap();
        let words = inputs(6, 2);
        let (whole, _) = backbone.forward(&words, None, None).unwrap();
        // The first window is shorter than the n-gram's context.
        let mut parts = Vec::new();
        let mut state = None;
        for (from, rows) in [(0, 1), (1, 3), (4, 2)] {
            let (hidden, after) =
                backbone.forward(&words.narrow(0, from, rows), state.as_ref(), None).unwrap();
            assert_eq!(hidden.size(), [rows * 2, backbone.hidden_size()]);
            parts.push(hidden);
            state = Some(after);
        }
        let difference = (Tensor::cat(&parts, 0) - whole).abs().max().double_value(&[]);
        assert!(difference < 1e-14, "{config:?}: {difference}");
    }
}

#[test]
fn the_ngram_model_follows_its_formula() {
    let store = store();
    let config = NgramConfig { context: 2, embedding: 3, hidden: 4, dropout: 0.0 };
    let embedding = Embedding::new(&store.root(), (V, 3), 0.5, 1, false).unwrap();
    let model = Ngram::new(&config, &store.root(), embedding, 1).unwrap();
    let words = Tensor::from_slice(&[3_i64, 8, 2]).view([3, 1]);
    let (hidden, _) = model.forward(&words, None, None).unwrap();
    let row = |word: i64| model.embedding.weight.get(word);
    let context = Tensor::cat(&[row(2), row(8)], 0);
    let expected = (model.weight.mv(&context) + &model.bias).tanh();
    assert!((hidden.get(2) - expected).abs().max().double_value(&[]) < 1e-14);
}

#[test]
fn the_lstm_follows_its_formula() {
    let store = store();
    let config = LstmConfig { embedding: 3, hidden: 4, layers: 1, dropout: 0.0 };
    let embedding = Embedding::new(&store.root(), (V, 3), 0.5, 1, false).unwrap();
    let model = Lstm::new(&config, &store.root(), embedding, 1).unwrap();
    let words = [3_i64, 8, 2];
    let (hidden, state) = model.forward(&Tensor::from_slice(&words).view([3, 1]), None, None).unwrap();
    let [w_ih, w_hh, b_ih, b_hh] = &model.layers[0];
    let zeros = Tensor::zeros([4], (Kind::Double, Device::Cpu));
    let (mut h, mut c) = (zeros.shallow_clone(), zeros);
    for (step, word) in words.iter().enumerate() {
        let gates = (w_ih.mv(&model.embedding.weight.get(*word)) + b_ih + w_hh.mv(&h) + b_hh).chunk(4, 0);
        c = gates[1].sigmoid() * &c + gates[0].sigmoid() * gates[2].tanh();
        h = gates[3].sigmoid() * c.tanh();
        assert!((hidden.get(step as i64) - &h).abs().max().double_value(&[]) < 1e-14);
    }
    assert!((state[1].view([4]) - c).abs().max().double_value(&[]) < 1e-14);
}

#[test]
fn dropout_changes_training_and_every_parameter_gets_a_gradient() {
    for (config, sparse) in configs().into_iter().flat_map(|config| [(config.clone(), false), (config, true)])
    {
        let store = store();
        let backbone = build(&config, &store.root(), V, 0.5, 1, sparse).unwrap();
        let words = inputs(4, 3);
        let (plain, _) = backbone.forward(&words, None, None).unwrap();
        let dropped = |step| {
            let mut dropout = Dropout::new(backbone.dropout(), 1, step);
            backbone.forward(&words, None, Some(&mut dropout)).unwrap().0
        };
        assert_eq!(dropped(1), dropped(1));
        assert_ne!(dropped(1), dropped(2));
        assert_ne!(dropped(1), plain);
        plain.square().sum(Kind::Double).backward();
        for (name, parameter) in store.variables() {
            let gradient = parameter.grad();
            assert!(gradient.defined(), "{name}");
            assert_eq!(gradient.is_sparse(), sparse && name == "embedding", "{name}");
            assert!(gradient.abs().sum(Kind::Double).double_value(&[]) > 0.0, "{name}");
        }
    }
}

#[test]
fn parameters_start_in_their_ranges_and_follow_the_seed() {
    for config in configs() {
        let stores = [1, 1, 2].map(|seed| {
            let store = store();
            build(&config, &store.root(), V, 0.25, seed, false).unwrap();
            store.variables()
        });
        for (name, parameter) in &stores[0] {
            assert_eq!(parameter, &stores[1][name], "{name}");
            assert_ne!(parameter, &stores[2][name], "{name}");
            let largest = parameter.abs().max().double_value(&[]);
            // 1/sqrt(4) for the LSTM, 1/sqrt(15) for the n-gram model.
            let range = match (&config, name.as_str()) {
                (_, "embedding") => 0.25,
                (BackboneConfig::Lstm(_), _) => 0.5,
                (BackboneConfig::Ngram(_), _) => 1.0 / 15_f64.sqrt(),
            };
            assert!(largest <= range + 1e-7 && largest > 0.6 * range, "{name}: {largest} of {range}");
        }
    }
}
