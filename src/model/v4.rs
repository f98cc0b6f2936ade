//! RWKV-4, after ChatRWKV's `RWKV_in_150_lines.py`. (Peng et al. 2023, arXiv:2305.13048)

use super::channel_mix::ChannelMix;
use super::forward::Layer;
use super::pass::{Pass, Shift};
use super::rows::Rows;
use super::weights::Loader;
use crate::error::Result;
use crate::kernel::{Head4, Matrix};

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
    fn time_mix(&self, x: &Rows, out: &mut Rows, pass: &mut Pass<'_>) {
        let x = pass.token_shift(x, Shift::TimeMix);
        let [xr, xk, xv] = pass
            .lerp(&x, [(&self.mix_r, &[&self.receptance]), (&self.mix_k, &[&self.key]), (&self.mix_v, &[&self.value])]);
        let [r, k, v] = pass.multiply_all([(&self.receptance, &xr), (&self.key, &xk), (&self.value, &xv)]);

        let kernels = pass.kernels;
        let wkv = pass.recur_channels(out.width, |channels, row, state, out| {
            let inputs = Head4 {
                key: &k.row(row)[channels.clone()],
                value: &v.row(row)[channels.clone()],
                decay: &self.decay[channels.clone()],
                bonus: &self.bonus[channels],
            };
            (kernels.wkv4)(state, inputs, out);
        });
        let [y] = pass.inputs([&[&self.output]], |_, row, out| {
            out.copy_from_slice(r.row(row));
            (kernels.sigmoid)(out);
            out.iter_mut().zip(wkv.row(row)).for_each(|(out, wkv)| *out *= wkv);
        });
        pass.multiply_add(&self.output, &y, out);
    }

    fn channel_mix(&self, x: &Rows, out: &mut Rows, pass: &mut Pass<'_>) {
        self.channel_mix.forward(x, out, pass);
    }
}
