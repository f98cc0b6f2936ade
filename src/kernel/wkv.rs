//! The recurrences over time, one token of one head at a time.
//!
//! A head's state is `[head_size, head_size]` with the key's index outermost, so that the value's index runs along
//! vector lanes and no step needs a sum across a register.

use super::norm::{NormPart, l2_normalize, normalize};
use super::simd::{LANES, Simd};
use super::vecmath::{exp_one, sigmoid_one};

/// Channels of the largest head that any model may have.
pub(crate) const LARGEST_HEAD: usize = 256;

/// One token's inputs of an RWKV-5 or 6 head; each slice has `head_size` numbers.
#[derive(Clone, Copy)]
pub(crate) struct Head5<'a> {
    pub receptance: &'a [f32],
    pub key: &'a [f32],
    pub value: &'a [f32],
    /// What remains of each key's row after this token, 0 to 1.
    pub decay: &'a [f32],
    /// Weight of the current token's own key-value product.
    pub bonus: &'a [f32],
}

/// RWKV-5 and 6: `A = k ⊗ v; out = r·(u*A + S); S = w*S + A`.
#[inline(always)]
pub(super) fn wkv5<S: Simd>(simd: S, state: &mut [f32], head: Head5<'_>, out: &mut [f32]) {
    let n = out.len();
    let [wide, whole] = in_strips::<S>(n);
    for at in (0..wide).step_by(4 * LANES) {
        strip5::<S, 4>(simd, state, head, at, out);
    }
    for at in (wide..whole).step_by(LANES) {
        strip5::<S, 1>(simd, state, head, at, out);
    }
    for column in whole..n {
        let v = head.value[column];
        let mut sum = 0.0;
        for i in 0..n {
            let s = &mut state[i * n + column];
            let kv = head.key[i] * v;
            sum += head.receptance[i] * (head.bonus[i] * kv + *s);
            *s = *s * head.decay[i] + kv;
        }
        out[column] = sum;
    }
}

/// Some columns of a head's state, 16 to a vector: whatever belongs to a column stays in registers.
#[inline(always)]
fn strip5<S: Simd, const N: usize>(simd: S, state: &mut [f32], head: Head5<'_>, at: usize, out: &mut [f32]) {
    let n = out.len();
    let value = columns::<S, N>(simd, &head.value[at..]);
    let mut sums = [simd.splat(0.0); N];
    for (i, row) in state.chunks_exact_mut(n).enumerate() {
        let row = &mut row[at..at + N * LANES].as_chunks_mut().0[..N];
        let (k, r, w, u) = (head.key[i], head.receptance[i], head.decay[i], head.bonus[i]);
        for c in 0..N {
            let s = simd.floats(&row[c]);
            let kv = simd.mul(simd.splat(k), value[c]);
            sums[c] = simd.mul_add(simd.splat(r), simd.mul_add(simd.splat(u), kv, s), sums[c]);
            simd.store_floats(simd.mul_add(s, simd.splat(w), kv), &mut row[c]);
        }
    }
    let out = &mut out[at..at + N * LANES].as_chunks_mut().0[..N];
    for c in 0..N {
        simd.store_floats(sums[c], &mut out[c]);
    }
}

/// How many of `n` columns are in strips of four vectors, and in strips of four or of one. A loop over a strip's place
/// and not a function that takes the strip: a closure may be compiled without the processor's features.
#[inline(always)]
fn in_strips<S: Simd>(n: usize) -> [usize; 2] {
    let wide = if S::REGISTERS >= 32 { n - n % (4 * LANES) } else { 0 };
    [wide, n - n % LANES]
}

#[inline(always)]
fn columns<S: Simd, const N: usize>(simd: S, numbers: &[f32]) -> [S::Floats; N] {
    let numbers = &numbers.as_chunks().0[..N];
    let mut columns = [simd.splat(0.0); N];
    for c in 0..N {
        columns[c] = simd.floats(&numbers[c]);
    }
    columns
}

/// Parameters of an RWKV-7 head's channels; each slice has `head_size` numbers. Names as in the checkpoint, but for `w0`,
/// `a0`, `v0`.
#[derive(Clone, Copy)]
pub(crate) struct Parameters7<'a> {
    pub decay: &'a [f32],
    pub rate: &'a [f32],
    /// The first layer has none.
    pub value_mix: Option<&'a [f32]>,
    pub k_k: &'a [f32],
    pub k_a: &'a [f32],
    pub r_k: &'a [f32],
    pub ln_x: NormPart<'a>,
}

/// One token's products for an RWKV-7 head; each slice has `head_size` numbers.
#[derive(Clone, Copy)]
pub(crate) struct Token7<'a> {
    pub receptance: &'a [f32],
    pub decay: &'a [f32],
    pub key: &'a [f32],
    pub value: &'a [f32],
    pub rate: &'a [f32],
    pub gate: &'a [f32],
    /// The first layer's value, and how much of it flows in.
    pub first_value: &'a [f32],
    pub value_mix: &'a [f32],
}

/// One token of an RWKV-7 head: what its channels need of the products, the recurrence, and what follows it. The token
/// that comes `next` lies elsewhere in memory, where no processor expects it.
#[inline(always)]
pub(super) fn head7<const FUSED: bool, S: Simd>(
    simd: S,
    state: &mut [f32],
    parameters: Parameters7<'_>,
    [token, next]: [Token7<'_>; 2],
    out: &mut [f32],
) {
    /// `exp(-0.5)`, to the digits that training used: no channel keeps less than `exp(-0.606531)` of its state.
    const FASTEST_DECAY: f32 = 0.606_531;
    let Token7 { receptance, decay, key, value, rate, gate, first_value, value_mix } = next;
    for numbers in [receptance, decay, key, value, rate, gate, first_value, value_mix] {
        for line in numbers.chunks(16) {
            simd.prefetch(line.as_ptr().cast());
        }
    }
    let n = out.len();
    let mut scratch = [[0.0; LARGEST_HEAD]; 5];
    let [w, a, k, v, kk] = &mut scratch;
    let (w, a, k, v, kk) = (&mut w[..n], &mut a[..n], &mut k[..n], &mut v[..n], &mut kk[..n]);

    // w = exp(-0.606531 * sigmoid(w0 + w)), a = sigmoid(a0 + a)
    for ((w, base), x) in w.iter_mut().zip(parameters.decay).zip(token.decay) {
        *w = exp_one::<FUSED>(-FASTEST_DECAY * sigmoid_one::<FUSED>(base + x));
    }
    for ((a, base), x) in a.iter_mut().zip(parameters.rate).zip(token.rate) {
        *a = sigmoid_one::<FUSED>(base + x);
    }

    // v += (first layer's v - v) * sigmoid(v0 + v)
    v.copy_from_slice(token.value);
    if let Some(bases) = parameters.value_mix {
        for (((v, first), base), x) in v.iter_mut().zip(token.first_value).zip(bases).zip(token.value_mix) {
            *v += (first - *v) * sigmoid_one::<FUSED>(base + x);
        }
    }

    // kk = k * k_k / its length, k *= 1 + (a - 1) * k_a
    let weights = parameters.k_k.iter().zip(parameters.k_a).zip(&*a);
    for (((kk, k), x), ((k_k, k_a), a)) in kk.iter_mut().zip(&mut *k).zip(token.key).zip(weights) {
        *kk = x * k_k;
        *k = x * (1.0 + (a - 1.0) * k_a);
    }
    l2_normalize(kk);

    let r = token.receptance;
    wkv7(simd, state, Head7 { receptance: r, key: k, value: v, decay: w, removal: kk, rate: a }, out);
    normalize(out, parameters.ln_x);

    // y = (y + (r * k * r_k summed over the head) * v) * g
    let mut bonus = 0.0;
    for ((r, k), r_k) in r.iter().zip(&*k).zip(parameters.r_k) {
        bonus += r * k * r_k;
    }
    for ((out, v), g) in out.iter_mut().zip(&*v).zip(token.gate) {
        *out = (*out + bonus * v) * g;
    }
}

/// One token's inputs of an RWKV-7 head; each slice has `head_size` numbers.
#[derive(Clone, Copy)]
struct Head7<'a> {
    receptance: &'a [f32],
    key: &'a [f32],
    value: &'a [f32],
    /// What remains of each key's row after this token, 0 to 1.
    decay: &'a [f32],
    /// The normalized key to remove (`kk`).
    removal: &'a [f32],
    /// How strongly each channel learns in context (`a`), 0 to 1.
    rate: &'a [f32],
}

/// RWKV-7, the state written transposed: `S = w*S + (kk*a) ⊗ (-kk·S) + k ⊗ v; out = r·S`.
#[inline(always)]
fn wkv7<S: Simd>(simd: S, state: &mut [f32], head: Head7<'_>, out: &mut [f32]) {
    let n = out.len();
    let [wide, whole] = in_strips::<S>(n);
    for at in (0..wide).step_by(4 * LANES) {
        strip7::<S, 4>(simd, state, head, at, out);
    }
    for at in (wide..whole).step_by(LANES) {
        strip7::<S, 1>(simd, state, head, at, out);
    }
    for column in whole..n {
        let removed: f32 = (0..n).map(|i| -head.removal[i] * state[i * n + column]).sum();
        let mut sum = 0.0;
        for i in 0..n {
            let s = &mut state[i * n + column];
            let added = removed * (head.removal[i] * head.rate[i]) + head.key[i] * head.value[column];
            *s = *s * head.decay[i] + added;
            sum += head.receptance[i] * *s;
        }
        out[column] = sum;
    }
}

/// Some columns of a head's state, 16 to a vector: whatever belongs to a column stays in registers.
#[inline(always)]
fn strip7<S: Simd, const N: usize>(simd: S, state: &mut [f32], head: Head7<'_>, at: usize, out: &mut [f32]) {
    let n = out.len();
    let mut removed = [simd.splat(0.0); N];
    for (i, row) in state.chunks_exact(n).enumerate() {
        let row = &row[at..at + N * LANES].as_chunks().0[..N];
        let kk = simd.splat(-head.removal[i]);
        for c in 0..N {
            removed[c] = simd.mul_add(kk, simd.floats(&row[c]), removed[c]);
        }
    }
    let value = columns::<S, N>(simd, &head.value[at..]);
    let mut sums = [simd.splat(0.0); N];
    for (i, row) in state.chunks_exact_mut(n).enumerate() {
        let row = &mut row[at..at + N * LANES].as_chunks_mut().0[..N];
        let (k, r, w, ka) = (head.key[i], head.receptance[i], head.decay[i], head.removal[i] * head.rate[i]);
        for c in 0..N {
            let kv = simd.mul(simd.splat(k), value[c]);
            let added = simd.mul_add(removed[c], simd.splat(ka), kv);
            let s = simd.mul_add(simd.floats(&row[c]), simd.splat(w), added);
            simd.store_floats(s, &mut row[c]);
            sums[c] = simd.mul_add(simd.splat(r), s, sums[c]);
        }
    }
    let out = &mut out[at..at + N * LANES].as_chunks_mut().0[..N];
    for c in 0..N {
        simd.store_floats(sums[c], &mut out[c]);
    }
}

/// One token's inputs of some channels of RWKV-4; each slice has a number for every channel.
#[derive(Clone, Copy)]
pub(crate) struct Head4<'a> {
    pub key: &'a [f32],
    pub value: &'a [f32],
    pub decay: &'a [f32],
    pub bonus: &'a [f32],
}

/// RWKV-4, channel by channel. `state` is the numerator, the denominator and their common exponent.
///
/// The exponent keeps both sums in range: they stand for `a * exp(p)` and `b * exp(p)`.
#[inline(always)]
pub(super) fn wkv4<const FUSED: bool>(state: [&mut [f32]; 3], head: Head4<'_>, out: &mut [f32]) {
    let [a, b, p] = state.map(|state| &mut state[..out.len()]);
    let inputs = head.key.iter().zip(head.value).zip(head.decay.iter().zip(head.bonus));
    let sums = a.iter_mut().zip(b).zip(p);
    for ((out, ((a, b), p)), ((&k, &v), (&w, &u))) in out.iter_mut().zip(sums).zip(inputs) {
        let ww = u + k;
        let q = p.max(ww);
        let (e1, e2) = (exp_one::<FUSED>(*p - q), exp_one::<FUSED>(ww - q));
        *out = (e1 * *a + e2 * v) / (e1 * *b + e2);

        let ww = *p + w;
        let q = ww.max(k);
        let (e1, e2) = (exp_one::<FUSED>(ww - q), exp_one::<FUSED>(k - q));
        *a = e1 * *a + e2 * v;
        *b = e1 * *b + e2;
        *p = q;
    }
}
