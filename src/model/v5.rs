//! RWKV-5.0, 5.1 and 5.2 (Eagle), after ChatRWKV's `RWKV_v5_demo.py`. (Peng et al. 2024, arXiv:2404.05892)

use super::channel_mix::ChannelMix;
use super::config::Generation;
use super::forward::Layer;
use super::pass::{Pass, Shift};
use super::rows::{Rows, gate};
use super::weights::Loader;
use crate::error::Result;
use crate::kernel::{Head5, Matrix, Norm};

pub(super) struct LayerV5 {
    mix_k: Vec<f32>,
    mix_v: Vec<f32>,
    mix_r: Vec<f32>,
    /// What remains of the state after each token, 0 to 1. `[n_embd]`
    decay: Vec<f32>,
    /// Weight of the current token. `[n_embd]`
    bonus: Vec<f32>,
    receptance: Matrix,
    key: Matrix,
    value: Matrix,
    output: Matrix,
    /// From 5.1 on.
    gate: Option<Gate>,
    ln_x: Norm,
    head_size: usize,
    channel_mix: ChannelMix,
}

struct Gate {
    mix: Vec<f32>,
    weight: Matrix,
}

impl LayerV5 {
    pub fn load(loader: &mut Loader<'_>) -> Result<Self> {
        let n = loader.config.n_embd;
        let mix_k = loader.time_mix(&loader.ffn("time_mix_k"))?;
        let mix_r = loader.time_mix(&loader.ffn("time_mix_r"))?;
        let bonus = [loader.att("time_faaaa"), loader.att("time_first")];
        let bonus = bonus.iter().find(|name| loader.contains(name)).unwrap_or(&bonus[0]);
        let gate = match loader.config.generation {
            Generation::V5_0 => None,
            _ => Some(Gate {
                mix: loader.time_mix(&loader.att("time_mix_g"))?,
                weight: loader.matrix(&loader.att("gate.weight"), n, n)?,
            }),
        };
        Ok(Self {
            mix_k: loader.time_mix(&loader.att("time_mix_k"))?,
            mix_v: loader.time_mix(&loader.att("time_mix_v"))?,
            mix_r: loader.time_mix(&loader.att("time_mix_r"))?,
            decay: loader.head_channels(&loader.att("time_decay"))?,
            bonus: loader.head_channels(bonus)?,
            receptance: loader.matrix(&loader.att("receptance.weight"), n, n)?,
            key: loader.matrix(&loader.att("key.weight"), n, n)?,
            value: loader.matrix(&loader.att("value.weight"), n, n)?,
            output: loader.matrix(&loader.att("output.weight"), n, n)?,
            gate,
            ln_x: loader.norm(&loader.att("ln_x"), loader.config.group_norm_eps)?,
            head_size: loader.config.head_size,
            channel_mix: ChannelMix::load(loader, mix_k, mix_r)?,
        })
    }
}

impl Layer for LayerV5 {
    fn time_mix(&self, x: &Rows, out: &mut Rows, pass: &mut Pass<'_>) {
        let x = pass.token_shift(x, Shift::TimeMix);
        let [xr, xk, xv] = pass
            .lerp(&x, [(&self.mix_r, &[&self.receptance]), (&self.mix_k, &[&self.key]), (&self.mix_v, &[&self.value])]);
        let inputs = [(&self.receptance, &xr), (&self.key, &xk), (&self.value, &xv)];
        let ([r, k, v], g) = match &self.gate {
            None => (pass.multiply_all(inputs), None),
            Some(gate) => {
                let [xg] = pass.lerp(&x, [(&gate.mix, &[&gate.weight])]);
                let [r, k, v] = inputs;
                let [r, k, v, g] = pass.multiply_all([r, k, v, (&gate.weight, &xg)]);
                ([r, k, v], Some(g))
            }
        };

        let (n, kernels) = (self.head_size, pass.kernels);
        let y = pass.recur(out.width, n, |head, row, state, out| {
            let part = head * n..(head + 1) * n;
            let inputs = Head5 {
                receptance: &r.row(row)[part.clone()],
                key: &k.row(row)[part.clone()],
                value: &v.row(row)[part.clone()],
                decay: &self.decay[part.clone()],
                bonus: &self.bonus[part.clone()],
            };
            (kernels.wkv5)(state, inputs, out);
            self.ln_x.apply_to_head(out, part.start, kernels);
            if let Some(g) = &g {
                gate(out, &g.row(row)[part], kernels);
            }
        });
        pass.multiply_add(&self.output, &pass.input(&y, &self.output), out);
    }

    fn channel_mix(&self, x: &Rows, out: &mut Rows, pass: &mut Pass<'_>) {
        self.channel_mix.forward(x, out, pass);
    }
}
