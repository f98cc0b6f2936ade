//! Tensors where they lie in their file.

use std::borrow::Cow;

use super::{Mapped, Tensor};
use crate::error::{Error, Result};
use crate::quant::Format;

/// A tensor as its file stores it: what a reader finds.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub name: String,
    /// Row-major, outermost dimension first.
    pub shape: Vec<usize>,
    /// In elements, one for each dimension. `None`: contiguous. Only float formats have strides.
    pub strides: Option<Vec<usize>>,
    pub format: Format,
    /// Which of the checkpoint's files, for sharded ones.
    pub file: usize,
    /// Where the data begins in that file, in bytes.
    pub offset: usize,
    /// What the recurrence wants in place of the stored number.
    pub elementwise: Option<fn(f32) -> f32>,
}

impl Stored {
    /// Elements that are changed one by one come out as f32.
    pub fn resulting_format(&self) -> Format {
        if self.elementwise.is_some() { Format::F32 } else { self.format }
    }

    /// The one of the checkpoint's files that holds it.
    #[allow(clippy::indexing_slicing, reason = "a reader lists the files that it numbers")]
    pub fn file<'a>(&self, files: &'a [Mapped]) -> &'a Mapped {
        &files[self.file]
    }

    /// The tensor as the model wants it. `check_extent` has proven at opening that it lies inside its file.
    #[allow(clippy::indexing_slicing, reason = "check_extent has proven it to lie inside the file")]
    pub fn read<'a>(&'a self, files: &'a [Mapped]) -> Tensor<'a> {
        let file = self.file(files).bytes();
        let tensor = Tensor { name: &self.name, shape: &self.shape, format: self.format, data: Cow::Borrowed(&[]) };
        let data = match &self.strides {
            None => {
                let size = self.format.size_of(&self.shape).unwrap_or(0);
                Cow::Borrowed(&file[self.offset..self.offset + size])
            }
            Some(strides) => Cow::Owned(gather(&file[self.offset..], &self.shape, strides, self.format.block_bytes())),
        };
        let tensor = Tensor { data, ..tensor };
        match self.elementwise {
            None => tensor,
            Some(function) => {
                let mut values = tensor.to_f32();
                values.iter_mut().for_each(|x| *x = function(*x));
                let data = values.iter().flat_map(|x| x.to_le_bytes()).collect();
                Tensor { format: Format::F32, data: Cow::Owned(data), ..tensor }
            }
        }
    }

    /// The same numbers seen with dimensions `a` and `b` exchanged. Only for float formats.
    pub fn transposed(mut self, a: usize, b: usize) -> Self {
        let mut strides = self.strides.take().unwrap_or_else(|| contiguous_strides(&self.shape));
        strides.swap(a, b);
        self.shape.swap(a, b);
        self.strides = Some(strides);
        self
    }
}

/// Row-major strides, in elements, of a tensor without gaps. A shape too large for memory saturates: `check_extent`
/// refuses it.
pub(super) fn contiguous_strides(shape: &[usize]) -> Vec<usize> {
    (1..=shape.len()).map(|inner| shape.iter().skip(inner).fold(1usize, |n, &len| n.saturating_mul(len))).collect()
}

/// That every byte the tensor may touch lies inside the file, so that reading it cannot fail later.
pub(super) fn check_extent(tensor: &Stored, files: &[Mapped]) -> Result<()> {
    let file = tensor.file(files);
    let Stored { name, shape, format, .. } = tensor;
    let refuse = |cause: &str| {
        Err(Error::format(
            file.path(),
            format!("the tensor {name} {shape:?} {format} {cause}; it is damaged, download or convert it again"),
        ))
    };
    // A dimension of 0 makes any size small, but not the numbers that are computed on the way.
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d));
    let (Some(size), Some(_)) = (format.size_of(shape), count) else {
        return refuse("has a shape that cannot be stored so");
    };
    let span = match &tensor.strides {
        None => Some(size),
        Some(_) if shape.contains(&0) => Some(0),
        // A block's numbers share a scale: they cannot be picked apart.
        Some(_) if !format.is_float() => return refuse("has its numbers out of order"),
        Some(strides) => shape
            .iter()
            .zip(strides)
            .try_fold(1usize, |n, (&len, &stride)| n.checked_add((len - 1).checked_mul(stride)?))
            .and_then(|n| n.checked_mul(format.block_bytes())),
    };
    let end = span.and_then(|span| span.checked_add(tensor.offset));
    // A stride of 0 repeats numbers: without the second bound a small file could describe a huge tensor.
    if end.is_some_and(|end| end <= file.bytes().len()) && size <= file.bytes().len() {
        return Ok(());
    }
    refuse("ends beyond the file")
}

/// Copies a strided tensor of `size`-byte elements into row-major order.
#[allow(clippy::indexing_slicing, reason = "check_extent has proven every element to lie inside the file")]
fn gather(bytes: &[u8], shape: &[usize], strides: &[usize], size: usize) -> Vec<u8> {
    let count: usize = shape.iter().product();
    let mut out = Vec::with_capacity(count * size);
    let mut index = vec![0; shape.len()];
    let mut at = 0;
    for _ in 0..count {
        out.extend_from_slice(&bytes[at * size..(at + 1) * size]);
        for d in (0..shape.len()).rev() {
            index[d] += 1;
            if index[d] < shape[d] {
                at += strides[d];
                break;
            }
            // Back to this dimension's beginning. A dimension of 1 may have any stride: it is never taken.
            at -= strides[d] * (shape[d] - 1);
            index[d] = 0;
        }
    }
    out
}
