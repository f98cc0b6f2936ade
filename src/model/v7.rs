//! RWKV-7 (Goose), after RWKV-LM's `rwkv_v7_numpy.py`. (Peng et al. 2025, arXiv:2503.14456)

use super::forward::Layer;
use super::pass::{Pass, Shift};
use super::rows::{Rows, relu_squared};
use super::weights::Loader;
use crate::error::Result;
use crate::kernel::{Head7, Kernels, LARGEST_HEAD, Matrix, Norm, l2_normalize};

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

    /// One head's part of one token: what its channels need of the products, the recurrence, and what follows it.
    ///
    /// `first` is the head's first channel; `state` and `out` are the head's own.
    fn head(&self, first: usize, token: &Token<'_>, state: &mut [f32], out: &mut [f32], kernels: &Kernels) {
        /// `exp(-0.5)`, to the digits that training used: no channel keeps less than `exp(-0.606531)` of its state.
        const FASTEST_DECAY: f32 = 0.606_531;
        let mut scratch = [[0.0; LARGEST_HEAD]; 6];
        let [w, a, k, v, kk, mix] = scratch.each_mut().map(|row| &mut row[..out.len()]);
        let channels = first..first + out.len();

        // w = exp(-0.606531 * sigmoid(w0 + w)), a = sigmoid(a0 + a)
        add(w, &self.decay.bias[channels.clone()], &token.w[channels.clone()]);
        (kernels.sigmoid)(w);
        w.iter_mut().for_each(|w| *w *= -FASTEST_DECAY);
        (kernels.exp)(w);
        add(a, &self.rate.bias[channels.clone()], &token.a[channels.clone()]);
        (kernels.sigmoid)(a);

        // v += (first layer's v - v) * sigmoid(v0 + v)
        v.copy_from_slice(&token.v[channels.clone()]);
        if let (Some(low_rank), Some((first, low))) = (&self.value_mix, token.first_value) {
            add(mix, &low_rank.bias[channels.clone()], &low[channels.clone()]);
            (kernels.sigmoid)(mix);
            for ((v, first), mix) in v.iter_mut().zip(&first[channels.clone()]).zip(mix.iter()) {
                *v += (first - *v) * mix;
            }
        }

        // kk = k * k_k / its length, k *= 1 + (a - 1) * k_a
        let (k_k, k_a) = (&self.k_k[channels.clone()], &self.k_a[channels.clone()]);
        let token_k = &token.k[channels.clone()];
        for (((kk, k), x), (k_k, (k_a, a))) in
            kk.iter_mut().zip(k.iter_mut()).zip(token_k).zip(k_k.iter().zip(k_a.iter().zip(a.iter())))
        {
            *kk = x * k_k;
            *k = x * (1.0 + (a - 1.0) * k_a);
        }
        l2_normalize(kk);

        let r = &token.r[channels.clone()];
        let inputs = Head7 { receptance: r, key: k, value: v, decay: w, removal: kk, rate: a };
        (kernels.wkv7)(state, inputs, out);
        self.ln_x.apply_to_head(out, first, kernels);

        // y = (y + (r * k * r_k summed over the head) * v) * g
        let r_k = &self.r_k[channels.clone()];
        let bonus: f32 = r.iter().zip(k.iter()).zip(r_k).map(|((r, k), r_k)| r * k * r_k).sum();
        for ((out, v), g) in out.iter_mut().zip(v.iter()).zip(&token.g[channels]) {
            *out = (*out + bonus * v) * g;
        }
    }
}

/// One token's products, each `[n_embd]`.
struct Token<'a> {
    r: &'a [f32],
    w: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    a: &'a [f32],
    g: &'a [f32],
    /// The first layer's value, and how much of it flows in; `None` in that layer itself.
    first_value: Option<(&'a [f32], &'a [f32])>,
}

/// `out = a + b`
fn add(out: &mut [f32], a: &[f32], b: &[f32]) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        *out = a + b;
    }
}

impl Layer for LayerV7 {
    fn time_mix(&self, x: &Rows, pass: &mut Pass<'_>) -> Rows {
        let dx = pass.token_shift(x, Shift::TimeMix);
        let mixes = [&self.x_r, &self.x_w, &self.x_k, &self.x_v, &self.x_a, &self.x_g];
        let [xr, xw, xk, xv, xa, xg] = pass.lerp(x, &dx, mixes.map(|mix| &mix[..]));

        /// The first layer's, whose value stays as it is.
        static NONE: Matrix = Matrix::empty();
        // All products of the inputs at once, then all those of the low-rank pairs' middles.
        let (w, a, g) = (&self.decay, &self.rate, &self.gate);
        let first = pass.multiply_all([
            (&self.receptance, &xr),
            (&self.key, &xk),
            (&self.value, &xv),
            (&w.down, &xw),
            (&a.down, &xa),
            (&g.down, &xg),
            (self.value_mix.as_ref().map_or(&NONE, |mix| &mix.down), &xv),
        ]);
        let [r, k, v, w_low, a_low, g_low, v_low] = first;
        let (w_low, g_low) = (w_low.apply(pass.kernels.tanh), g_low.apply(pass.kernels.sigmoid));
        let [w, a, g, mix] = pass.multiply_all([
            (&w.up, &w_low),
            (&a.up, &a_low),
            (&g.up, &g_low),
            (self.value_mix.as_ref().map_or(&NONE, |mix| &mix.up), &v_low),
        ]);
        let first_value = match (&self.value_mix, pass.first_value.take()) {
            (Some(_), Some(first)) => first,
            _ => v.clone(),
        };

        let (n, kernels) = (self.head_size, pass.kernels);
        let y = pass.recur(x.width, n, |head, row, state, out| {
            let token = Token {
                r: r.row(row),
                w: w.row(row),
                k: k.row(row),
                v: v.row(row),
                a: a.row(row),
                g: g.row(row),
                first_value: self.value_mix.as_ref().map(|_| (first_value.row(row), mix.row(row))),
            };
            self.head(head * n, &token, state, out, kernels);
        });
        pass.first_value = Some(first_value);
        pass.multiply(&self.output, &y)
    }

    fn channel_mix(&self, x: &Rows, pass: &mut Pass<'_>) -> Rows {
        let dx = pass.token_shift(x, Shift::ChannelMix);
        let [xk] = pass.lerp(x, &dx, [&self.ffn_x_k]);
        let k = pass.multiply(&self.ffn_key, &xk).map(relu_squared);
        pass.multiply(&self.ffn_value, &k)
    }
}
