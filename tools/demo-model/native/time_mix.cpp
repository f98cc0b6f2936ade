// RWKV-7's time mix between its matrices: from receptance, key, value and the low-rank maps to the input of `output`.
// `reference.py` has the same in PyTorch, line by line.
//
// Vectors of tokens are [batch, time, n_embd], float32 or bfloat16; weights are float32 [n_embd].

#include "native.h"
#include "recurrence.h"

namespace {

// States are kept at every CHUNK-th token and computed again in between.
constexpr int64_t CHUNK = 16;
constexpr float GROUP_NORM_EPS = 64e-5f;
// exp(-0.5), as training and inference of RWKV-7 have it.
constexpr float FASTEST_DECAY = 0.606531f;

enum Input { R, W, K, V, A, G, VALUE_MIX, FIRST_VALUE, INPUTS };
enum Weight { W0, A0, K_K, K_A, R_K, LN_WEIGHT, LN_BIAS, V0, WEIGHTS };

// One head of one sequence.
template <typename T>
struct Place {
    const T* inputs[INPUTS];
    const float* weights[WEIGHTS];
    bool mixes;

    Head input(Input which, int64_t offset) const { return load_head(inputs[which] + offset); }
};

// A token's vectors between the inputs and the recurrence.
struct Prepared {
    Token token;
    Head raw_k, w_gate, rate, mix, mix_step, removal;
    float removal_norm;
};

template <typename T>
Prepared prepare(const Place<T>& place, int64_t offset) {
    Prepared p;
    Token& token = p.token;
    const Head w = place.input(W, offset), a = place.input(A, offset);
    token.r = place.input(R, offset);
    token.v = place.input(V, offset);
    p.raw_k = place.input(K, offset);
    const float *w0 = place.weights[W0], *a0 = place.weights[A0], *k_k = place.weights[K_K], *k_a = place.weights[K_A];
    float square = 0;
    for (int64_t i = 0; i < N; i++) {
        p.w_gate[i] = sigmoid(w0[i] + w[i]);
        token.decay[i] = expf(-FASTEST_DECAY * p.w_gate[i]);
        p.rate[i] = sigmoid(a0[i] + a[i]);
        p.removal[i] = p.raw_k[i] * k_k[i];
        square += p.removal[i] * p.removal[i];
        token.k[i] = p.raw_k[i] * (1 + (p.rate[i] - 1) * k_a[i]);
    }
    p.removal_norm = std::max(std::sqrt(square), 1e-12f);
    for (int64_t i = 0; i < N; i++) {
        p.removal[i] /= p.removal_norm;
        token.a[i] = -p.removal[i];
        token.b[i] = p.removal[i] * p.rate[i];
    }
    if (place.mixes) {
        const Head mix = place.input(VALUE_MIX, offset), first = place.input(FIRST_VALUE, offset);
        const float* v0 = place.weights[V0];
        for (int64_t i = 0; i < N; i++) {
            p.mix[i] = sigmoid(v0[i] + mix[i]);
            p.mix_step[i] = first[i] - token.v[i];
            token.v[i] += p.mix_step[i] * p.mix[i];
        }
    }
    return p;
}

// What the recurrence gave, normalized over the head, and how much of the value is added to it.
struct Normalized {
    Head y;
    float inverse_deviation, bonus;
};

Normalized normalize(const Head& y, const Token& token, const float* r_k) {
    float mean = 0, square = 0, bonus = 0;
    for (int64_t i = 0; i < N; i++) {
        mean += y[i];
        bonus += token.r[i] * token.k[i] * r_k[i];
    }
    mean /= N;
    Normalized n;
    for (int64_t i = 0; i < N; i++) {
        n.y[i] = y[i] - mean;
        square += n.y[i] * n.y[i];
    }
    n.inverse_deviation = 1 / std::sqrt(square / N + GROUP_NORM_EPS);
    n.bonus = bonus;
    for (int64_t i = 0; i < N; i++) n.y[i] *= n.inverse_deviation;
    return n;
}

// Where the gradients of one head of one sequence go.
template <typename T>
struct GradientPlace {
    T* inputs[INPUTS];
    float* weights[WEIGHTS];
};

// From the gradient of the output at a token to that of y; stores the gate's and the norm's, and returns in
// `direct` what reaches r, k and v past the recurrence.
template <typename T>
Head backward_output(const Place<T>& place, const GradientPlace<T>& to, int64_t offset, const Head& dout,
                     const Token& token, const Normalized& n, Gradients& direct) {
    const float *ln_weight = place.weights[LN_WEIGHT], *ln_bias = place.weights[LN_BIAS], *r_k = place.weights[R_K];
    const Head g = place.input(G, offset);
    Head dg, dz, dnormal;
    float dbonus = 0, mean = 0, projection = 0;
    for (int64_t i = 0; i < N; i++) {
        dg[i] = dout[i] * (n.y[i] * ln_weight[i] + ln_bias[i] + n.bonus * token.v[i]);
        dz[i] = dout[i] * g[i];
        dnormal[i] = dz[i] * ln_weight[i];
        dbonus += dz[i] * token.v[i];
        mean += dnormal[i] / N;
        projection += dnormal[i] * n.y[i] / N;
    }
    Head dy;
    for (int64_t i = 0; i < N; i++) {
        to.weights[LN_WEIGHT][i] += dz[i] * n.y[i];
        to.weights[LN_BIAS][i] += dz[i];
        to.weights[R_K][i] += dbonus * token.r[i] * token.k[i];
        direct.r[i] = dbonus * token.k[i] * r_k[i];
        direct.k[i] = dbonus * token.r[i] * r_k[i];
        direct.v[i] = dz[i] * n.bonus;
        dy[i] = n.inverse_deviation * (dnormal[i] - mean - n.y[i] * projection);
    }
    store_head(dg, to.inputs[G] + offset);
    return dy;
}

// From the gradients of what enters the recurrence to those of the inputs.
template <typename T>
void backward_prepare(const Place<T>& place, const GradientPlace<T>& to, int64_t offset, const Prepared& p,
                      const Gradients& g) {
    const float *k_k = place.weights[K_K], *k_a = place.weights[K_A];
    Head dremoval, dw, da, dk, dv = g.v, dk_k, dk_a;
    float along = 0;
    for (int64_t i = 0; i < N; i++) {
        dremoval[i] = g.b[i] * p.rate[i] - g.a[i];
        along += dremoval[i] * p.removal[i];
    }
    for (int64_t i = 0; i < N; i++) {
        const float drate = g.b[i] * p.removal[i] + g.k[i] * p.raw_k[i] * k_a[i];
        const float dscaled = (dremoval[i] - p.removal[i] * along) / p.removal_norm;
        dw[i] = -FASTEST_DECAY * g.decay[i] * p.token.decay[i] * p.w_gate[i] * (1 - p.w_gate[i]);
        da[i] = drate * p.rate[i] * (1 - p.rate[i]);
        dk[i] = g.k[i] * (1 + (p.rate[i] - 1) * k_a[i]) + dscaled * k_k[i];
        dk_a[i] = g.k[i] * p.raw_k[i] * (p.rate[i] - 1);
        dk_k[i] = dscaled * p.raw_k[i];
    }
    if (place.mixes) {
        Head dfirst, dmix;
        for (int64_t i = 0; i < N; i++) {
            dfirst[i] = g.v[i] * p.mix[i];
            dmix[i] = dfirst[i] * p.mix_step[i] * (1 - p.mix[i]);
            dv[i] -= dfirst[i];
        }
        accumulate(to.weights[V0], dmix);
        store_head(dmix, to.inputs[VALUE_MIX] + offset);
        store_head(dfirst, to.inputs[FIRST_VALUE] + offset);
    }
    accumulate(to.weights[W0], dw);
    accumulate(to.weights[A0], da);
    accumulate(to.weights[K_K], dk_k);
    accumulate(to.weights[K_A], dk_a);
    store_head(g.r, to.inputs[R] + offset);
    store_head(dw, to.inputs[W] + offset);
    store_head(dk, to.inputs[K] + offset);
    store_head(dv, to.inputs[V] + offset);
    store_head(da, to.inputs[A] + offset);
}

template <typename T>
struct Call {
    int64_t batch, time, width, heads, chunks;
    std::vector<const T*> inputs;
    std::vector<const float*> weights;

    Call(const std::vector<at::Tensor>& in, const std::vector<at::Tensor>& w)
        : batch(in[R].size(0)), time(in[R].size(1)), width(in[R].size(2)), heads(width / N), chunks(time / CHUNK) {
        TORCH_CHECK(width % N == 0 && time % CHUNK == 0, "n_embd must be a multiple of 64, the time one of 16");
        // The first layer has no value to mix in.
        TORCH_CHECK((in.size() == INPUTS && w.size() == WEIGHTS) || (in.size() == G + 1 && w.size() == LN_BIAS + 1),
                    "wrong number of inputs or weights");
        for (const auto& x : in) {
            TORCH_CHECK(x.is_contiguous() && x.sizes() == in[R].sizes(), "inputs must be contiguous and of one shape");
            inputs.push_back(x.data_ptr<T>());
        }
        for (const auto& x : w) {
            TORCH_CHECK(x.is_contiguous() && x.numel() == width, "weights must be contiguous, n_embd long");
            weights.push_back(x.data_ptr<float>());
        }
    }

    // The offset of a token's channels of a head, within [batch, time, n_embd].
    int64_t offset(int64_t index, int64_t t) const { return ((index / heads) * time + t) * width + index % heads * N; }

    Place<T> place(int64_t index) const {
        Place<T> place{};
        std::copy(inputs.begin(), inputs.end(), place.inputs);
        for (size_t i = 0; i < weights.size(); i++) place.weights[i] = weights[i] + index % heads * N;
        place.mixes = inputs.size() == INPUTS;
        return place;
    }
};

template <typename T>
std::vector<at::Tensor> forward(const std::vector<at::Tensor>& inputs, const std::vector<at::Tensor>& weights) {
    const Call<T> call(inputs, weights);
    const auto floats = inputs[R].options().dtype(at::kFloat);
    auto out = at::empty_like(inputs[R]);
    auto states = at::empty({call.batch * call.heads, call.chunks, N, N}, floats);
    auto products = at::empty(inputs[R].sizes(), floats), recurred = at::empty_like(products);
    T* to = out.data_ptr<T>();
    at::parallel_for(0, call.batch * call.heads, 1, [&](int64_t begin, int64_t end) {
        for (int64_t index = begin; index < end; index++) {
            const auto place = call.place(index);
            Columns state{};
            Head sa{};
            Prepared current = prepare(place, call.offset(index, 0));
            for (int64_t t = 0; t < call.time; t++) {
                const int64_t offset = call.offset(index, t);
                if (t % CHUNK == 0) {
                    const Rows rows = transposed(state);
                    std::copy_n(rows.row[0].x, N * N, states[index][t / CHUNK].template data_ptr<float>());
                }
                const Prepared next = prepare(place, call.offset(index, std::min(t + 1, call.time - 1)));
                store_head(sa, products.data_ptr<float>() + offset);
                const Head y = forward_step(state, current.token, sa, next.token.a);
                store_head(y, recurred.data_ptr<float>() + offset);
                const Normalized n = normalize(y, current.token, place.weights[R_K]);
                Head z = place.input(G, offset);
                for (int64_t i = 0; i < N; i++)
                    z[i] *= n.y[i] * place.weights[LN_WEIGHT][i] + place.weights[LN_BIAS][i] +
                            n.bonus * current.token.v[i];
                store_head(z, to + offset);
                current = next;
            }
        }
    });
    return {out, states, products, recurred};
}

template <typename T>
std::vector<at::Tensor> backward(const std::vector<at::Tensor>& inputs, const std::vector<at::Tensor>& weights,
                                    const std::vector<at::Tensor>& saved, const at::Tensor& dout) {
    const Call<T> call(inputs, weights);
    const float *states = saved[0].data_ptr<float>(), *products = saved[1].data_ptr<float>(),
                *recurred = saved[2].data_ptr<float>();
    std::vector<at::Tensor> dinputs;
    for (const auto& x : inputs) dinputs.push_back(at::empty_like(x));
    // Each sequence adds up its own.
    const auto n_weights = static_cast<int64_t>(weights.size());
    auto dweights = at::zeros({n_weights, call.batch, call.width}, weights[0].options());
    float* dweight = dweights.template data_ptr<float>();
    at::parallel_for(0, call.batch * call.heads, 1, [&](int64_t begin, int64_t end) {
        std::vector<Rows> replayed(CHUNK + 1);
        std::vector<Prepared> prepared(CHUNK);
        for (int64_t index = begin; index < end; index++) {
            const auto place = call.place(index);
            GradientPlace<T> to{};
            for (size_t i = 0; i < dinputs.size(); i++) to.inputs[i] = dinputs[i].template data_ptr<T>();
            for (int64_t i = 0; i < n_weights; i++)
                to.weights[i] = dweight + (i * call.batch + index / call.heads) * call.width + index % call.heads * N;
            Rows d{};
            for (int64_t chunk = call.chunks - 1; chunk >= 0; chunk--) {
                std::copy_n(states + (index * call.chunks + chunk) * N * N, N * N, replayed[0].row[0].x);
                for (int64_t t = 0; t < CHUNK; t++) {
                    const int64_t offset = call.offset(index, chunk * CHUNK + t);
                    prepared[t] = prepare(place, offset);
                    replay_step(replayed[t], replayed[t + 1], prepared[t].token, load_head(products + offset));
                }
                for (int64_t t = CHUNK - 1; t >= 0; t--) {
                    const int64_t offset = call.offset(index, chunk * CHUNK + t);
                    const Token& token = prepared[t].token;
                    const Normalized n = normalize(load_head(recurred + offset), token, place.weights[R_K]);
                    Gradients direct;
                    const Head dz = load_head(dout.data_ptr<T>() + offset);
                    const Head dy = backward_output(place, to, offset, dz, token, n, direct);
                    const Head sa = load_head(products + offset);
                    Gradients g = backward_step(replayed[t], replayed[t + 1], d, token, sa, dy);
                    accumulate(g.r.x, direct.r);
                    accumulate(g.k.x, direct.k);
                    accumulate(g.v.x, direct.v);
                    backward_prepare(place, to, offset, prepared[t], g);
                }
            }
        }
    });
    dinputs.push_back(dweights.sum(1));
    return dinputs;
}

}  // namespace

std::vector<at::Tensor> time_mix_forward(std::vector<at::Tensor> inputs, std::vector<at::Tensor> weights) {
    return inputs[R].scalar_type() == at::kBFloat16 ? forward<at::BFloat16>(inputs, weights)
                                                       : forward<float>(inputs, weights);
}

std::vector<at::Tensor> time_mix_backward(std::vector<at::Tensor> inputs, std::vector<at::Tensor> weights,
                                             std::vector<at::Tensor> saved, at::Tensor dout) {
    return inputs[R].scalar_type() == at::kBFloat16 ? backward<at::BFloat16>(inputs, weights, saved, dout)
                                                       : backward<float>(inputs, weights, saved, dout);
}
