//! The optimizer: named parameters, one rule for each, and a state that can be saved.

use std::collections::{HashMap, HashSet};

use lexmax_kernels::optim::Others;
use tch::{COptimizer, Kind, Tensor, nn};

use crate::addresses::Addresses;
use crate::config::OptimizerConfig;
use crate::error::{OptimError, Result, check};
use crate::sparse::RowGradient;
use crate::state::State;
use crate::update;

/// An optimizer over named tensors; the formulas are those of its [`OptimizerConfig`].
///
/// Updates happen in place, so every other handle of a parameter sees them, and libtorch counts
/// them: a backward pass through a graph from before the step that needs the old numbers is
/// refused, as in PyTorch. For contiguous parameters of f32 and f64 on the CPU a step is one pass
/// over parameter, gradient and state, with as many threads as libtorch has, and needs no memory
/// beside the state; elsewhere it is made of tensor operations, with at most three temporaries of
/// the parameter's size (where it is of bf16, some of them are in f32).
#[derive(Debug)]
pub struct Optimizer {
    config: OptimizerConfig,
    parameters: Vec<Parameter>,
    /// libtorch's own optimizer over the same tensors, never stepped: it alone can detach a
    /// gradient through tch.
    gradients: COptimizer,
}

#[derive(Debug)]
struct Parameter {
    name: String,
    tensor: Tensor,
    state: State,
}

impl Optimizer {
    /// An optimizer over `parameters` with a fresh state.
    ///
    /// # Errors
    /// A constant of `config` out of its range; a name given twice; one tensor under two names; a
    /// tensor that is not dense, not a leaf, or not of dtype `Float`, `Double` or `BFloat16`.
    /// `Half` is refused: `eps` and second moments are below its range, so steps would divide by
    /// zero.
    pub fn new(parameters: Vec<(String, Tensor)>, config: &OptimizerConfig) -> Result<Self> {
        config.validate()?;
        let mut names = HashSet::new();
        let mut addresses = Addresses::default();
        let mut gradients = COptimizer::sgd(0.0, 0.0, 0.0, 0.0, false)?;
        let mut ready = Vec::with_capacity(parameters.len());
        for (name, tensor) in parameters {
            if !names.insert(name.clone()) {
                return Err(OptimError::DuplicateName { name });
            }
            addresses.take(&name, &tensor)?;
            let given = tensor.f_kind()?;
            if !matches!(given, Kind::Float | Kind::Double | Kind::BFloat16) {
                let expected = match given {
                    // The range of f16 ends at 6e-8: eps and second moments become 0, and steps
                    // 0/0.
                    Kind::Half => "Float or BFloat16: keep parameters in f32 or bf16",
                    _ => "a floating kind",
                };
                return Err(OptimError::Kind { name, given, expected: expected.into() });
            }
            if !tensor.f_is_leaf()? {
                return Err(OptimError::NotLeaf { name });
            }
            gradients.add_parameters(&tensor, 0)?;
            let state = tch::no_grad(|| State::new(config, &tensor))?;
            ready.push(Parameter { name, tensor, state });
        }
        Ok(Optimizer { config: config.clone(), parameters: ready, gradients })
    }

    /// An optimizer over every trainable variable of a store, in the order of their names.
    ///
    /// # Errors
    /// As [`Optimizer::new`].
    ///
    /// ```
    /// use lexmax_optim::{AdamConfig, Optimizer, OptimizerConfig};
    /// use tch::nn::{self, Module};
    /// use tch::{Device, Kind, Tensor};
    ///
    /// let store = nn::VarStore::new(Device::Cpu);
    /// let model = nn::linear(store.root(), 3, 1, Default::default());
    /// let config = OptimizerConfig::Adam(AdamConfig::default());
    /// let mut optimizer = Optimizer::for_store(&store, &config)?;
    /// let inputs = Tensor::ones([4, 3], (Kind::Float, Device::Cpu));
    /// let loss = || (model.forward(&inputs) - 5.0).square().mean(Kind::Float);
    /// let before = loss();
    /// before.f_backward()?;
    /// optimizer.clip_grad_norm(1.0)?;
    /// optimizer.step(1e-3)?;
    /// optimizer.zero_grad()?;
    /// assert!(loss().double_value(&[]) < before.double_value(&[]));
    /// # Ok::<(), lexmax_optim::OptimError>(())
    /// ```
    pub fn for_store(store: &nn::VarStore, config: &OptimizerConfig) -> Result<Self> {
        let mut parameters: Vec<_> =
            store.variables().into_iter().filter(|(_, tensor)| tensor.requires_grad()).collect();
        parameters.sort_by(|one, other| one.0.cmp(&other.0));
        Self::new(parameters, config)
    }

    /// Names and tensors of the parameters, which share their memory with the optimizer's own.
    pub fn parameters(&self) -> Vec<(String, Tensor)> {
        let named = |parameter: &Parameter| (parameter.name.clone(), parameter.tensor.shallow_clone());
        self.parameters.iter().map(named).collect()
    }

    /// Scales the gradients of all parameters so that their joint L2 norm is at most `max`, and
    /// returns the norm before: [`clip_grad_norm`](crate::clip_grad_norm) over this optimizer's
    /// parameters.
    ///
    /// # Errors
    /// As [`clip_grad_norm`](crate::clip_grad_norm).
    pub fn clip_grad_norm(&mut self, max: f64) -> Result<f64> {
        crate::clip_grad_norm(&self.parameters(), max)
    }

    /// One update of every parameter that has a gradient; the others keep their value and their
    /// state.
    ///
    /// A gradient with one sparse dimension (what `embedding` with `sparse = true` gives) does
    /// exactly what the dense gradient would do, or leaves rows alone where the configuration is
    /// lazy: see [`OptimizerConfig`]. Rows that occur twice in it are added up first, and the sum
    /// is left as the parameter's gradient.
    ///
    /// # Errors
    /// A learning rate that is negative or not finite; a gradient with several sparse dimensions.
    /// Parameters before the one at fault have been updated by then; its own step is not counted.
    pub fn step(&mut self, learning_rate: f64) -> Result<()> {
        self.step_scaled(learning_rate, 1.0)
    }

    /// One step with `scale` times every gradient, in the pass of [`Optimizer::step`]: with the
    /// factor of [`clip_factor`](crate::clip_factor) it does what
    /// [`clip_grad_norm`](crate::clip_grad_norm) and a step do, to the last bit on the CPU in f32
    /// and f64, and spares a pass that writes the gradients.
    ///
    /// # Errors
    /// A factor that is negative or not finite; as [`Optimizer::step`].
    pub fn step_scaled(&mut self, learning_rate: f64, scale: f64) -> Result<()> {
        check("gradient scale", scale, scale.is_finite() && scale >= 0.0, "a finite number >= 0")?;
        let fits = learning_rate.is_finite() && learning_rate >= 0.0;
        check("learning_rate", learning_rate, fits, "a finite number >= 0")?;
        let _guard = tch::no_grad_guard();
        let others = if self.config.leaves_rows() { Others::Rest } else { Others::Move };
        for Parameter { name, tensor, state } in &mut self.parameters {
            let mut gradient = tensor.f_grad()?;
            if !gradient.defined() {
                continue;
            }
            let rows = if gradient.is_sparse() { Some(RowGradient::of(name, &mut gradient)?) } else { None };
            let rule = state.next_step(&self.config, learning_rate)?;
            match rows {
                None => update::dense(rule, tensor, &mut state.tables, &gradient, scale)?,
                Some(rows) => update::by_rows(rule, tensor, &mut state.tables, &rows, scale, others)?,
            }
            // An update that was refused is no step.
            state.count_step()?;
        }
        Ok(())
    }

    /// Drops every gradient: `grad()` is undefined until the next backward pass, which then hands
    /// its own tensor over instead of adding to one. Costs no pass over the gradients, and frees
    /// their memory.
    pub fn zero_grad(&mut self) -> Result<()> {
        Ok(self.gradients.zero_grad()?)
    }

    /// Copies of the state's tensors as `parameter/entry`, in the order of the parameters; the
    /// entries of each rule stand with its configuration. Empty for SGD without momentum.
    ///
    /// # Errors
    /// libtorch refused, for lack of memory.
    pub fn state(&self) -> Result<Vec<(String, Tensor)>> {
        let _guard = tch::no_grad_guard();
        let copy = |(name, entry): (String, &Tensor)| {
            let mut copy = entry.f_empty_like()?;
            copy.f_copy_(entry)?;
            Ok((name, copy))
        };
        self.entries().map(copy).collect()
    }

    /// Handles of the state's own tensors, named as in [`Optimizer::state`]: for a file that is
    /// written before the next step, which changes them. No memory is needed.
    pub fn state_handles(&self) -> Vec<(String, Tensor)> {
        self.entries().map(|(name, entry)| (name, entry.shallow_clone())).collect()
    }

    /// Takes over what [`Optimizer::state`] gave, of an optimizer with the same parameters and
    /// configuration: the run goes on bit for bit. Nothing changes on an error.
    ///
    /// # Errors
    /// An entry that is missing, unknown, or of another shape or dtype, by its name.
    pub fn load_state(&mut self, state: &[(String, Tensor)]) -> Result<()> {
        let mut sizes = Vec::with_capacity(state.len());
        for (_, entry) in state {
            sizes.push((entry.size(), entry.f_kind()?));
        }
        let described: Vec<(&str, &[i64], Kind)> = state
            .iter()
            .zip(&sizes)
            .map(|((name, _), (size, kind))| (name.as_str(), size.as_slice(), *kind))
            .collect();
        let places = self.state_places(&described)?;
        let _guard = tch::no_grad_guard();
        for (mut place, (_, entry)) in places.into_iter().zip(state) {
            place.f_copy_(entry)?;
        }
        Ok(())
    }

    /// Handles of the state's own tensors in the order of the entries given, each a name, a shape
    /// and a dtype, which must be those of the state: what is copied into them is the state from
    /// then on. [`Optimizer::load_state`] for entries that are not all in memory at once.
    ///
    /// # Errors
    /// As [`Optimizer::load_state`].
    pub fn state_places(&mut self, given: &[(&str, &[i64], Kind)]) -> Result<Vec<Tensor>> {
        let by_name: HashMap<&str, usize> = given.iter().map(|(name, ..)| *name).zip(0..).collect();
        let mut places: Vec<Option<Tensor>> = given.iter().map(|_| None).collect();
        let mut known = Vec::new();
        for (name, entry) in self.entries() {
            let expected = entry.size();
            let Some(&at) = by_name.get(name.as_str()) else {
                return Err(OptimError::MissingState { name, expected });
            };
            let (_, size, kind) = given[at];
            if *size != expected {
                return Err(OptimError::StateShape { name, given: size.to_vec(), expected });
            }
            let expected = entry.f_kind()?;
            if kind != expected {
                return Err(OptimError::Kind { name, given: kind, expected: format!("{expected:?}") });
            }
            places[at] = Some(entry.shallow_clone());
            known.push(name);
        }
        let (all, unknown): (Vec<_>, Vec<_>) =
            places.into_iter().zip(given).partition(|(place, _)| place.is_some());
        if let Some((_, (name, ..))) = unknown.first() {
            known.sort_unstable();
            let expected = if known.is_empty() { "no entry".into() } else { known.join(", ") };
            return Err(OptimError::UnexpectedState { name: (*name).to_owned(), expected });
        }
        Ok(all.into_iter().filter_map(|(place, _)| place).collect())
    }

    /// The state's own tensors with their full names.
    fn entries(&self) -> impl Iterator<Item = (String, &Tensor)> {
        self.parameters.iter().flat_map(|parameter| {
            let entries = parameter.state.entries();
            entries.map(|(entry, tensor)| (format!("{}/{entry}", parameter.name), tensor))
        })
    }
}
