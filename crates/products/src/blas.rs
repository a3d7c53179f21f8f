//! The BLAS that is loaded in the process: `sgemm_` and `dgemm_`, by the convention that all of
//! them share (MKL, OpenBLAS, Accelerate).

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::OnceLock;

use lexmax_kernels::Element;
use lexmax_kernels::product::{Matrix, Product, ProductLibrary};

/// Name of the library, in settings and records.
pub(crate) const NAME: &str = "blas";

/// Matrix product in the Fortran convention: matrices column by column, arguments by address.
type Gemm<T> = unsafe extern "C" fn(
    trans_a: *const c_char,
    trans_b: *const c_char,
    m: *const c_int,
    n: *const c_int,
    k: *const c_int,
    alpha: *const T,
    a: *const T,
    lda: *const c_int,
    b: *const T,
    ldb: *const c_int,
    beta: *const T,
    c: *mut T,
    ldc: *const c_int,
);

/// MKL's number of threads for calls from this thread; 0 is the process's. Gives the one before.
type SetThreads = unsafe extern "C" fn(count: c_int) -> c_int;

struct Blas {
    single: Gemm<f32>,
    double: Gemm<f64>,
    set_threads: Option<SetThreads>,
}

/// The BLAS of this process as a library of products, where one is loaded. libtorch brings one.
///
/// Every call computes on its own thread: MKL is told so, and OpenBLAS uses no others inside of a
/// parallel loop.
pub fn blas() -> Option<ProductLibrary> {
    loaded().map(|_| ProductLibrary::new(NAME, multiply_single, multiply_double))
}

fn loaded() -> Option<&'static Blas> {
    static LOADED: OnceLock<Option<Blas>> = OnceLock::new();
    LOADED
        .get_or_init(|| {
            let (single, double) = (symbol(c"sgemm_")?, symbol(c"dgemm_")?);
            let set_threads = symbol(c"MKL_Set_Num_Threads_Local");
            // SAFETY: these names have had these signatures in every BLAS for forty years, with
            // integers of 32 bits (those of 64 have other names), and MKL documents the third (its
            // name in small letters is that of the Fortran routine, which takes an address).
            unsafe {
                Some(Blas {
                    single: std::mem::transmute::<*mut c_void, Gemm<f32>>(single),
                    double: std::mem::transmute::<*mut c_void, Gemm<f64>>(double),
                    set_threads: set_threads
                        .map(|address| std::mem::transmute::<*mut c_void, SetThreads>(address)),
                })
            }
        })
        .as_ref()
}

/// Address of a function in the libraries of this process.
fn symbol(name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the name ends with a zero, and RTLD_DEFAULT is a handle that always exists.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    (!address.is_null()).then_some(address)
}

/// File of the library that has the products, where the system tells.
pub(crate) fn file() -> Option<String> {
    let address = symbol(c"sgemm_")?;
    let mut info = std::mem::MaybeUninit::<libc::Dl_info>::zeroed();
    // SAFETY: `info` is a place for the answer; zero says that there is none.
    let info = unsafe {
        if libc::dladdr(address, info.as_mut_ptr()) == 0 {
            return None;
        }
        info.assume_init()
    };
    // SAFETY: the name, where there is one, is a C string that lives as long as the library, which
    // is not unloaded.
    let name = (!info.dli_fname.is_null()).then(|| unsafe { CStr::from_ptr(info.dli_fname) })?;
    Some(name.to_string_lossy().into_owned())
}

fn multiply_single(product: Product<'_, f32>) {
    multiply(product, loaded().map(|blas| blas.single), 1.0, 0.0);
}

fn multiply_double(product: Product<'_, f64>) {
    multiply(product, loaded().map(|blas| blas.double), 1.0, 0.0);
}

/// A row-major result is the transposed one column by column: `out^T = right^T left^T`.
fn multiply<T: Element>(mut product: Product<'_, T>, gemm: Option<Gemm<T>>, one: T, zero: T) {
    let ([m, n, k], left, right) = (product.sizes(), product.left(), product.right());
    let numbers = [m, n, k, left.distance(), right.distance(), product.stride()];
    let small: Option<Vec<c_int>> = numbers.iter().map(|number| c_int::try_from(*number).ok()).collect();
    let (Some(gemm), Some(&[m, n, k, left_distance, right_distance, stride])) = (gemm, small.as_deref())
    else {
        // More than 32 bits of rows: the crate `gemm` counts in 64.
        return ProductLibrary::GEMM.run(product);
    };
    let beta = if product.accumulates() { one } else { zero };
    let _one_thread = OneThread::new();
    // SAFETY: the product was checked when it was made: the matrices lie inside of their slices,
    // lines do not overlap, and no size is zero, so every leading dimension is at least its line.
    // `out` is borrowed mutably, so that no operand overlaps it. All numbers live until the call
    // returns.
    unsafe {
        gemm(
            &raw const *order(&right),
            &raw const *order(&left),
            &raw const n,
            &raw const m,
            &raw const k,
            &raw const one,
            right.data().as_ptr(),
            &raw const right_distance,
            left.data().as_ptr(),
            &raw const left_distance,
            &raw const beta,
            product.out().as_mut_ptr(),
            &raw const stride,
        );
    }
}

/// How a column-major routine reads the transposed matrix: as it lies, or transposed.
fn order<T>(matrix: &Matrix<'_, T>) -> &'static c_char {
    const AS_IT_LIES: c_char = b'N' as c_char;
    const TRANSPOSED: c_char = b'T' as c_char;
    if matrix.has_contiguous_rows() { &AS_IT_LIES } else { &TRANSPOSED }
}

/// MKL computes on the calling thread alone as long as this lives.
struct OneThread(Option<(SetThreads, c_int)>);

impl OneThread {
    fn new() -> Self {
        let set = loaded().and_then(|blas| blas.set_threads);
        // SAFETY: it may be called from any thread at any time, and concerns that thread only.
        Self(set.map(|set| (set, unsafe { set(1) })))
    }
}

impl Drop for OneThread {
    fn drop(&mut self) {
        if let Some((set, before)) = self.0 {
            // SAFETY: as in `new`.
            unsafe { set(before) };
        }
    }
}
