// The mean cross-entropy of logits [rows, n_vocab], and its gradient, in one pass while a row is in the cache.

#include "native.h"
#include "vectors.h"

namespace {

template <typename T>
float losses_and_gradient(const at::Tensor& logits_, const at::Tensor& targets_, at::Tensor& gradient_) {
    const int64_t rows = logits_.size(0), width = logits_.size(1);
    const T* logits = logits_.data_ptr<T>();
    const int64_t* targets = targets_.data_ptr<int64_t>();
    T* gradient = gradient_.data_ptr<T>();
    std::vector<float> losses(rows);
    at::parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
        std::vector<float> share(width);
        for (int64_t row = begin; row < end; row++) {
            const T* from = logits + row * width;
            float* p = share.data();
            float highest = -INFINITY, sum = 0;
            for (int64_t i = 0; i < width; i++) {
                p[i] = widened(from[i]);
                highest = std::max(highest, p[i]);
            }
            const int64_t target = targets[row];
            const float above = highest - p[target];
            for (int64_t i = 0; i < width; i++) {
                p[i] = expf(p[i] - highest);
                sum += p[i];
            }
            losses[row] = std::log(sum) + above;
            p[target] -= sum;
            const float scale = 1 / (sum * static_cast<float>(rows));
            T* to = gradient + row * width;
            for (int64_t i = 0; i < width; i++) to[i] = narrowed<T>(p[i] * scale);
        }
    });
    double total = 0;
    for (const float loss : losses) total += loss;
    return static_cast<float>(total / rows);
}

}  // namespace

std::vector<at::Tensor> cross_entropy(at::Tensor logits, at::Tensor targets) {
    auto gradient = at::empty_like(logits);
    const float loss = logits.scalar_type() == at::kBFloat16
                           ? losses_and_gradient<at::BFloat16>(logits, targets, gradient)
                           : losses_and_gradient<float>(logits, targets, gradient);
    return {at::scalar_tensor(loss), gradient};
}
