// Several mixtures of each token with the one before it: x + (previous - x) * weight.

#include "native.h"
#include "vectors.h"

namespace {

template <typename T>
void forward(const at::Tensor& x_, const at::Tensor& weights_, at::Tensor& out_) {
    const int64_t time = x_.size(1), width = x_.size(2), rows = x_.size(0) * time, mixtures = weights_.size(0);
    const float *x = x_.data_ptr<float>(), *weights = weights_.data_ptr<float>();
    T* out = out_.data_ptr<T>();
    const std::vector<float> nothing(width, 0.0f);
    at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
        for (int64_t row = begin; row < end; row++) {
            const float *now = x + row * width, *previous = row % time == 0 ? nothing.data() : now - width;
            for (int64_t m = 0; m < mixtures; m++) {
                const float* weight = weights + m * width;
                T* to = out + (m * rows + row) * width;
                for (int64_t i = 0; i < width; i++)
                    to[i] = narrowed<T>(now[i] + (previous[i] - now[i]) * weight[i]);
            }
        }
    });
}

template <typename T>
void backward(const at::Tensor& x_, const at::Tensor& weights_, const std::vector<at::Tensor>& dout,
              at::Tensor& dx_, at::Tensor& dweights_) {
    const int64_t batch = x_.size(0), time = x_.size(1), width = x_.size(2), mixtures = weights_.size(0);
    const float *x = x_.data_ptr<float>(), *weights = weights_.data_ptr<float>();
    float *dx = dx_.data_ptr<float>(), *dweights = dweights_.data_ptr<float>();
    const std::vector<float> nothing(width, 0.0f);
    at::parallel_for(0, batch, 1, [&](int64_t begin, int64_t end) {
        // What the token after has passed back to this one.
        std::vector<float> passed(width);
        for (int64_t sequence = begin; sequence < end; sequence++) {
            std::fill(passed.begin(), passed.end(), 0.0f);
            for (int64_t t = time - 1; t >= 0; t--) {
                const int64_t row = (sequence * time + t) * width;
                const float *now = x + row, *previous = t == 0 ? nothing.data() : now - width;
                float *__restrict d = dx + row, *__restrict pass = passed.data();
                std::copy(passed.begin(), passed.end(), d);
                std::fill(passed.begin(), passed.end(), 0.0f);
                for (int64_t m = 0; m < mixtures; m++) {
                    const T* from = dout[m].data_ptr<T>() + row;
                    const float* weight = weights + m * width;
                    float* __restrict dweight = dweights + (sequence * mixtures + m) * width;
#pragma omp simd
                    for (int64_t i = 0; i < width; i++) {
                        const float g = widened(from[i]);
                        d[i] += g * (1 - weight[i]);
                        pass[i] += g * weight[i];
                        dweight[i] += g * (previous[i] - now[i]);
                    }
                }
            }
        }
    });
}

}  // namespace

at::Tensor token_shift_forward(at::Tensor x, at::Tensor weights, bool half) {
    auto out = at::empty({weights.size(0), x.size(0), x.size(1), x.size(2)},
                            x.options().dtype(half ? at::kBFloat16 : at::kFloat));
    half ? forward<at::BFloat16>(x, weights, out) : forward<float>(x, weights, out);
    return out;
}

std::vector<at::Tensor> token_shift_backward(at::Tensor x, at::Tensor weights,
                                                std::vector<at::Tensor> dout) {
    auto dx = at::empty_like(x);
    auto dweights = at::zeros({x.size(0), weights.size(0), weights.size(1)}, weights.options());
    dout[0].scalar_type() == at::kBFloat16 ? backward<at::BFloat16>(x, weights, dout, dx, dweights)
                                              : backward<float>(x, weights, dout, dx, dweights);
    return {dx, dweights.sum(0)};
}
