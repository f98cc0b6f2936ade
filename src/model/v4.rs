//! RWKV-4, after ChatRWKV's `RWKV_in_150_lines.py`. (Peng et al. 2023, arXiv:2305.13048)

use super::channel_mix::ChannelMix;
use super::forward::Layer;
use super::pass::{Pass, Shift};
use super::rows::Rows;
use super::weights::Loader;
use crate::error::Result;
use crate::kernel::{Matrix, wkv4};

pub(super) struct LayerV4 {
    mix_k: Vec<f32>,
    mix_v: Vec<f32>,
    mix_r: Vec<f32>,
    /// Added to the exponent for each token that passes; negative. `[n_embd]`
    decay: Vec<f32>,
    /// Added to the exponent of the current token. `[n_embd]`
    bonus: Vec<f32>,
    receptance: Matrix,
    key: Matrix,
    value: Matrix,
    output: Matrix,
    channel_mix: ChannelMix,
}

impl LayerV4 {
    pub fn load(loader: &mut Loader<'_>) -> Result<Self> {
        let n = loader.config.n_embd;
        let mix_k = loader.time_mix(&loader.ffn("time_mix_k"))?;
        let mix_r = loader.time_mix(&loader.ffn("time_mix_r"))?;
        Ok(Self {
            mix_k: loader.time_mix(&loader.att("time_mix_k"))?,
            mix_v: loader.time_mix(&loader.att("time_mix_v"))?,
            mix_r: loader.time_mix(&loader.att("time_mix_r"))?,
            decay: loader.channels(&loader.att("time_decay"))?,
            bonus: loader.channels(&loader.att("time_first"))?,
            receptance: loader.matrix(&loader.att("receptance.weight"), n, n)?,
            key: loader.matrix(&loader.att("key.weight"), n, n)?,
            value: loader.matrix(&loader.att("value.weight"), n, n)?,
            output: loader.matrix(&loader.att("output.weight"), n, n)?,
            channel_mix: ChannelMix::load(loader, mix_k, mix_r)?,
        })
    }
}

impl Layer for LayerV4 {
    fn time_mix(&self, x: &Rows, pass: &mut Pass<'_>) -> Rows {
        let dx = pass.token_shift(x, Shift::TimeMix);
        let [xr, xk, xv] = pass.lerp(x, &dx, [&self.mix_r, &self.mix_k, &self.mix_v]);
        let [r, k, v] = pass.multiply_all([(&self.receptance, &xr), (&self.key, &xk), (&self.value, &xv)]);
        let r = r.apply(pass.kernels.sigmoid);

        let mut wkv = Rows::zeros(x.data.len() / x.width, x.width);
        for (state, rows) in pass.states.iter_mut().zip(&pass.rows) {
            let (a, rest) = state.layer_mut(pass.layer).wkv.split_at_mut(x.width);
            let (b, p) = rest.split_at_mut(x.width);
            for (i, out) in rows.clone().zip(wkv.data[rows.start * x.width..].chunks_exact_mut(x.width)) {
                wkv4([&mut *a, &mut *b, &mut *p], k.row(i), v.row(i), &self.decay, &self.bonus, out);
            }
        }
        pass.multiply(&self.output, &wkv.zip(&r, |wkv, r| r * wkv))
    }

    fn channel_mix(&self, x: &Rows, pass: &mut Pass<'_>) -> Rows {
        self.channel_mix.forward(x, pass)
    }
}
