//! Sparse gradients (COO), from the function to the leaf.
#![allow(clippy::unwrap_used)]

mod common;

use common::{made, values};
use lexmax_autograd::sparse::rows_of;
use lexmax_autograd::{Function, apply};
use tch::{Device, Kind, Tensor};

/// `rows = weight[ids]` for `weight [V, D]`, `ids [S]`, with a row-sparse gradient of the weight.
fn gather() -> impl Function {
    made(
        |context| {
            let (weight, ids) = (context.input(0)?, context.input(1)?);
            context.save(ids);
            Ok(vec![weight.f_index_select(0, ids)?])
        },
        |context| {
            let (rows, ids) = (context.grad_output(0)?, context.saved(0)?);
            let sparse = Tensor::f_sparse_coo_tensor_indices_size(
                &ids.f_unsqueeze(0)?,
                rows,
                [5, 2],
                (rows.f_kind()?, rows.device()),
                false,
            )?;
            Ok(vec![Some(sparse), None])
        },
    )
}

fn weight() -> Tensor {
    Tensor::arange(10, (Kind::Double, Device::Cpu)).reshape([5, 2]).set_requires_grad(true)
}

fn rows(weight: &Tensor, ids: &[i64]) -> Tensor {
    apply(gather(), &[Some(weight), Some(&Tensor::from_slice(ids))]).unwrap().remove(0)
}

#[test]
fn the_gradient_of_the_weight_is_sparse() {
    let weight = weight();
    let gathered = rows(&weight, &[3, 1, 3]);
    assert_eq!(values(&gathered), [6.0, 7.0, 2.0, 3.0, 6.0, 7.0]);
    let scales = Tensor::from_slice(&[1.0, 10.0, 100.0]).unsqueeze(1);
    (gathered * scales).sum(Kind::Double).backward();
    let gradient = weight.grad();
    assert!(gradient.is_sparse());
    assert_eq!(gradient.size(), [5, 2]);
    let gradient = gradient.coalesce();
    assert_eq!(values(&gradient.indices()), [1.0, 3.0]);
    assert_eq!(gradient.values().size(), [2, 2]);
    assert_eq!(values(&gradient.values()), [10.0, 10.0, 101.0, 101.0]);
}

#[test]
fn sparse_gradients_accumulate() {
    let weight = weight();
    // In one pass, where the engine adds them, and in a second one, where the leaf does.
    (rows(&weight, &[0, 2]) + rows(&weight, &[2, 4])).sum(Kind::Double).backward();
    assert!(weight.grad().is_sparse());
    rows(&weight, &[4]).sum(Kind::Double).backward();
    let gradient = weight.grad();
    assert!(gradient.is_sparse());
    let gradient = gradient.coalesce();
    assert_eq!(values(&gradient.indices()), [0.0, 2.0, 4.0]);
    assert_eq!(values(&gradient.values()), [1.0, 1.0, 2.0, 2.0, 2.0, 2.0]);
}

#[test]
fn sparse_and_dense_gradients_add_up_to_a_dense_one() {
    let expected = [1.0, 1.0, 1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 1.0, 1.0];
    // In one pass, in both orders of the sum.
    for sparse_first in [true, false] {
        let weight = weight();
        let dense = || weight.sum(Kind::Double);
        let sparse = || rows(&weight, &[2]).sum(Kind::Double);
        let loss = if sparse_first { sparse() + dense() } else { dense() + sparse() };
        loss.backward();
        assert!(!weight.grad().is_sparse());
        assert_eq!(values(&weight.grad()), expected);
    }
    // In two passes, in both orders.
    for sparse_first in [true, false] {
        let weight = weight();
        for sparse in [sparse_first, !sparse_first] {
            let loss = if sparse { rows(&weight, &[2]).sum(Kind::Double) } else { weight.sum(Kind::Double) };
            loss.backward();
        }
        assert!(!weight.grad().is_sparse());
        assert_eq!(values(&weight.grad()), expected);
    }
}

#[test]
fn a_sparse_gradient_is_not_shared_with_what_was_saved() {
    // The values of the gradient are a saved tensor that the test holds too.
    let table = Tensor::from_slice(&[5.0, 6.0]).reshape([1, 2]);
    let shared = table.shallow_clone();
    let weight = weight();
    let function = made(
        move |context| {
            context.save(&shared);
            Ok(vec![context.input(0)?.f_narrow(0, 3, 1)?.f_mul(&shared)?.f_sum(Kind::Double)?])
        },
        |context| {
            let options = (Kind::Double, Device::Cpu);
            let ids = Tensor::f_from_slice(&[3i64])?.f_unsqueeze(0)?;
            let values = context.saved(0)?;
            Ok(vec![Some(Tensor::f_sparse_coo_tensor_indices_size(&ids, &values, [5, 2], options, false)?)])
        },
    );
    apply(function, &[Some(&weight)]).unwrap()[0].backward();
    let gradient = weight.grad();
    assert!(gradient.is_sparse());
    let _ = gradient.internal_values().fill_(0.0);
    assert_eq!(values(&table), [5.0, 6.0]);
}

#[test]
fn row_gradients_are_checked_by_name() {
    let values = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
    let error = |rows: &[i64], values: &Tensor, size: &[i64]| {
        rows_of(&Tensor::from_slice(rows), values, size).unwrap_err().to_string()
    };
    let size = [9, 3];
    assert_eq!(
        error(&[4, 1], &values, &size),
        "rows_of: rows go from 4 to 1, expected rising ones, each once"
    );
    assert_eq!(
        error(&[4, 4], &values, &size),
        "rows_of: rows go from 4 to 4, expected rising ones, each once"
    );
    assert_eq!(error(&[4, 9], &values, &size), "rows_of: rows have 9, expected 0 <= row < 9");
    assert_eq!(error(&[-1, 4], &values, &size), "rows_of: rows have -1, expected 0 <= row < 9");
    for (rows, values, size) in [
        (&[1][..], values.shallow_clone(), [9, 3]),
        (&[1, 2], values.shallow_clone(), [9, 4]),
        (&[1, 2], values.view([-1]), [9, 3]),
        (&[], values.view([-1]).get(0), [9, 3]),
    ] {
        let error = error(rows, &values, &size);
        let (shape, rows) = (values.size(), rows.len());
        let expected = format!("expected one row for each of {rows} rows of {size:?}");
        assert_eq!(error, format!("rows_of: values have shape {shape:?}, {expected}"));
    }
    assert_eq!(error(&[1, 2], &values, &[]), "rows_of: size is [], expected [V, ..]");
    let odd = |rows: &Tensor, values: &Tensor| rows_of(rows, values, &size).unwrap_err().to_string();
    let floats = odd(&Tensor::from_slice(&[1.0_f32, 2.0]), &values);
    assert_eq!(floats, "rows_of: rows are [2] of kind Float, expected [R] of kind Int64");
    let matrix = odd(&Tensor::from_slice(&[1_i64, 2]).unsqueeze(0), &values);
    assert_eq!(matrix, "rows_of: rows are [1, 2] of kind Int64, expected [R] of kind Int64");
    assert_eq!(odd(&Tensor::new(), &values), "rows_of: rows are no dense tensor, expected a dense tensor");
    let sparse = values.to_sparse_sparse_dim(1);
    let sparse = odd(&Tensor::from_slice(&[1_i64, 2]), &sparse);
    assert_eq!(sparse, "rows_of: values are no dense tensor, expected a dense tensor");
    // Those that fit: strided rows too, and none at all.
    let rows = Tensor::from_slice(&[1_i64, 0, 8, 0]).slice(0, 0, 4, 2);
    let gradient = rows_of(&rows, &values, &size).unwrap();
    assert!(gradient.is_coalesced() && gradient.internal_nnz() == 2);
    let none = Tensor::zeros([0], (Kind::Int64, Device::Cpu));
    let empty = Tensor::zeros([0, 3], (Kind::Float, Device::Cpu));
    assert_eq!(rows_of(&none, &empty, &size).unwrap().internal_nnz(), 0);
    // A weight of one dimension has values of one.
    let bias = rows_of(&Tensor::from_slice(&[2_i64]), &Tensor::from_slice(&[5.0_f32]), &[4]).unwrap();
    assert_eq!(common::values(&bias.to_dense(None, false)), [0.0, 0.0, 5.0, 0.0]);
}
