// The recurrence of RWKV-7 for one head, and its gradient.
//
// With the state S [value, key] and, at each token, vectors of the head's width:
//     S <- S diag(decay) + (S a) b^T + v k^T        y = S r
// (RWKV-LM's CUDA kernels compute the same.)
#pragma once

#include "vectors.h"

// What goes into the recurrence at one token.
struct Token {
    Head r, decay, k, v, a, b;
};

struct Gradients {
    Head r, decay, k, v, a, b;
};

// The state by columns, one for each channel of the key: going forward, everything then adds up lane by lane.
struct Columns {
    Head column[N];
};

// The state by rows, one for each channel of the value: going backward, most gradients then add up lane by lane.
struct Rows {
    Head row[N];
};

inline Rows transposed(const Columns& state) {
    Rows rows;
    for (int64_t i = 0; i < N; i++)
        for (int64_t j = 0; j < N; j++) rows.row[i][j] = state.column[j][i];
    return rows;
}

// S a
inline Head product(const Columns& state, const Head& a) {
    Head sa{};
    for (int64_t j = 0; j < N; j++)
        for (int64_t l = 0; l < VECS; l++) sa.vec(l) += state.column[j].vec(l) * a[j];
    return sa;
}

// One token forward, in one pass over the state. `sa` is S a for this token, and becomes S a for the next one.
inline Head forward_step(Columns& state, const Token& token, Head& sa, const Head& next_a) {
    Vec y[VECS] = {}, next_sa[VECS] = {};
    for (int64_t j = 0; j < N; j++) {
        for (int64_t l = 0; l < VECS; l++) {
            Vec s = state.column[j].vec(l);
            s = s * token.decay[j] + sa.vec(l) * token.b[j] + token.v.vec(l) * token.k[j];
            state.column[j].vec(l) = s;
            y[l] += s * token.r[j];
            next_sa[l] += s * next_a[j];
        }
    }
    Head result;
    for (int64_t l = 0; l < VECS; l++) {
        result.vec(l) = y[l];
        sa.vec(l) = next_sa[l];
    }
    return result;
}

// The state after a token, again, from the one before it.
inline void replay_step(const Rows& before, Rows& after, const Token& token, const Head& sa) {
    for (int64_t i = 0; i < N; i++)
        for (int64_t l = 0; l < VECS; l++)
            after.row[i].vec(l) =
                before.row[i].vec(l) * token.decay.vec(l) + token.b.vec(l) * sa[i] + token.k.vec(l) * token.v[i];
}

// One token backward. `d` is the gradient of the state after the token, and becomes that of the state before it.
inline Gradients backward_step(const Rows& before, const Rows& after, Rows& d, const Token& token, const Head& sa,
                               const Head& dy) {
    Vec dr[VECS] = {}, ddecay[VECS] = {}, dk[VECS] = {}, da[VECS] = {}, db[VECS] = {};
    Gradients gradients;
    for (int64_t i = 0; i < N; i++) {
        Vec row[VECS], dv = {}, dsa_lanes = {};
        for (int64_t l = 0; l < VECS; l++) {
            row[l] = d.row[i].vec(l) + token.r.vec(l) * dy[i];
            dr[l] += after.row[i].vec(l) * dy[i];
            ddecay[l] += row[l] * before.row[i].vec(l);
            dk[l] += row[l] * token.v[i];
            db[l] += row[l] * sa[i];
            dv += row[l] * token.k.vec(l);
            dsa_lanes += row[l] * token.b.vec(l);
        }
        gradients.v[i] = sum(dv);
        const float dsa = sum(dsa_lanes);
        for (int64_t l = 0; l < VECS; l++) {
            da[l] += before.row[i].vec(l) * dsa;
            d.row[i].vec(l) = row[l] * token.decay.vec(l) + token.a.vec(l) * dsa;
        }
    }
    for (int64_t l = 0; l < VECS; l++) {
        gradients.r.vec(l) = dr[l];
        gradients.decay.vec(l) = ddecay[l];
        gradients.k.vec(l) = dk[l];
        gradients.a.vec(l) = da[l];
        gradients.b.vec(l) = db[l];
    }
    return gradients;
}
