//! RWKV-7 (Goose), after RWKV-LM's `rwkv_v7_numpy.py`. (Peng et al. 2025, arXiv:2503.14456)

use super::forward::Layer;
use super::pass::{Pass, Shift};
use super::rows::Rows;
use super::weights::Loader;
use crate::error::Result;
use crate::kernel::{Matrix, Norm, Parameters7, Token7};

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

    /// The parameters of one head's channels.
    fn head(&self, head: usize) -> Parameters7<'_> {
        let channels = head * self.head_size..(head + 1) * self.head_size;
        Parameters7 {
            decay: &self.decay.bias[channels.clone()],
            rate: &self.rate.bias[channels.clone()],
            value_mix: self.value_mix.as_ref().map(|mix| &mix.bias[channels.clone()]),
            k_k: &self.k_k[channels.clone()],
            k_a: &self.k_a[channels.clone()],
            r_k: &self.r_k[channels.clone()],
            ln_x: self.ln_x.part(channels.start, channels.len()),
        }
    }
}

impl Layer for LayerV7 {
    fn time_mix(&self, x: &Rows, out: &mut Rows, pass: &mut Pass<'_>) {
        /// The first layer's, whose value stays as it is.
        static NONE: Matrix = Matrix::empty();
        let (w, a, g) = (&self.decay, &self.rate, &self.gate);
        let (v_down, v_up) = self.value_mix.as_ref().map_or((&NONE, &NONE), |mix| (&mix.down, &mix.up));
        let x = pass.token_shift(x, Shift::TimeMix);
        let [xr, xw, xk, xv, xa, xg] = pass.lerp(
            &x,
            [
                (&self.x_r, &[&self.receptance]),
                (&self.x_w, &[&w.down]),
                (&self.x_k, &[&self.key]),
                (&self.x_v, &[&self.value, v_down]),
                (&self.x_a, &[&a.down]),
                (&self.x_g, &[&g.down]),
            ],
        );
        // All products of the inputs at once, then all those of the low-rank pairs' middles.
        let [r, k, v, w_low, a_low, g_low, v_low] = pass.multiply_all([
            (&self.receptance, &xr),
            (&self.key, &xk),
            (&self.value, &xv),
            (&w.down, &xw),
            (&a.down, &xa),
            (&g.down, &xg),
            (v_down, &xv),
        ]);
        let kernels = pass.kernels;
        let [w_low, a_low, g_low, v_low] =
            pass.inputs([&[&w.up], &[&a.up], &[&g.up], &[v_up]], |input, row, out| match input {
                0 => {
                    out.copy_from_slice(w_low.row(row));
                    (kernels.tanh)(out);
                }
                1 => out.copy_from_slice(a_low.row(row)),
                2 => {
                    out.copy_from_slice(g_low.row(row));
                    (kernels.sigmoid)(out);
                }
                _ => out.copy_from_slice(v_low.row(row)),
            });
        let [w, a, g, mix] = pass.multiply_all([(&w.up, &w_low), (&a.up, &a_low), (&g.up, &g_low), (v_up, &v_low)]);
        let first_value = match (&self.value_mix, pass.first_value.take()) {
            (Some(_), Some(first)) => first,
            _ => v.clone(),
        };

        let (n, last) = (self.head_size, pass.len() - 1);
        let y = pass.recur(out.width, n, |head, row, state, out| {
            let part = head * n..(head + 1) * n;
            let token = |row: usize| Token7 {
                receptance: &r.row(row)[part.clone()],
                decay: &w.row(row)[part.clone()],
                key: &k.row(row)[part.clone()],
                value: &v.row(row)[part.clone()],
                rate: &a.row(row)[part.clone()],
                gate: &g.row(row)[part.clone()],
                first_value: &first_value.row(row)[part.clone()],
                value_mix: self.value_mix.as_ref().map_or(&[], |_| &mix.row(row)[part.clone()]),
            };
            let next = (row + 1).min(last);
            (kernels.head7)(state, self.head(head), [token(row), token(next)], out);
        });
        pass.first_value = Some(first_value);
        pass.multiply_add(&self.output, &pass.input(&y, &self.output), out);
    }

    fn channel_mix(&self, x: &Rows, out: &mut Rows, pass: &mut Pass<'_>) {
        let x = pass.token_shift(x, Shift::ChannelMix);
        let [xk] = pass.lerp(&x, [(&self.ffn_x_k, &[&self.ffn_key])]);
        let k = pass.multiply_relu_squared(&self.ffn_key, &xk, &self.ffn_value);
        pass.multiply_add(&self.ffn_value, &k, out);
    }
}
