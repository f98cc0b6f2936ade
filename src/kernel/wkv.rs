//! The recurrences over time, one token of one head at a time.
//!
//! A head's state is `[head_size, head_size]` with the key's index outermost, so that the value's index runs along
//! vector lanes and no step needs a sum across a register.

use super::scalar::multiply_add;

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
pub(super) fn wkv5<const FUSED: bool>(state: &mut [f32], head: Head5<'_>, out: &mut [f32]) {
    let n = out.len();
    let value = &head.value[..n];
    out.fill(0.0);
    for (i, row) in state.chunks_exact_mut(n).enumerate() {
        let (r, k, w, u) = (head.receptance[i], head.key[i], head.decay[i], head.bonus[i]);
        for ((s, v), out) in row.iter_mut().zip(value).zip(out.iter_mut()) {
            let kv = k * v;
            *out = multiply_add::<FUSED>(r, multiply_add::<FUSED>(u, kv, *s), *out);
            *s = multiply_add::<FUSED>(*s, w, kv);
        }
    }
}

/// One token's inputs of an RWKV-7 head; each slice has `head_size` numbers.
#[derive(Clone, Copy)]
pub(crate) struct Head7<'a> {
    pub receptance: &'a [f32],
    pub key: &'a [f32],
    pub value: &'a [f32],
    /// What remains of each key's row after this token, 0 to 1.
    pub decay: &'a [f32],
    /// The normalized key to remove (`kk`).
    pub removal: &'a [f32],
    /// How strongly each channel learns in context (`a`), 0 to 1.
    pub rate: &'a [f32],
}

/// RWKV-7, the state written transposed: `S = w*S + (kk*a) ⊗ (-kk·S) + k ⊗ v; out = r·S`.
#[inline(always)]
pub(super) fn wkv7<const FUSED: bool>(state: &mut [f32], head: Head7<'_>, out: &mut [f32]) {
    let n = out.len();
    let value = &head.value[..n];
    let mut removed = [0.0; LARGEST_HEAD];
    let removed = &mut removed[..n];
    for (row, kk) in state.chunks_exact(n).zip(head.removal) {
        for (removed, s) in removed.iter_mut().zip(row) {
            *removed = multiply_add::<FUSED>(-kk, *s, *removed);
        }
    }
    out.fill(0.0);
    for (i, row) in state.chunks_exact_mut(n).enumerate() {
        let (r, k, w, b) = (head.receptance[i], head.key[i], head.decay[i], head.removal[i] * head.rate[i]);
        for (((s, v), removed), out) in row.iter_mut().zip(value).zip(removed.iter()).zip(out.iter_mut()) {
            *s = multiply_add::<FUSED>(*s, w, multiply_add::<FUSED>(*removed, b, k * v));
            *out = multiply_add::<FUSED>(r, *s, *out);
        }
    }
}

/// One token of RWKV-4, channel by channel. `state` is the numerator, the denominator and their common exponent.
///
/// The exponent keeps both sums in range: they stand for `a * exp(p)` and `b * exp(p)`.
pub(crate) fn wkv4(state: [&mut [f32]; 3], key: &[f32], value: &[f32], decay: &[f32], bonus: &[f32], out: &mut [f32]) {
    let [a, b, p] = state;
    for c in 0..out.len() {
        let (k, v) = (key[c], value[c]);
        let ww = bonus[c] + k;
        let q = p[c].max(ww);
        let (e1, e2) = ((p[c] - q).exp(), (ww - q).exp());
        out[c] = (e1 * a[c] + e2 * v) / (e1 * b[c] + e2);

        let ww = p[c] + decay[c];
        let q = ww.max(k);
        let (e1, e2) = ((ww - q).exp(), (k - q).exp());
        a[c] = e1 * a[c] + e2 * v;
        b[c] = e1 * b[c] + e2;
        p[c] = q;
    }
}
