//! The optimizer: named parameters, one rule for each, and a state that can be saved.

use std::collections::{HashMap, HashSet};

use tch::{COptimizer, Kind, Tensor};

use crate::adagrad::Adagrad;
use crate::adam::Adam;
use crate::config::OptimizerConfig;
use crate::error::{OptimError, Result, check};
use crate::rule::Rule;
use crate::sgd::Sgd;

/// An optimizer over named tensors; the formulas are those of its [`OptimizerConfig`].
///
/// Updates happen in place, so every other handle of a parameter sees them. Memory beside the state: on the CPU at
/// most two temporaries of 131,072 elements for contiguous parameters (rules of several passes go through large ones
/// piece by piece, in cache), elsewhere two of the parameter's size; SGD needs none.
#[derive(Debug)]
pub struct Optimizer {
    rule_name: &'static str,
    parameters: Vec<Parameter>,
    /// libtorch's own optimizer over the same tensors, never stepped: it alone can detach a gradient through tch.
    gradients: COptimizer,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    tensor: Tensor,
    rule: Box<dyn Rule>,
}

impl Optimizer {
    /// An optimizer over `parameters` with a fresh state.
    ///
    /// # Errors
    /// A constant of `config` out of its range; a name given twice; one tensor under two names; a tensor that is not
    /// a leaf or not of a floating kind.
    pub fn new(parameters: Vec<(String, Tensor)>, config: &OptimizerConfig) -> Result<Self> {
        config.validate()?;
        let mut names = HashSet::new();
        let mut places: HashMap<usize, String> = HashMap::new();
        let mut gradients = COptimizer::sgd(0.0, 0.0, 0.0, 0.0, false)?;
        let mut ruled = Vec::with_capacity(parameters.len());
        for (name, tensor) in parameters {
            if !names.insert(name.clone()) {
                return Err(OptimError::DuplicateName { name });
            }
            let given = tensor.f_kind()?;
            if !matches!(given, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16) {
                return Err(OptimError::Kind { name, given, expected: "a floating kind".into() });
            }
            if !tensor.f_is_leaf()? {
                return Err(OptimError::NotLeaf { name });
            }
            if tensor.numel() > 0
                && let Some(first) = places.insert(tensor.data_ptr() as usize, name.clone())
            {
                return Err(OptimError::SameTensor { first, second: name });
            }
            gradients.add_parameters(&tensor, 0)?;
            let rule = new_rule(config, &tensor)?;
            ruled.push(Parameter { name, tensor, rule });
        }
        let rule_name = match config {
            OptimizerConfig::Sgd(_) => "sgd",
            OptimizerConfig::Adagrad(_) => "adagrad",
            OptimizerConfig::Adam(_) => "adam",
        };
        Ok(Optimizer { rule_name, parameters: ruled, gradients })
    }

    /// One update of every parameter that has a gradient; the others keep their value and their state.
    ///
    /// A sparse gradient with one sparse dimension (what `embedding` with `sparse = true` gives) costs its rows only,
    /// and does exactly what the dense gradient would do.
    ///
    /// # Errors
    /// A learning rate that is negative or not finite; a sparse gradient where the rule moves every row. Parameters
    /// before the one at fault have been updated by then.
    pub fn step(&mut self, learning_rate: f64) -> Result<()> {
        let fits = learning_rate.is_finite() && learning_rate >= 0.0;
        check("learning_rate", learning_rate, fits, "a finite number >= 0")?;
        let _guard = tch::no_grad_guard();
        for Parameter { name, tensor, rule } in &mut self.parameters {
            let gradient = tensor.f_grad()?;
            if !gradient.defined() {
                continue;
            }
            if !gradient.is_sparse() {
                rule.update(tensor, &gradient, learning_rate)?;
                continue;
            }
            let by_rows = match gradient.f_sparse_dim()? {
                1 => rule.row_sparse(),
                _ => Err("only the first dimension may be sparse"),
            };
            if let Err(reason) = by_rows {
                return Err(OptimError::SparseGradient { name: name.clone(), rule: self.rule_name, reason });
            }
            let gradient = gradient.f_coalesce()?;
            let rows = gradient.f_indices()?.f_select(0, 0)?;
            rule.update_rows(tensor, &rows, &gradient.f_values()?, learning_rate)?;
        }
        Ok(())
    }

    /// Drops every gradient: `grad()` is undefined until the next backward pass, which then hands its own tensor over
    /// instead of adding to one. Costs no pass over the gradients, and frees their memory.
    pub fn zero_grad(&mut self) -> Result<()> {
        Ok(self.gradients.zero_grad()?)
    }

    /// Copies of the state's tensors as `parameter/entry`, in the order of the parameters; the entries of each rule
    /// stand with its configuration. Empty for SGD without momentum.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        self.entries().map(|(name, entry)| (name, entry.copy())).collect()
    }

    /// Takes over what [`Optimizer::state`] gave, of an optimizer with the same parameters and configuration: the run
    /// goes on bit for bit. Nothing changes on an error.
    ///
    /// # Errors
    /// An entry that is missing, unknown, or of another shape or kind, by its name.
    pub fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        let given: HashMap<&str, &Tensor> =
            state.iter().map(|(name, entry)| (name.as_str(), entry)).collect();
        let mut pairs = Vec::with_capacity(state.len());
        for (name, entry) in self.entries() {
            let expected = entry.size();
            let Some(source) = given.get(name.as_str()) else {
                return Err(OptimError::MissingState { name, expected });
            };
            if source.size() != expected {
                return Err(OptimError::StateShape { name, given: source.size(), expected });
            }
            let (given, expected) = (source.f_kind()?, entry.f_kind()?);
            if given != expected {
                return Err(OptimError::Kind { name, given, expected: format!("{expected:?}") });
            }
            pairs.push((name, entry.shallow_clone(), *source));
        }
        let known: HashSet<&str> = pairs.iter().map(|(name, ..)| name.as_str()).collect();
        if let Some((name, _)) = state.iter().find(|(name, _)| !known.contains(name.as_str())) {
            let mut expected: Vec<&str> = known.into_iter().collect();
            expected.sort_unstable();
            let expected = if expected.is_empty() { "no entry".into() } else { expected.join(", ") };
            return Err(OptimError::UnexpectedState { name: name.clone(), expected });
        }
        let _guard = tch::no_grad_guard();
        for (_, mut entry, source) in pairs {
            entry.f_copy_(source)?;
        }
        Ok(())
    }

    /// The state's own tensors with their full names.
    fn entries(&self) -> impl Iterator<Item = (String, &Tensor)> {
        self.parameters.iter().flat_map(|parameter| {
            let entries = parameter.rule.state().into_iter();
            entries.map(|(entry, tensor)| (format!("{}/{entry}", parameter.name), tensor))
        })
    }
}

fn new_rule(config: &OptimizerConfig, parameter: &Tensor) -> Result<Box<dyn Rule>> {
    let _guard = tch::no_grad_guard();
    Ok(match config {
        OptimizerConfig::Sgd(config) => Box::new(Sgd::new(config, parameter)?),
        OptimizerConfig::Adagrad(config) => Box::new(Adagrad::new(config, parameter)?),
        OptimizerConfig::Adam(config) => Box::new(Adam::new(config, parameter)?),
    })
}
