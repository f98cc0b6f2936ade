//! The pickle of a state dict, read as data: nothing it names is imported, nothing is called.
//!
//! A pickle is a program for a small stack machine. This machine knows the instructions and the names that PyTorch
//! writes for dicts of tensors, and refuses all others. What the instructions mean: CPython's `Lib/pickle.py`; which of
//! them state dicts need: PyTorch's `_weights_only_unpickler.py`.
//!
//! Time and memory are linear in the pickle's length, whatever it says: values are copied by index, containers keep
//! only what a state dict is made of, and nothing recurses.

mod dtype;
mod op;
mod write;

use std::collections::HashMap;
use std::path::Path;

use super::MOST_ENTRIES;
use crate::error::{Error, Result};
use dtype::{Dtype, UNTYPED};
pub(super) use write::write_state_dict;

/// A pickle takes about 100 bytes a tensor; the largest RWKV has some 3,000 tensors.
const MAX_SIZE: usize = 4 << 20;

/// A name that is memoized may be used for any number of tensors, each of which then has a copy of it.
const LONGEST_NAME: usize = 1024;

/// PyTorch allows more, but no weight has them.
const MAX_DIMENSIONS: usize = 8;

/// A tensor as the pickle describes it. Nothing here is checked against the archive.
#[derive(Debug)]
pub(super) struct Tensor<'a> {
    pub dtype: &'static Dtype,
    /// Names the archive's entry `data/KEY`.
    pub storage_key: &'a str,
    /// Bytes that the storage is said to have.
    pub storage_size: usize,
    /// First element within the storage.
    pub offset: usize,
    pub shape: Vec<usize>,
    /// In elements, one for each dimension.
    pub strides: Vec<usize>,
}

/// Reads the named tensors of a pickled dict, or of the dict inside it that holds the most: training scripts like to
/// save `{"state_dict": {…}, "epoch": 3}`. Everything else in it is ignored.
///
/// `path` is for messages.
pub(super) fn state_dict<'a>(pickle: &'a [u8], path: &'a Path) -> Result<Vec<(&'a str, Tensor<'a>)>> {
    if pickle.len() > MAX_SIZE {
        let cause = "its data.pkl is larger than any state dict's; in PyTorch, torch.save the state dict alone";
        return Err(Error::format(path, cause));
    }
    let mut machine = Machine::new(pickle, path);
    let dict = match machine.run()? {
        Value::Dict(top) => machine.largest_dict(top).filter(|dict| !dict.tensors.is_empty()),
        _ => None,
    };
    let Some(dict) = dict else { return Err(Error::format(path, NO_TENSORS)) };
    if dict.tensors.len() > MOST_ENTRIES || dict.tensors.iter().any(|(name, _)| name.len() > LONGEST_NAME) {
        let cause = "its data.pkl has more tensors, or longer names, than any model; it is damaged, download it again";
        return Err(Error::format(path, cause));
    }
    dict.tensors.iter().map(|&(name, args)| Ok((name, machine.tensor(name, args)?))).collect()
}

const NO_TENSORS: &str = "holds no dict of named tensors; in PyTorch, torch.save the model's state_dict()";

/// What the stack and the memo hold: small copies, with indices into the machine for what has parts.
#[derive(Clone, Copy)]
enum Value<'a> {
    /// What no tensor is made of: None, booleans, floats, bytes, big integers.
    Opaque,
    Int(i64),
    Str(&'a str),
    Tuple(usize),
    List,
    Dict(usize),
    /// A storage class, or a dtype by its own name.
    Dtype(&'static Dtype),
    OrderedDict,
    RebuildTensor,
    RebuildParameter,
    /// The tuple that describes the storage.
    Storage(usize),
    /// The tuple of arguments that rebuild the tensor.
    Tensor(usize),
}

/// The entries of a dict that may matter.
#[derive(Default)]
struct Dict<'a> {
    /// Key, and the tuple of arguments that rebuild the tensor.
    tensors: Vec<(&'a str, usize)>,
    dicts: Vec<usize>,
}

/// The names a pickle may mention.
fn global<'a>(module: &str, name: &str) -> Option<Value<'a>> {
    match (module, name) {
        ("collections", "OrderedDict") => Some(Value::OrderedDict),
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor_v3") => Some(Value::RebuildTensor),
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Some(Value::RebuildParameter),
        ("torch.storage", "UntypedStorage") => Some(Value::Dtype(&UNTYPED)),
        ("torch", name) => dtype::named(name).map(Value::Dtype),
        _ => None,
    }
}

struct Machine<'a> {
    path: &'a Path,
    pickle: &'a [u8],
    at: usize,
    stack: Vec<Value<'a>>,
    /// Heights of the stack.
    marks: Vec<usize>,
    memo: HashMap<u32, Value<'a>>,
    tuples: Vec<Vec<Value<'a>>>,
    dicts: Vec<Dict<'a>>,
}

impl<'a> Machine<'a> {
    fn new(pickle: &'a [u8], path: &'a Path) -> Self {
        Self {
            path,
            pickle,
            at: 0,
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            tuples: Vec::new(),
            dicts: Vec::new(),
        }
    }

    /// Runs to the end and returns the pickled value.
    fn run(&mut self) -> Result<Value<'a>> {
        loop {
            match self.byte()? {
                op::STOP => return self.pop(),
                op::PROTO => match self.byte()? {
                    2..=5 => {}
                    _ => return Err(self.damaged("an unknown pickle protocol")),
                },
                op::FRAME => _ = self.number(8)?,
                op::MARK => self.marks.push(self.stack.len()),
                opcode => {
                    let value = match self.literal(opcode)? {
                        Some(value) => Some(value),
                        None => self.instruction(opcode)?,
                    };
                    self.stack.extend(value);
                }
            }
        }
    }

    /// The value of an opcode that stands for one by itself.
    fn literal(&mut self, opcode: u8) -> Result<Option<Value<'a>>> {
        Ok(Some(match opcode {
            op::NONE | op::NEWTRUE | op::NEWFALSE => Value::Opaque,
            op::EMPTY_LIST => Value::List,
            op::EMPTY_DICT => self.new_dict(),
            op::EMPTY_TUPLE => self.new_tuple(Vec::new()),
            op::BININT1 => Value::Int(self.number(1)?),
            op::BININT2 => Value::Int(self.number(2)?),
            // Four bytes are the one signed width.
            op::BININT => Value::Int(self.number(4)? as i32 as i64),
            op::LONG1 => self.long()?,
            op::BINFLOAT => {
                self.take(8)?;
                Value::Opaque
            }
            op::SHORT_BINUNICODE => self.string(1)?,
            op::BINUNICODE => self.string(4)?,
            op::BINUNICODE8 => self.string(8)?,
            op::SHORT_BINBYTES => self.skip_bytes(1)?,
            op::BINBYTES => self.skip_bytes(4)?,
            op::BINBYTES8 => self.skip_bytes(8)?,
            op::GLOBAL => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(module, name)?
            }
            op::BINGET => self.recall(1)?,
            op::LONG_BINGET => self.recall(4)?,
            _ => return Ok(None),
        }))
    }

    /// Does what an opcode says with the stack; returns what it pushes, if anything.
    fn instruction(&mut self, opcode: u8) -> Result<Option<Value<'a>>> {
        match opcode {
            op::TUPLE => {
                let items = self.pop_to_mark()?;
                Ok(Some(self.new_tuple(items)))
            }
            op::TUPLE1 | op::TUPLE2 | op::TUPLE3 => {
                let mut items = (op::TUPLE1..=opcode).map(|_| self.pop()).collect::<Result<Vec<_>>>()?;
                items.reverse();
                Ok(Some(self.new_tuple(items)))
            }
            op::STACK_GLOBAL => match (self.pop()?, self.pop()?) {
                (Value::Str(name), Value::Str(module)) => self.global(module, name).map(Some),
                _ => Err(self.damaged("a name that is no string")),
            },
            op::BINPERSID => match self.pop()? {
                Value::Tuple(storage) => Ok(Some(Value::Storage(storage))),
                _ => Err(self.damaged("a storage that is not described by a tuple")),
            },
            op::REDUCE => self.reduce().map(Some),
            op::BUILD => self.pop().and(Ok(None)),
            op::BINPUT => self.number(1).and_then(|slot| self.memoize(slot)),
            op::LONG_BINPUT => self.number(4).and_then(|slot| self.memoize(slot)),
            op::MEMOIZE => self.memoize(self.memo.len() as i64),
            op::SETITEM => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(&[key, value])
            }
            op::SETITEMS => {
                let items = self.pop_to_mark()?;
                self.set_items(&items)
            }
            op::APPEND => self.pop().and(Ok(None)),
            op::APPENDS => self.pop_to_mark().and(Ok(None)),
            other => {
                let cause = format!("its data.pkl uses the pickle opcode {other:#04x}, which {NEEDLESS}");
                Err(Error::format(self.path, cause))
            }
        }
    }

    fn global(&self, module: &str, name: &str) -> Result<Value<'a>> {
        global(module, name).ok_or_else(|| {
            let cause = format!("its data.pkl names {module}.{name}, which {NEEDLESS}");
            Error::format(self.path, cause)
        })
    }

    fn reduce(&mut self) -> Result<Value<'a>> {
        let (args, callable) = (self.pop()?, self.pop()?);
        let Value::Tuple(args) = args else {
            return Err(self.damaged("arguments that are no tuple"));
        };
        match (callable, self.items(args)) {
            (Value::OrderedDict, []) => Ok(self.new_dict()),
            (Value::RebuildTensor, _) => Ok(Value::Tensor(args)),
            (Value::RebuildParameter, [tensor @ Value::Tensor(_), ..]) => Ok(*tensor),
            _ => Err(self.damaged("a call that state dicts do not make")),
        }
    }

    /// Adds keys and values, one after the other, to the dict on top of the stack.
    fn set_items(&mut self, items: &[Value<'a>]) -> Result<Option<Value<'a>>> {
        let dict = match self.stack.last() {
            Some(&Value::Dict(dict)) => self.dicts.get_mut(dict),
            _ => None,
        };
        let Some(dict) = dict else { return Err(self.damaged("items without a dict")) };
        let (pairs, []) = items.as_chunks::<2>() else {
            return Err(self.damaged("a key without a value"));
        };
        for pair in pairs {
            match *pair {
                [Value::Str(key), Value::Tensor(args)] => dict.tensors.push((key, args)),
                [_, Value::Dict(inner)] => dict.dicts.push(inner),
                _ => {}
            }
        }
        Ok(None)
    }

    fn new_dict(&mut self) -> Value<'a> {
        self.dicts.push(Dict::default());
        Value::Dict(self.dicts.len() - 1)
    }

    /// What a tuple holds.
    fn items(&self, tuple: usize) -> &[Value<'a>] {
        self.tuples.get(tuple).map_or(&[], Vec::as_slice)
    }

    fn new_tuple(&mut self, items: Vec<Value<'a>>) -> Value<'a> {
        self.tuples.push(items);
        Value::Tuple(self.tuples.len() - 1)
    }

    fn memoize(&mut self, slot: i64) -> Result<Option<Value<'a>>> {
        match self.stack.last() {
            Some(&value) => self.memo.insert(slot as u32, value),
            None => return Err(self.damaged("nothing to memoize")),
        };
        Ok(None)
    }

    fn recall(&mut self, width: usize) -> Result<Value<'a>> {
        let slot = self.number(width)? as u32;
        self.memo.get(&slot).copied().ok_or_else(|| self.damaged("a value that was never memoized"))
    }

    fn pop(&mut self) -> Result<Value<'a>> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let value = if self.stack.len() > floor { self.stack.pop() } else { None };
        value.ok_or_else(|| self.damaged("too few values on the stack"))
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Value<'a>>> {
        let mark = self.marks.pop().ok_or_else(|| self.damaged("a missing mark"))?;
        Ok(self.stack.split_off(mark))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let rest = self.pickle.get(self.at..).unwrap_or_default();
        let taken = rest.get(..count).ok_or_else(|| self.damaged("its end"))?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.number(1)? as u8)
    }

    /// A little-endian number of `width` bytes. One of 8 bytes may come out negative.
    fn number(&mut self, width: usize) -> Result<i64> {
        let bytes = self.take(width)?;
        Ok(bytes.iter().rev().fold(0, |n, &byte| n << 8 | i64::from(byte)))
    }

    /// A length of `width` bytes and as many bytes of content.
    fn content(&mut self, width: usize) -> Result<&'a [u8]> {
        let length = self.number(width)?;
        self.take(usize::try_from(length).unwrap_or(usize::MAX))
    }

    fn string(&mut self, width: usize) -> Result<Value<'a>> {
        let bytes = self.content(width)?;
        str::from_utf8(bytes).map(Value::Str).map_err(|_| self.damaged("a string that is not UTF-8"))
    }

    fn skip_bytes(&mut self, width: usize) -> Result<Value<'a>> {
        self.content(width).and(Ok(Value::Opaque))
    }

    fn long(&mut self) -> Result<Value<'a>> {
        let bytes = self.content(1)?;
        let sign = if bytes.last().is_some_and(|&byte| byte >= 0x80) { -1 } else { 0 };
        Ok(match bytes.len() {
            0..=8 => Value::Int(bytes.iter().rev().fold(sign, |n, &byte| n << 8 | i64::from(byte))),
            _ => Value::Opaque,
        })
    }

    /// Text up to the next line feed.
    fn line(&mut self) -> Result<&'a str> {
        let rest = self.pickle.get(self.at..).unwrap_or_default();
        let length = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| self.damaged("its end"))?;
        let line = self.take(length)?;
        self.at += 1;
        str::from_utf8(line).map_err(|_| self.damaged("a name that is not UTF-8"))
    }

    fn damaged(&self, what: &str) -> Error {
        let cause = format!("its data.pkl is damaged: {what} at byte {}; download or save it again", self.at);
        Error::format(self.path, cause)
    }

    /// The dict itself or one directly inside it; the outer and the earlier one wins a draw.
    fn largest_dict(&self, top: usize) -> Option<&Dict<'a>> {
        let top = self.dicts.get(top)?;
        let inner = top.dicts.iter().filter_map(|&inner| self.dicts.get(inner));
        Some(inner.fold(top, |best, dict| if dict.tensors.len() > best.tensors.len() { dict } else { best }))
    }

    /// Understands the arguments of `_rebuild_tensor_v2` (or `_v3`, which has the dtype as seventh).
    fn tensor(&self, name: &str, args: usize) -> Result<Tensor<'a>> {
        self.rebuilt(args).ok_or_else(|| {
            let cause = format!("describes the tensor {name} wrongly; the file is damaged, download or save it again");
            Error::format(self.path, cause)
        })
    }

    fn rebuilt(&self, args: usize) -> Option<Tensor<'a>> {
        let &[Value::Storage(storage), Value::Int(offset), Value::Tuple(shape), Value::Tuple(strides), ref rest @ ..] =
            self.items(args)
        else {
            return None;
        };
        let &[Value::Str("storage"), Value::Dtype(stored), Value::Str(storage_key), _, Value::Int(numel)] =
            self.items(storage)
        else {
            return None;
        };
        let (shape, strides) = (self.sizes(shape)?, self.sizes(strides)?);
        (shape.len() == strides.len()).then_some(Tensor {
            dtype: if let Some(Value::Dtype(dtype)) = rest.get(2) { dtype } else { stored },
            storage_key,
            storage_size: usize::try_from(numel).ok()?.checked_mul(stored.size)?,
            offset: usize::try_from(offset).ok()?,
            shape,
            strides,
        })
    }

    /// A tuple of a few numbers, none negative.
    fn sizes(&self, tuple: usize) -> Option<Vec<usize>> {
        let items = self.items(tuple);
        let size = |item: &Value| match *item {
            Value::Int(n) => usize::try_from(n).ok(),
            _ => None,
        };
        if items.len() > MAX_DIMENSIONS { None } else { items.iter().map(size).collect() }
    }
}

const NEEDLESS: &str = "a checkpoint of weights does not need; nothing was executed. \
    If you trust its source, load it in PyTorch and torch.save the state dict alone";
