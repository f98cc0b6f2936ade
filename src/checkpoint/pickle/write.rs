//! The pickle of a state dict, written: a dict of names to contiguous tensors, each the whole of its own storage.

use super::super::original::Entry;
use super::dtype::of_format;
use super::op;

/// Protocol 2, as `torch.save` writes it; the storages are the archive's entries `data/0`, `data/1` and so on.
pub(in crate::checkpoint) fn write_state_dict(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut pickle = Pickle(vec![op::PROTO, 2, op::EMPTY_DICT, op::MARK]);
    for (key, entry) in entries.iter().enumerate() {
        pickle.string(entry.name);
        pickle.tensor(key, entry);
    }
    pickle.0.extend([op::SETITEMS, op::STOP]);
    pickle.0
}

struct Pickle(Vec<u8>);

impl Pickle {
    /// `torch._utils._rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)`
    fn tensor(&mut self, key: usize, entry: &Entry<'_>) {
        let count = entry.shape.iter().product();
        self.global("torch._utils", "_rebuild_tensor_v2");
        self.op(op::MARK);
        self.op(op::MARK);
        self.string("storage");
        self.global("torch", of_format(entry.format).map_or("", |dtype| dtype.storage));
        self.string(&key.to_string());
        self.string("cpu");
        self.int(count);
        self.op(op::TUPLE);
        self.op(op::BINPERSID);
        self.int(0);
        self.ints(entry.shape);
        self.ints(&super::super::contiguous_strides(entry.shape));
        self.op(op::NEWFALSE);
        self.global("collections", "OrderedDict");
        self.op(op::EMPTY_TUPLE);
        self.op(op::REDUCE);
        self.op(op::TUPLE);
        self.op(op::REDUCE);
    }

    fn op(&mut self, op: u8) {
        self.0.push(op);
    }

    fn string(&mut self, text: &str) {
        self.op(op::BINUNICODE);
        self.0.extend((text.len() as u32).to_le_bytes());
        self.0.extend(text.as_bytes());
    }

    fn global(&mut self, module: &str, name: &str) {
        self.op(op::GLOBAL);
        self.0.extend(format!("{module}\n{name}\n").as_bytes());
    }

    fn int(&mut self, n: usize) {
        match i32::try_from(n) {
            Ok(n) => {
                self.op(op::BININT);
                self.0.extend(n.to_le_bytes());
            }
            // Signed: no size of what lies in memory reaches the sign.
            Err(_) => {
                self.0.extend([op::LONG1, 8]);
                self.0.extend((n as u64).to_le_bytes());
            }
        }
    }

    fn ints(&mut self, numbers: &[usize]) {
        self.op(op::MARK);
        numbers.iter().for_each(|&n| self.int(n));
        self.op(op::TUPLE);
    }
}
