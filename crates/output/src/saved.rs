//! Parameters set from saved tensors by name.

use tch::Tensor;

use crate::{OutputError, Result};

/// Names that a message lists.
const NAMED: usize = 12;

/// Copies saved tensors into the parameters of a layer; nothing changes on an error.
///
/// `parameters` lists the names that the file uses, each after `prefix`, beside the parameter that
/// takes the values; `None` for one that the layer was built without, which then must not be in the
/// file either. Other tensors of the file are left alone, so a whole model's state may be given.
/// The values are converted to the dtype and device of the parameter.
///
/// # Errors
/// A name that is missing, or saved for a parameter that the layer does not have; another shape; a
/// dtype that holds no floating-point numbers.
pub fn copy_saved(
    op: &'static str,
    saved: &[(String, Tensor)],
    prefix: &str,
    parameters: &[(String, Option<&Tensor>)],
) -> Result<()> {
    let mut copies = Vec::with_capacity(parameters.len());
    for (name, parameter) in parameters {
        let name = format!("{prefix}{name}");
        let found = saved.iter().find(|(own, _)| *own == name).map(|(_, tensor)| tensor);
        match (parameter, found) {
            (None, None) => {}
            (None, Some(_)) => {
                let expected = "no such tensor: the layer was built without this parameter";
                return Err(OutputError::argument(op, "saved tensor", name, expected));
            }
            (Some(_), None) => {
                let expected = format!("a tensor named {name}");
                return Err(OutputError::argument(op, "saved tensors", names(saved, prefix), expected));
            }
            (Some(parameter), Some(found)) => {
                if found.size() != parameter.size() {
                    let (given, expected) = (found.size(), format!("{:?}, for {name}", parameter.size()));
                    return Err(OutputError::Shape { op, what: "a saved tensor", given, expected });
                }
                if !found.is_floating_point() {
                    let (given, expected) = (found.kind(), format!("a floating-point dtype, for {name}"));
                    return Err(OutputError::Kind { op, what: "a saved tensor", given, expected });
                }
                copies.push((parameter.shallow_clone(), found));
            }
        }
    }
    let _guard = tch::no_grad_guard();
    for (mut parameter, found) in copies {
        parameter.f_copy_(found)?;
    }
    Ok(())
}

/// Names for a message: those below the prefix, or, where there are none, the first of all.
fn names(saved: &[(String, Tensor)], prefix: &str) -> String {
    let all = || saved.iter().map(|(name, _)| name.as_str());
    let below: Vec<&str> = all().filter(|name| name.starts_with(prefix)).take(NAMED).collect();
    if !below.is_empty() {
        return format!("{below:?}");
    }
    format!("{:?}, none of {} below {prefix:?}", all().take(NAMED).collect::<Vec<_>>(), saved.len())
}
