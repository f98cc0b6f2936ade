//! RWKV-6 (Finch), after ChatRWKV's `RWKV_v6_demo.py`. (Peng et al. 2024, arXiv:2404.05892)

use super::channel_mix::ChannelMix;
use super::forward::Layer;
use super::pass::{Pass, Shift};
use super::rows::{Rows, gate};
use super::weights::Loader;
use crate::error::Result;
use crate::kernel::{Head5, Matrix, Norm};

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
        let [xx] = pass.lerp(x, dx, [&self.maa_x]);
        let low = pass.multiply(&self.maa_w1, &xx).apply(pass.kernels.tanh);
        let rank = low.width / 5;
        let [w, k, v, r, g] = std::array::from_fn(|i| low.columns(i * rank..(i + 1) * rank));
        let [to_w, to_k, to_v, to_r, to_g] = &self.maa_w2;
        let mut mixes = pass.multiply_all([(to_w, &w), (to_k, &k), (to_v, &v), (to_r, &r), (to_g, &g)]);
        for (mix, maa) in mixes.iter_mut().zip(&self.maa) {
            pass.each_row(mix, |i, mix| {
                for (((mix, maa), dx), x) in mix.iter_mut().zip(maa).zip(dx.row(i)).zip(x.row(i)) {
                    *mix = x + dx * (maa + *mix);
                }
            });
        }
        mixes
    }
}

impl Layer for LayerV6 {
    fn time_mix(&self, x: &Rows, pass: &mut Pass<'_>) -> Rows {
        let dx = pass.token_shift(x, Shift::TimeMix);
        let [xw, xk, xv, xr, xg] = self.mixed(x, &dx, pass);
        let [r, k, v, g, low] = pass.multiply_all([
            (&self.receptance, &xr),
            (&self.key, &xk),
            (&self.value, &xv),
            (&self.gate, &xg),
            (&self.decay_w1, &xw),
        ]);
        let w = pass
            .multiply(&self.decay_w2, &low.apply(pass.kernels.tanh))
            .zip_channels(&self.decay, |w, decay| decay + w);
        let w = w.apply(pass.kernels.exp).map(|x| -x).apply(pass.kernels.exp);

        let (n, kernels) = (self.head_size, pass.kernels);
        let y = pass.recur(x.width, n, |head, row, state, out| {
            let part = head * n..(head + 1) * n;
            let inputs = Head5 {
                receptance: &r.row(row)[part.clone()],
                key: &k.row(row)[part.clone()],
                value: &v.row(row)[part.clone()],
                decay: &w.row(row)[part.clone()],
                bonus: &self.bonus[part.clone()],
            };
            (kernels.wkv5)(state, inputs, out);
            self.ln_x.apply_to_head(out, part.start, kernels);
            gate(out, &g.row(row)[part], kernels);
        });
        pass.multiply(&self.output, &y)
    }

    fn channel_mix(&self, x: &Rows, pass: &mut Pass<'_>) -> Rows {
        self.channel_mix.forward(x, pass)
    }
}
