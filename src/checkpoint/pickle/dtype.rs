//! PyTorch's element types.

use crate::quant::Format;

/// An element type of PyTorch.
#[derive(Debug)]
pub(in crate::checkpoint) struct Dtype {
    pub name: &'static str,
    /// The class that state dicts name instead, for types of before PyTorch 2.
    pub storage: &'static str,
    /// Bytes an element.
    pub size: usize,
    /// `None`: Volary has no use for it.
    pub format: Option<Format>,
}

const fn dtype(name: &'static str, storage: &'static str, size: usize, format: Option<Format>) -> Dtype {
    Dtype { name, storage, size, format }
}

static DTYPES: [Dtype; 19] = [
    dtype("float32", "FloatStorage", 4, Some(Format::F32)),
    dtype("float16", "HalfStorage", 2, Some(Format::F16)),
    dtype("bfloat16", "BFloat16Storage", 2, Some(Format::BF16)),
    dtype("float64", "DoubleStorage", 8, None),
    dtype("int64", "LongStorage", 8, None),
    dtype("int32", "IntStorage", 4, None),
    dtype("int16", "ShortStorage", 2, None),
    dtype("int8", "CharStorage", 1, None),
    dtype("uint8", "ByteStorage", 1, None),
    dtype("bool", "BoolStorage", 1, None),
    dtype("complex64", "ComplexFloatStorage", 8, None),
    dtype("complex128", "ComplexDoubleStorage", 16, None),
    dtype("uint16", "", 2, None),
    dtype("uint32", "", 4, None),
    dtype("uint64", "", 8, None),
    dtype("float8_e4m3fn", "", 1, None),
    dtype("float8_e5m2", "", 1, None),
    dtype("float8_e4m3fnuz", "", 1, None),
    dtype("float8_e5m2fnuz", "", 1, None),
];

/// `torch.storage.UntypedStorage`: bytes whose type the tensor tells.
pub(super) static UNTYPED: Dtype = dtype("untyped", "UntypedStorage", 1, None);

/// A type by its own name or by that of its storage class.
pub(super) fn named(name: &str) -> Option<&'static Dtype> {
    DTYPES.iter().find(|dtype| !name.is_empty() && (dtype.name == name || dtype.storage == name))
}

/// The type of a format's numbers, if PyTorch has it.
pub(super) fn of_format(format: Format) -> Option<&'static Dtype> {
    DTYPES.iter().find(|dtype| dtype.format == Some(format))
}
