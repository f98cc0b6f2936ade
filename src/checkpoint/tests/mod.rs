//! Files built here byte by byte, sound and hostile. What they should hold is written down beside them, after each
//! format's own documentation, not read back from our code.

mod gguf;
mod names;
mod rwkvcpp;

use std::io::Write;

use super::Checkpoint;
use crate::error::{Error, Result};

/// Opens a file of these bytes. The mapping outlives the file.
fn open(bytes: &[u8]) -> Result<Checkpoint> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Checkpoint::open(file.path())
}

fn refusal(bytes: &[u8]) -> Error {
    match open(bytes) {
        Ok(_) => panic!("the file was accepted"),
        Err(error) => {
            assert_eq!(error.to_string().lines().count(), 1, "{error}");
            error
        }
    }
}

/// Shape and numbers of a tensor.
fn read(checkpoint: &Checkpoint, name: &str) -> (Vec<usize>, Vec<f32>) {
    let tensor = checkpoint.tensor(name).unwrap();
    (tensor.shape.to_vec(), tensor.to_f32())
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// 0, 1, 2, … as a tensor's numbers.
fn counting(n: usize) -> Vec<f32> {
    (0..n).map(|i| i as f32).collect()
}

/// Opens every beginning of a sound file, and the file with each byte changed: nothing may panic. Returns how many
/// of the beginnings were refused.
fn refused_beginnings(bytes: &[u8]) -> usize {
    for at in 0..bytes.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut damaged = bytes.to_vec();
            damaged[at] ^= change;
            if let Ok(checkpoint) = open(&damaged) {
                read_all(&checkpoint);
            }
        }
    }
    (0..bytes.len()).filter(|&len| open(&bytes[..len]).map(|checkpoint| read_all(&checkpoint)).is_err()).count()
}

fn read_all(checkpoint: &Checkpoint) {
    for (name, ..) in checkpoint.tensors() {
        let _ = checkpoint.tensor(name).unwrap().to_f32();
    }
}
