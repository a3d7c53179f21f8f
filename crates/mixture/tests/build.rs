//! Bad configurations are refused with the value and what was expected; tying shares the embedding;
//! the cost is counted.
#![allow(clippy::unwrap_used)]

use lexmax_kernels::seed::generator;
use lexmax_mixture::{Mixture, MixtureConfig};
use lexmax_output::{BuildContext, OutputLayer};
use tch::{Device, Kind, Tensor, nn};

fn context(store: &nn::VarStore) -> BuildContext<'_> {
    BuildContext::new(store.root(), 100, 16, 1)
}

fn error(config: &MixtureConfig) -> String {
    Mixture::new(&context(&nn::VarStore::new(Device::Cpu)), config).unwrap_err().to_string()
}

#[test]
fn components_below_one_are_refused() {
    for components in [0, -3] {
        let text = error(&MixtureConfig { components, ..MixtureConfig::default() });
        assert!(
            text.contains(&format!("components is {components}")) && text.contains("at least 1"),
            "{text}"
        );
    }
}

#[test]
fn latent_size_below_one_is_refused() {
    for size in [0, -1] {
        let text = error(&MixtureConfig { latent_size: Some(size), ..MixtureConfig::default() });
        assert!(text.contains(&format!("latent_size is {size}")) && text.contains("at least 1"), "{text}");
    }
}

#[test]
fn a_number_of_components_that_no_memory_holds_is_refused() {
    for components in [1 << 40, i64::MAX / 4] {
        let latent_size = Some(1 << 20);
        let text = error(&MixtureConfig { components, latent_size, ..MixtureConfig::default() });
        assert!(text.contains("the shape of a parameter") && text.contains("elements"), "{text}");
    }
}

#[test]
fn unknown_keys_are_errors() {
    let text = toml::from_str::<MixtureConfig>("component = 3").unwrap_err().to_string();
    assert!(text.contains("component") && text.contains("components"), "{text}");
    let parsed: MixtureConfig = toml::from_str("components = 3\nlatent_size = 8\nbias = false").unwrap();
    let expected =
        MixtureConfig { components: 3, latent_size: Some(8), bias: false, ..MixtureConfig::default() };
    assert_eq!(parsed, expected);
}

#[test]
fn tying_shares_an_embedding_of_the_latent_width() {
    let text = error(&MixtureConfig { tied: true, ..MixtureConfig::default() });
    assert!(text.contains("`tied`") && text.contains("embedding"), "{text}");

    let store = nn::VarStore::new(Device::Cpu);
    let embedding = store.root().randn("embedding", &[100, 16], 0.0, 0.1);
    let mut context = context(&store);
    context.embedding = Some(embedding.shallow_clone());
    context.embedding = Some(embedding.to_kind(Kind::Double));
    let tied = MixtureConfig { tied: true, ..MixtureConfig::default() };
    let text = Mixture::new(&context, &tied).unwrap_err().to_string();
    assert!(text.contains("Double") && text.contains("Float"), "{text}");
    context.embedding = Some(embedding.shallow_clone());
    let narrow =
        MixtureConfig { tied: true, latent_size: Some(8), components: 2, ..MixtureConfig::default() };
    let text = Mixture::new(&context, &narrow).unwrap_err().to_string();
    assert!(text.contains("[100, 16]") && text.contains("[100, 8]"), "{text}");

    context.path = store.root().sub("mos");
    let layer = Mixture::new(&context, &MixtureConfig { latent_size: None, ..narrow }).unwrap();
    assert!(!store.variables().keys().any(|name| name == "mos.weight"));
    let hidden = Tensor::ones([2, 16], (Kind::Float, Device::Cpu));
    let targets = Tensor::from_slice(&[3_i64, 70]);
    layer.loss_with(&hidden, &targets, &mut generator(1, "negatives", 0)).unwrap().backward().unwrap();
    assert!(embedding.grad().get(70).abs().max().double_value(&[]) > 0.0);
}

#[test]
fn costs_and_parameters_are_counted_from_the_sizes() {
    let store = nn::VarStore::new(Device::Cpu);
    let config = MixtureConfig { components: 3, latent_size: Some(8), ..MixtureConfig::default() };
    let layer = Mixture::new(&context(&store), &config).unwrap();
    let cost = layer.cost(10);
    // Prior, latent states, and one product with the class weight for each component.
    assert_eq!(cost.eval.flops, 2.0 * 10.0 * (16.0 * 3.0 + 16.0 * 24.0 + 3.0 * 8.0 * 100.0));
    assert_eq!(cost.train.flops, 3.0 * cost.eval.flops);
    let entries: usize = store.variables().values().map(Tensor::numel).sum();
    assert_eq!(cost.parameters, entries as u64);
}

#[test]
fn names_of_the_parameters_are_those_documented() {
    let names = |components| {
        let store = nn::VarStore::new(Device::Cpu);
        Mixture::new(&context(&store), &MixtureConfig { components, ..MixtureConfig::default() }).unwrap();
        let mut names: Vec<_> = store.variables().into_keys().collect();
        names.sort();
        names
    };
    assert_eq!(names(2), ["bias", "latent.bias", "latent.weight", "prior.weight", "weight"]);
    assert_eq!(names(1), ["bias", "latent.bias", "latent.weight", "weight"]);
}
