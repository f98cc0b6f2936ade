//! RWKV-7 (Goose), after RWKV-LM's `rwkv_v7_numpy.py`. (Peng et al. 2025, arXiv:2503.14456)

use super::forward::Layer;
use super::pass::{Pass, Shift};
use super::rows::{Rows, relu_squared, sigmoid};
use super::weights::Loader;
use crate::error::Result;
use crate::kernel::{Head7, Matrix, Norm, group_norm, l2_normalize};

pub(super) struct LayerV7 {
    x_r: Vec<f32>,
    x_w: Vec<f32>,
    x_k: Vec<f32>,
    x_v: Vec<f32>,
    x_a: Vec<f32>,
    x_g: Vec<f32>,
    decay: LowRank,
    rate: LowRank,
    /// How much of the first layer's value flows in; the first layer has none.
    value_mix: Option<LowRank>,
    gate: LowRank,
    k_k: Vec<f32>,
    k_a: Vec<f32>,
    r_k: Vec<f32>,
    receptance: Matrix,
    key: Matrix,
    value: Matrix,
    output: Matrix,
    ln_x: Norm,
    head_size: usize,
    ffn_x_k: Vec<f32>,
    ffn_key: Matrix,
    ffn_value: Matrix,
}

/// `bias + up @ f(down @ x)`: `w0, w1, w2` and their like, whose rank is far below `n_embd`.
struct LowRank {
    bias: Vec<f32>,
    down: Matrix,
    up: Matrix,
}

impl LowRank {
    /// Loads `{name}0`, where there is one, `{name}1` and `{name}2`.
    fn load(loader: &mut Loader<'_>, name: &str) -> Result<Self> {
        let n = loader.config.n_embd;
        let [bias, down, up] = [0, 1, 2].map(|i| loader.att(&format!("{name}{i}")));
        let rank = loader.rank(&down)?;
        Ok(Self {
            // Only the gate has no bias, in any file.
            bias: if name == "g" { vec![0.0; n] } else { loader.channels(&bias)? },
            down: loader.matrix(&down, rank, n)?,
            up: loader.matrix(&up, n, rank)?,
        })
    }

    fn forward(&self, x: &Rows, hidden: impl Fn(f32) -> f32, pass: &Pass<'_>) -> Rows {
        let low = pass.multiply(&self.down, x).map(hidden);
        pass.multiply(&self.up, &low).zip_channels(&self.bias, |x, bias| bias + x)
    }
}

impl LayerV7 {
    pub fn load(loader: &mut Loader<'_>) -> Result<Self> {
        let (n, n_ffn) = (loader.config.n_embd, loader.config.n_ffn);
        Ok(Self {
            x_r: loader.channels(&loader.att("x_r"))?,
            x_w: loader.channels(&loader.att("x_w"))?,
            x_k: loader.channels(&loader.att("x_k"))?,
            x_v: loader.channels(&loader.att("x_v"))?,
            x_a: loader.channels(&loader.att("x_a"))?,
            x_g: loader.channels(&loader.att("x_g"))?,
            decay: LowRank::load(loader, "w")?,
            rate: LowRank::load(loader, "a")?,
            value_mix: if loader.layer == 0 { None } else { Some(LowRank::load(loader, "v")?) },
            gate: LowRank::load(loader, "g")?,
            k_k: loader.channels(&loader.att("k_k"))?,
            k_a: loader.channels(&loader.att("k_a"))?,
            r_k: loader.channels(&loader.att("r_k"))?,
            receptance: loader.matrix(&loader.att("receptance.weight"), n, n)?,
            key: loader.matrix(&loader.att("key.weight"), n, n)?,
            value: loader.matrix(&loader.att("value.weight"), n, n)?,
            output: loader.matrix(&loader.att("output.weight"), n, n)?,
            ln_x: loader.norm(&loader.att("ln_x"), loader.config.group_norm_eps)?,
            head_size: loader.config.head_size,
            ffn_x_k: loader.channels(&loader.ffn("x_k"))?,
            ffn_key: loader.matrix(&loader.ffn("key.weight"), n_ffn, n)?,
            ffn_value: loader.matrix(&loader.ffn("value.weight"), n, n_ffn)?,
        })
    }

    /// Adds `(sum over the head of r * k * r_k) * v` to each head of the output.
    fn add_bonus(&self, y: &mut Rows, r: &Rows, k: &Rows, v: &Rows) {
        let n = self.head_size;
        for (i, row) in y.iter_mut().enumerate() {
            let (r, k, v) = (r.row(i), k.row(i), v.row(i));
            for (head, out) in row.chunks_exact_mut(n).enumerate() {
                let part = head * n..(head + 1) * n;
                let bonus: f32 = part.clone().map(|c| r[c] * k[c] * self.r_k[c]).sum();
                out.iter_mut().zip(&v[part]).for_each(|(y, v)| *y += bonus * v);
            }
        }
    }
}

impl Layer for LayerV7 {
    fn time_mix(&self, x: &Rows, pass: &mut Pass<'_>) -> Rows {
        /// `exp(-0.5)`, to the digits that training used: no channel keeps less than `exp(-0.606531)` of its state.
        const FASTEST_DECAY: f32 = 0.606_531;
        let n = self.head_size;
        let dx = pass.token_shift(x, Shift::TimeMix);
        let r = pass.multiply(&self.receptance, &x.lerp(&dx, &self.x_r));
        let w =
            self.decay.forward(&x.lerp(&dx, &self.x_w), f32::tanh, pass).map(|w| (-FASTEST_DECAY * sigmoid(w)).exp());
        let k = pass.multiply(&self.key, &x.lerp(&dx, &self.x_k));
        let xv = x.lerp(&dx, &self.x_v);
        let mut v = pass.multiply(&self.value, &xv);
        match (&self.value_mix, &pass.first_value) {
            (Some(mix), Some(first)) => {
                let mix = mix.forward(&xv, |x| x, pass).map(sigmoid);
                let step = mix.zip(&first.clone().zip(&v, |first, v| first - v), |mix, d| d * mix);
                v.add(&step);
            }
            _ => pass.first_value = Some(v.clone()),
        }
        let a = self.rate.forward(&x.lerp(&dx, &self.x_a), |x| x, pass).map(sigmoid);
        let g = self.gate.forward(&x.lerp(&dx, &self.x_g), sigmoid, pass);

        let mut kk = k.clone().zip_channels(&self.k_k, |k, k_k| k * k_k);
        kk.iter_mut().for_each(|row| l2_normalize(row, n));
        let strength = a.clone().zip_channels(&self.k_a, |a, k_a| 1.0 + (a - 1.0) * k_a);
        let k = k.zip(&strength, |k, strength| k * strength);

        let wkv7 = pass.kernels.wkv7;
        let mut y = pass.recur(x.width, n, |head, row, state, out| {
            let part = head * n..(head + 1) * n;
            let head = Head7 {
                receptance: &r.row(row)[part.clone()],
                key: &k.row(row)[part.clone()],
                value: &v.row(row)[part.clone()],
                decay: &w.row(row)[part.clone()],
                removal: &kk.row(row)[part.clone()],
                rate: &a.row(row)[part],
            };
            wkv7(state, head, out);
        });
        y.iter_mut().for_each(|row| group_norm(row, n, &self.ln_x));
        self.add_bonus(&mut y, &r, &k, &v);
        pass.multiply(&self.output, &y.zip(&g, |y, g| y * g))
    }

    fn channel_mix(&self, x: &Rows, pass: &mut Pass<'_>) -> Rows {
        let dx = pass.token_shift(x, Shift::ChannelMix);
        let k = pass.multiply(&self.ffn_key, &x.lerp(&dx, &self.ffn_x_k)).map(relu_squared);
        pass.multiply(&self.ffn_value, &k)
    }
}
