//! RWKV-6 (Finch), after ChatRWKV's `RWKV_v6_demo.py`. (Peng et al. 2024, arXiv:2404.05892)

use super::channel_mix::ChannelMix;
use super::forward::Layer;
use super::pass::{Pass, Shift};
use super::rows::{Rows, silu};
use super::weights::Loader;
use crate::error::Result;
use crate::kernel::{Head5, Matrix, Norm, group_norm};

pub(super) struct LayerV6 {
    /// `time_maa_x`: the mix that the data-dependent mixes are computed from.
    maa_x: Vec<f32>,
    /// `time_maa_{w,k,v,r,g}`, in this order.
    maa: [Vec<f32>; 5],
    /// `[5 * rank, n_embd]`, and for each of the five `[n_embd, rank]`.
    maa_w1: Matrix,
    maa_w2: [Matrix; 5],
    decay: Vec<f32>,
    decay_w1: Matrix,
    decay_w2: Matrix,
    bonus: Vec<f32>,
    receptance: Matrix,
    key: Matrix,
    value: Matrix,
    gate: Matrix,
    output: Matrix,
    ln_x: Norm,
    head_size: usize,
    channel_mix: ChannelMix,
}

impl LayerV6 {
    pub fn load(loader: &mut Loader<'_>) -> Result<Self> {
        let n = loader.config.n_embd;
        let mix_k = loader.channels(&loader.ffn("time_maa_k"))?;
        let mix_r = loader.channels(&loader.ffn("time_maa_r"))?;
        let mix_rank = loader.rank(&loader.att("time_maa_w1"))? / 5;
        let decay_rank = loader.rank(&loader.att("time_decay_w1"))?;
        let mut maa = |name: &str| loader.channels(&loader.att(&format!("time_maa_{name}")));
        Ok(Self {
            maa_x: maa("x")?,
            maa: [maa("w")?, maa("k")?, maa("v")?, maa("r")?, maa("g")?],
            maa_w1: loader.matrix(&loader.att("time_maa_w1"), 5 * mix_rank, n)?,
            maa_w2: loader.matrices(&loader.att("time_maa_w2"), n, mix_rank)?,
            decay: loader.channels(&loader.att("time_decay"))?,
            decay_w1: loader.matrix(&loader.att("time_decay_w1"), decay_rank, n)?,
            decay_w2: loader.matrix(&loader.att("time_decay_w2"), n, decay_rank)?,
            bonus: loader.head_channels(&loader.att("time_faaaa"))?,
            receptance: loader.matrix(&loader.att("receptance.weight"), n, n)?,
            key: loader.matrix(&loader.att("key.weight"), n, n)?,
            value: loader.matrix(&loader.att("value.weight"), n, n)?,
            gate: loader.matrix(&loader.att("gate.weight"), n, n)?,
            output: loader.matrix(&loader.att("output.weight"), n, n)?,
            ln_x: loader.norm(&loader.att("ln_x"), loader.config.group_norm_eps)?,
            head_size: loader.config.head_size,
            channel_mix: ChannelMix::load(loader, mix_k, mix_r)?,
        })
    }

    /// The inputs of decay, key, value, receptance and gate: how much of the previous token flows into each depends on
    /// the tokens themselves.
    fn mixed(&self, x: &Rows, dx: &Rows, pass: &Pass<'_>) -> [Rows; 5] {
        let low = pass.multiply(&self.maa_w1, &x.lerp(dx, &self.maa_x)).map(f32::tanh);
        let rank = low.width / 5;
        std::array::from_fn(|i| {
            let mix = pass.multiply(&self.maa_w2[i], &low.columns(i * rank..(i + 1) * rank));
            let mix = mix.zip_channels(&self.maa[i], |m, maa| maa + m);
            mix.zip(dx, |mix, dx| dx * mix).zip(x, |shifted, x| x + shifted)
        })
    }
}

impl Layer for LayerV6 {
    fn time_mix(&self, x: &Rows, pass: &mut Pass<'_>) -> Rows {
        let dx = pass.token_shift(x, Shift::TimeMix);
        let [xw, xk, xv, xr, xg] = self.mixed(x, &dx, pass);
        let r = pass.multiply(&self.receptance, &xr);
        let k = pass.multiply(&self.key, &xk);
        let v = pass.multiply(&self.value, &xv);
        let g = pass.multiply(&self.gate, &xg).map(silu);
        let low = pass.multiply(&self.decay_w1, &xw).map(f32::tanh);
        let w = pass.multiply(&self.decay_w2, &low).zip_channels(&self.decay, |w, decay| (-(decay + w).exp()).exp());

        let (n, wkv5) = (self.head_size, pass.kernels.wkv5);
        let mut y = pass.recur(x.width, n, |head, row, state, out| {
            let part = head * n..(head + 1) * n;
            let head = Head5 {
                receptance: &r.row(row)[part.clone()],
                key: &k.row(row)[part.clone()],
                value: &v.row(row)[part.clone()],
                decay: &w.row(row)[part.clone()],
                bonus: &self.bonus[part],
            };
            wkv5(state, head, out);
        });
        y.iter_mut().for_each(|row| group_norm(row, n, &self.ln_x));
        pass.multiply(&self.output, &y.zip(&g, |y, g| y * g))
    }

    fn channel_mix(&self, x: &Rows, pass: &mut Pass<'_>) -> Rows {
        self.channel_mix.forward(x, pass)
    }
}
