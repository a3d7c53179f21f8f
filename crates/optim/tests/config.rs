//! Configurations as files write them, and the plateau schedule.
#![allow(clippy::unwrap_used)]

use lexmax_optim::{
    AdagradConfig, AdamConfig, Optimizer, OptimizerConfig, Plateau, PlateauConfig, SgdConfig,
};

fn parse(text: &str) -> Result<OptimizerConfig, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

#[test]
fn missing_key_has_its_default() {
    let sgd = SgdConfig { momentum: 0.0, nesterov: false, weight_decay: 0.0, lazy: false };
    let adagrad = AdagradConfig { eps: 1e-10, initial_accumulator: 0.0, weight_decay: 0.0, lazy: false };
    let adam =
        AdamConfig { beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false, lazy: false };
    assert_eq!(parse(r#"{"kind": "sgd"}"#), Ok(OptimizerConfig::Sgd(sgd)));
    assert_eq!(parse(r#"{"kind": "adagrad"}"#), Ok(OptimizerConfig::Adagrad(adagrad)));
    assert_eq!(parse(r#"{"kind": "adam"}"#), Ok(OptimizerConfig::Adam(adam.clone())));
    let adamw = OptimizerConfig::Adam(AdamConfig { weight_decay: 1.0, decoupled: true, ..adam });
    assert_eq!(parse(r#"{"kind": "adam", "weight_decay": 1, "decoupled": true}"#), Ok(adamw.clone()));
    assert_eq!(parse(&serde_json::to_string(&adamw).unwrap()), Ok(adamw));
}

#[test]
fn lazy_is_read_by_every_kind_and_unsaid_where_it_is_off() {
    for kind in ["sgd", "adagrad", "adam"] {
        let lazy = parse(&format!(r#"{{"kind": "{kind}", "lazy": true}}"#)).unwrap();
        assert!(lazy.leaves_rows() && serde_json::to_string(&lazy).unwrap().contains("lazy"));
        assert_eq!(parse(&serde_json::to_string(&lazy).unwrap()), Ok(lazy));
        let usual = parse(&format!(r#"{{"kind": "{kind}"}}"#)).unwrap();
        assert_eq!(usual.leaves_rows(), kind != "adam");
        assert!(!serde_json::to_string(&usual).unwrap().contains("lazy"));
        let misspelt = parse(&format!(r#"{{"kind": "{kind}", "lasy": true}}"#)).unwrap_err();
        assert!(misspelt.contains("lasy") && misspelt.contains("lazy"), "{misspelt}");
    }
    for moving in [r#"{"kind": "sgd", "momentum": 0.5}"#, r#"{"kind": "adagrad", "weight_decay": 0.5}"#] {
        assert!(!parse(moving).unwrap().leaves_rows());
    }
}

#[test]
fn unknown_kinds_and_keys_are_errors_by_name() {
    let kind = parse(r#"{"kind": "lion"}"#).unwrap_err();
    assert!(kind.contains("lion") && kind.contains("adagrad"), "{kind}");
    let key = parse(r#"{"kind": "sgd", "momentun": 0.9}"#).unwrap_err();
    assert!(key.contains("momentun") && key.contains("nesterov"), "{key}");
    assert!(parse(r#"{"kind": "sgd", "beta1": 0.9}"#).is_err());
    assert!(serde_json::from_str::<PlateauConfig>(r#"{"patienc": 1}"#).is_err());
}

#[test]
fn constants_out_of_range_are_errors_by_name() {
    let cases = [
        (r#"{"kind": "sgd", "momentum": 1.0}"#, "sgd.momentum is 1, expected a number in [0, 1)"),
        (
            r#"{"kind": "sgd", "nesterov": true}"#,
            "sgd.nesterov is true, expected false where sgd.momentum is 0",
        ),
        (r#"{"kind": "sgd", "weight_decay": -1}"#, "sgd.weight_decay is -1"),
        (r#"{"kind": "adagrad", "eps": 0}"#, "adagrad.eps is 0"),
        (r#"{"kind": "adagrad", "initial_accumulator": -0.5}"#, "adagrad.initial_accumulator is -0.5"),
        (r#"{"kind": "adagrad", "weight_decay": -1}"#, "adagrad.weight_decay is -1"),
        (r#"{"kind": "adam", "beta1": 1.5}"#, "adam.beta1 is 1.5"),
        (r#"{"kind": "adam", "beta2": -0.1}"#, "adam.beta2 is -0.1"),
        (r#"{"kind": "adam", "eps": -1e-8}"#, "adam.eps is -0.00000001"),
        (r#"{"kind": "adam", "weight_decay": -2}"#, "adam.weight_decay is -2"),
    ];
    for (text, expected) in cases {
        let error = Optimizer::new(vec![], &parse(text).unwrap()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
}

#[test]
fn default_plateau_quarters_the_rate_unless_the_best_improves() {
    let mut schedule = Plateau::new(20.0, PlateauConfig::default()).unwrap();
    let seen = [6.0, 5.5, 5.5, 5.4, 5.6, 5.45, 5.3].map(|nll| schedule.observe(nll));
    assert_eq!(seen, [20.0, 20.0, 5.0, 5.0, 1.25, 0.3125, 0.3125]);
    assert_eq!(schedule.learning_rate(), 0.3125);
}

#[test]
fn patience_threshold_and_minimum_count() {
    let config = PlateauConfig { factor: 0.5, patience: 2, threshold: 0.1, min_lr: 0.3 };
    let mut schedule = Plateau::new(1.0, config).unwrap();
    // 4.95 and 4.91 undercut 5.0 by less than 0.1; the third in a row halves; 4.8 is better and
    // starts anew.
    let seen = [5.0, 4.95, 4.91, f64::NAN, 4.8, 4.8, 4.8].map(|nll| schedule.observe(nll));
    assert_eq!(seen, [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5]);
    assert_eq!(schedule.observe(4.75), 0.3);
    assert_eq!([9.0; 3].map(|nll| schedule.observe(nll)), [0.3; 3]);
    let mut below = Plateau::new(0.2, config).unwrap();
    assert_eq!([5.0; 4].map(|nll| below.observe(nll)), [0.2; 4]);
}

#[test]
fn nan_is_never_the_best() {
    let mut schedule = Plateau::new(1.0, PlateauConfig::default()).unwrap();
    assert_eq!([f64::NAN, 5.0, f64::INFINITY].map(|nll| schedule.observe(nll)), [0.25, 0.25, 0.0625]);
}

#[test]
fn a_saved_plateau_goes_on() {
    let mut schedule = Plateau::new(20.0, PlateauConfig { patience: 1, ..PlateauConfig::default() }).unwrap();
    let fresh: Plateau = serde_json::from_str(&serde_json::to_string(&schedule).unwrap()).unwrap();
    assert_eq!(fresh, schedule);
    schedule.observe(5.0);
    schedule.observe(5.1);
    let mut restored: Plateau = serde_json::from_str(&serde_json::to_string(&schedule).unwrap()).unwrap();
    assert_eq!(restored.observe(5.2), 5.0);
}

#[test]
fn unfit_schedules_are_refused_by_name() {
    let default = PlateauConfig::default();
    let error = |rate, config| Plateau::new(rate, config).unwrap_err().to_string();
    assert!(error(0.0, default).starts_with("learning_rate is 0"));
    assert!(error(1.0, PlateauConfig { factor: 1.0, ..default }).starts_with("plateau.factor is 1"));
    assert!(error(1.0, PlateauConfig { threshold: -1.0, ..default }).starts_with("plateau.threshold is -1"));
    assert!(error(1.0, PlateauConfig { min_lr: f64::NAN, ..default }).starts_with("plateau.min_lr is NaN"));
}
