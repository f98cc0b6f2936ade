//! RWKV-6 (Finch), after ChatRWKV's `RWKV_v6_demo.py`. (Peng et al. 2024, arXiv:2404.05892)

use super::channel_mix::ChannelMix;
use super::forward::Layer;
use super::pass::{Pass, Shift, Shifted};
use super::rows::{Rows, gate};
use super::weights::Loader;
use crate::error::Result;
use crate::kernel::{Activations, Head5, LARGEST_HEAD, Matrix, Norm};

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
    fn mixed(&self, x: &Shifted<'_>, pass: &Pass<'_>) -> [Activations; 5] {
        let [xx] = pass.lerp(x, [(&self.maa_x, &[&self.maa_w1])]);
        let low = pass.multiply(&self.maa_w1, &xx);
        let rank = low.width / 5;
        let [to_w, to_k, to_v, to_r, to_g] = &self.maa_w2;
        let [w, k, v, r, g] = pass.inputs([&[to_w], &[to_k], &[to_v], &[to_r], &[to_g]], |input, row, out| {
            out.copy_from_slice(&low.row(row)[input * rank..(input + 1) * rank]);
            (pass.kernels.tanh)(out);
        });
        let mixes = pass.multiply_all([(to_w, &w), (to_k, &k), (to_v, &v), (to_r, &r), (to_g, &g)]);
        let takers: [&[&Matrix]; 5] =
            [&[&self.decay_w1], &[&self.key], &[&self.value], &[&self.receptance], &[&self.gate]];
        pass.inputs(takers, |input, row, out| {
            let mixes = mixes[input].row(row).iter().zip(&self.maa[input]);
            for (((out, x), previous), (mix, maa)) in out.iter_mut().zip(x.row(row)).zip(x.previous(row)).zip(mixes) {
                *out = x + (previous - x) * (maa + mix);
            }
        })
    }
}

impl Layer for LayerV6 {
    fn time_mix(&self, x: &Rows, out: &mut Rows, pass: &mut Pass<'_>) {
        let x = pass.token_shift(x, Shift::TimeMix);
        let [xw, xk, xv, xr, xg] = self.mixed(&x, pass);
        let [r, k, v, g, low] = pass.multiply_all([
            (&self.receptance, &xr),
            (&self.key, &xk),
            (&self.value, &xv),
            (&self.gate, &xg),
            (&self.decay_w1, &xw),
        ]);
        let [low] = pass.inputs([&[&self.decay_w2]], |_, row, out| {
            out.copy_from_slice(low.row(row));
            (pass.kernels.tanh)(out);
        });
        let w = pass.multiply(&self.decay_w2, &low);

        let (n, kernels) = (self.head_size, pass.kernels);
        let y = pass.recur(out.width, n, |head, row, state, out| {
            let part = head * n..(head + 1) * n;
            let mut decay = [0.0; LARGEST_HEAD];
            let decay = &mut decay[..n];
            for ((decay, w), base) in decay.iter_mut().zip(&w.row(row)[part.clone()]).zip(&self.decay[part.clone()]) {
                *decay = base + w;
            }
            (kernels.exp)(decay);
            decay.iter_mut().for_each(|x| *x = -*x);
            (kernels.exp)(decay);
            let inputs = Head5 {
                receptance: &r.row(row)[part.clone()],
                key: &k.row(row)[part.clone()],
                value: &v.row(row)[part.clone()],
                decay,
                bonus: &self.bonus[part.clone()],
            };
            (kernels.wkv5)(state, inputs, out);
            self.ln_x.apply_to_head(out, part.start, kernels);
            gate(out, &g.row(row)[part], kernels);
        });
        pass.multiply_add(&self.output, &pass.input(&y, &self.output), out);
    }

    fn channel_mix(&self, x: &Rows, out: &mut Rows, pass: &mut Pass<'_>) {
        self.channel_mix.forward(x, out, pass);
    }
}
