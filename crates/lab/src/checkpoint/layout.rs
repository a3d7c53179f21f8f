//! Names and kinds of the tensors in a checkpoint file, and their bytes where they are.

use std::borrow::Cow;

use lexmax_autograd::cpu::slice;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, View};
use tch::{Device, Kind, Tensor};

use super::Progress;
use crate::Result;

/// Name of the progress, which is JSON.
pub(super) const PROGRESS: &str = "progress";

/// A tensor to be written: contiguous, on the CPU, of a kind that checkpoints have.
pub(super) struct Dense {
    tensor: Tensor,
    dtype: Dtype,
    shape: Vec<usize>,
}

impl Dense {
    /// A handle of the tensor, or its copy where it is not contiguous on the CPU; none for another
    /// kind, or one whose numbers do not lie in memory.
    pub(super) fn new(tensor: &Tensor) -> Result<Option<Dense>> {
        let dtype = match tensor.f_kind()? {
            Kind::Float => Dtype::F32,
            Kind::Double => Dtype::F64,
            Kind::Int64 => Dtype::I64,
            Kind::Uint8 => Dtype::U8,
            _ => return Ok(None),
        };
        let tensor = tensor.f_detach()?.f_to(Device::Cpu)?.f_contiguous()?;
        let shape: Vec<usize> = tensor.size().iter().map(|&size| size as usize).collect();
        let bytes = shape.iter().product::<usize>() * tensor.f_kind()?.elt_size_in_bytes();
        let dense = Dense { tensor, dtype, shape };
        Ok((dense.bytes().len() == bytes).then_some(dense))
    }

    fn bytes(&self) -> &[u8] {
        let bytes = match self.dtype {
            Dtype::F32 => slice::<f32>(&self.tensor).map(bytes_of),
            Dtype::F64 => slice::<f64>(&self.tensor).map(bytes_of),
            Dtype::I64 => slice::<i64>(&self.tensor).map(bytes_of),
            _ => slice::<u8>(&self.tensor),
        };
        // What is no slice `new` refuses by its length.
        bytes.unwrap_or_default()
    }
}

impl View for Dense {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.bytes())
    }

    fn data_len(&self) -> usize {
        self.bytes().len()
    }
}

/// Numbers without padding.
trait Plain {}
impl Plain for f32 {}
impl Plain for f64 {}
impl Plain for i64 {}

fn bytes_of<T: Plain>(numbers: &[T]) -> &[u8] {
    // SAFETY: the types of `Plain` have no padding, so each of their bytes is a number of eight
    // bits, which any address is aligned for; the borrow is that of the numbers.
    unsafe { std::slice::from_raw_parts(numbers.as_ptr().cast(), size_of_val(numbers)) }
}

/// A tensor in a checkpoint file, of a kind and a shape that tensors have.
pub(super) struct Entry<'a> {
    view: TensorView<'a>,
    pub(super) kind: Kind,
    pub(super) shape: Vec<i64>,
}

impl<'a> Entry<'a> {
    fn new(view: TensorView<'a>) -> std::result::Result<Self, String> {
        let kind = match view.dtype() {
            Dtype::F32 => Kind::Float,
            Dtype::F64 => Kind::Double,
            Dtype::I64 => Kind::Int64,
            other => return Err(format!("kind {other:?}, expected F32, F64 or I64")),
        };
        let shape = view.shape().iter().map(|&size| i64::try_from(size));
        let shape = shape.collect::<std::result::Result<Vec<i64>, _>>().map_err(|error| error.to_string())?;
        // A size of zero hides what the others are: libtorch multiplies them for the strides.
        shape
            .iter()
            .try_fold(1_i64, |all, &size| all.checked_mul(size.max(1)))
            .ok_or("a shape beyond all numbers")?;
        Ok(Self { view, kind, shape })
    }

    /// A tensor of its own, on a device.
    pub(super) fn tensor(&self, device: Device) -> std::result::Result<Tensor, tch::TchError> {
        Tensor::f_from_data_size(self.view.data(), &self.shape, self.kind)?.f_to(device)
    }

    /// Copies the numbers into a tensor of this kind and shape, a part at a time.
    pub(super) fn copy_into(&self, tensor: &Tensor) -> std::result::Result<(), tch::TchError> {
        let _guard = tch::no_grad_guard();
        if !tensor.is_contiguous() {
            return tensor.shallow_clone().f_copy_(&self.tensor(Device::Cpu)?);
        }
        let flat = tensor.f_view([-1])?;
        let width = self.kind.elt_size_in_bytes();
        let mut start = 0;
        for part in self.view.data().chunks(COPIED_AT_ONCE * width) {
            let count = (part.len() / width) as i64;
            let part = Tensor::f_from_data_size(part, &[count], self.kind)?;
            flat.f_narrow(0, start, count)?.f_copy_(&part)?;
            start += count;
        }
        Ok(())
    }
}

/// Numbers that are held beside a tensor while it is filled.
const COPIED_AT_ONCE: usize = 1 << 16;

/// Everything in a checkpoint file, where it is.
pub(super) struct Contents<'a> {
    pub(super) progress: Progress,
    pub(super) parameters: Vec<(String, Entry<'a>)>,
    pub(super) optimizer: Vec<(String, Entry<'a>)>,
    /// In the order of their numbers.
    pub(super) state: Vec<(String, Entry<'a>)>,
}

impl<'a> Contents<'a> {
    /// Reads the bytes of a file, which may be anything.
    ///
    /// # Errors
    /// What makes it no checkpoint.
    pub(super) fn read(bytes: &'a [u8]) -> std::result::Result<Self, String> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        let mut progress = None;
        let (mut parameters, mut optimizer, mut state) = (Vec::new(), Vec::new(), Vec::new());
        for (name, view) in file.tensors() {
            if name == PROGRESS {
                let read = serde_json::from_slice::<Progress>(view.data());
                progress = Some(read.map_err(|error| format!("{PROGRESS}: {error}"))?);
                continue;
            }
            let entry = Entry::new(view).map_err(|why| format!("tensor {name:?}: {why}"))?;
            if let Some(name) = name.strip_prefix("parameter/") {
                parameters.push((name.to_owned(), entry));
            } else if let Some(name) = name.strip_prefix("optimizer/") {
                optimizer.push((name.to_owned(), entry));
            } else if name.starts_with("state/") {
                state.push((name, entry));
            } else {
                return Err(format!("tensor {name:?}, expected a parameter, optimizer or carried state"));
            }
        }
        let progress = progress.ok_or("no progress inside")?;
        state.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Self { progress, parameters, optimizer, state })
    }
}
