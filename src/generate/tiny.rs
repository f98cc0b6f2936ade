//! A model small enough to be made in a test: RWKV-4 over raw bytes, with random weights.

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};
use safetensors::Dtype;
use safetensors::tensor::TensorView;

use crate::model::Model;

const N_VOCAB: usize = 256;
const N_EMBD: usize = 32;
const N_LAYER: usize = 2;

/// The bytes that the model likes to write: line breaks, letters, and both halves of an `é`.
const ALPHABET: &[u8] = b"\n abcde.\xc3\xa9";

/// A model whose weights depend on the seed. It writes long texts without blank lines in between only by chance.
pub(crate) fn tiny_model(seed: u64) -> Model {
    let tensors = Weights(Pcg64Mcg::seed_from_u64(seed)).tensors();
    let views = tensors.iter().map(|(name, shape, data)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), data.as_slice()).unwrap())
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.safetensors");
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    Model::open(&path).unwrap()
}

struct Weights(Pcg64Mcg);

type Tensor = (String, Vec<usize>, Vec<u8>);

impl Weights {
    /// Uniform between the two.
    fn random(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * (self.0.next_u64() >> 40) as f32 / (1 << 24) as f32
    }

    fn tensor(&mut self, name: &str, shape: &[usize], low: f32, high: f32) -> Tensor {
        let len = shape.iter().product();
        let data = (0..len).flat_map(|_| self.random(low, high).to_le_bytes()).collect();
        (name.into(), shape.into(), data)
    }

    /// BlinkDL's names and shapes.
    fn tensors(&mut self) -> Vec<Tensor> {
        const C: &[usize] = &[N_EMBD];
        const F: usize = 2 * N_EMBD;
        let mut tensors = vec![self.tensor("emb.weight", &[N_VOCAB, N_EMBD], -1.0, 1.0), self.head()];
        let mut add = |name: &str, shape: &[usize], low, high| tensors.push(self.tensor(name, shape, low, high));
        for norm in ["blocks.0.ln0", "ln_out"] {
            add(&format!("{norm}.weight"), C, 1.0, 1.0);
            add(&format!("{norm}.bias"), C, 0.5, 0.5);
        }
        for layer in 0..N_LAYER {
            let mut add = |name: &str, shape: &[usize], low, high| {
                add(&format!("blocks.{layer}.{name}"), shape, low, high);
            };
            for norm in ["ln1", "ln2"] {
                add(&format!("{norm}.weight"), C, 0.5, 1.5);
                add(&format!("{norm}.bias"), C, -0.1, 0.1);
            }
            for name in ["att.time_mix_k", "att.time_mix_v", "att.time_mix_r", "ffn.time_mix_k", "ffn.time_mix_r"] {
                add(name, C, 0.0, 1.0);
            }
            add("att.time_decay", C, -4.0, 1.0);
            add("att.time_first", C, -1.0, 1.0);
            for name in ["att.receptance", "att.key", "att.value", "att.output", "ffn.receptance"] {
                add(&format!("{name}.weight"), &[N_EMBD, N_EMBD], -0.5, 0.5);
            }
            add("ffn.key.weight", &[F, N_EMBD], -0.5, 0.5);
            add("ffn.value.weight", &[N_EMBD, F], -0.5, 0.5);
        }
        tensors
    }

    /// Together with `ln_out`'s bias, the mean of a row raises or lowers its token's logit.
    fn head(&mut self) -> Tensor {
        let mut data = Vec::new();
        for token in 0..N_VOCAB {
            let mean = if ALPHABET.contains(&(token as u8)) { 0.5 } else { -0.5 };
            data.extend((0..N_EMBD).flat_map(|_| self.random(mean - 0.5, mean + 0.5).to_le_bytes()));
        }
        ("head.weight".into(), vec![N_VOCAB, N_EMBD], data)
    }
}
