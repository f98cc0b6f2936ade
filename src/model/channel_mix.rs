//! The channel mix (feed-forward half) of RWKV-4, 5 and 6.

use super::pass::{Pass, Shift};
use super::rows::Rows;
use super::weights::Loader;
use crate::error::Result;
use crate::kernel::Matrix;

/// `k = relu(K xk)^2; y = sigmoid(R xr) * V k`, after ChatRWKV's `RWKV_in_150_lines.py`.
pub(super) struct ChannelMix {
    /// How much of the previous token flows into the key and into the receptance, `[n_embd]`.
    pub mix_k: Vec<f32>,
    pub mix_r: Vec<f32>,
    receptance: Matrix,
    key: Matrix,
    value: Matrix,
}

impl ChannelMix {
    pub fn load(loader: &mut Loader<'_>, mix_k: Vec<f32>, mix_r: Vec<f32>) -> Result<Self> {
        let (n_embd, n_ffn) = (loader.config.n_embd, loader.config.n_ffn);
        Ok(Self {
            mix_k,
            mix_r,
            receptance: loader.matrix(&loader.ffn("receptance.weight"), n_embd, n_embd)?,
            key: loader.matrix(&loader.ffn("key.weight"), n_ffn, n_embd)?,
            value: loader.matrix(&loader.ffn("value.weight"), n_embd, n_ffn)?,
        })
    }

    /// From normalized rows, added to `out`.
    pub fn forward(&self, x: &Rows, out: &mut Rows, pass: &mut Pass<'_>) {
        let x = pass.token_shift(x, Shift::ChannelMix);
        let [xk, xr] = pass.lerp(&x, [(&self.mix_k, &[&self.key]), (&self.mix_r, &[&self.receptance])]);
        let mut r = pass.multiply(&self.receptance, &xr);
        let k = pass.multiply_relu_squared(&self.key, &xk, &self.value);
        let v = pass.multiply(&self.value, &k);
        let kernels = pass.kernels;
        pass.each_row(&mut r, |row, r| {
            (kernels.sigmoid)(r);
            r.iter_mut().zip(v.row(row)).for_each(|(r, v)| *r *= v);
        });
        out.add(&r);
    }
}
