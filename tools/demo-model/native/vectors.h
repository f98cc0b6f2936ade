// What the kernels share: heads of 64 channels, numbers as float32 or bfloat16 in memory and as float32 in registers.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <type_traits>
#include <vector>

// Channels of a head.
constexpr int64_t N = 64;

// Sixteen floats: one register of AVX-512; compilers split it where registers are shorter.
typedef float Vec __attribute__((vector_size(64), may_alias));
constexpr int64_t LANES = 16, VECS = N / LANES;

inline float sum(Vec v) {
    typedef float Half __attribute__((vector_size(32)));
    typedef float Quarter __attribute__((vector_size(16)));
    const Half h = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
    const Quarter q = __builtin_shufflevector(h, h, 0, 1, 2, 3) + __builtin_shufflevector(h, h, 4, 5, 6, 7);
    return (q[0] + q[2]) + (q[1] + q[3]);
}

// One number for each channel of a head.
struct alignas(64) Head {
    float x[N];
    float& operator[](int64_t i) { return x[i]; }
    float operator[](int64_t i) const { return x[i]; }
    Vec& vec(int64_t i) { return reinterpret_cast<Vec*>(x)[i]; }
    const Vec& vec(int64_t i) const { return reinterpret_cast<const Vec*>(x)[i]; }
};

// Conversions as arithmetic, which compilers turn into vectors; PyTorch's own look for NaN first.
inline float widened(float x) { return x; }
inline float widened(at::BFloat16 x) { return std::bit_cast<float>(static_cast<uint32_t>(x.x) << 16); }

template <typename T>
T narrowed(float x) {
    if constexpr (std::is_same_v<T, float>) {
        return x;
    } else {
        const uint32_t bits = std::bit_cast<uint32_t>(x);
        return T(static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16), T::from_bits());
    }
}

template <typename T>
Head load_head(const T* from) {
    Head head;
    for (int64_t i = 0; i < N; i++) head[i] = widened(from[i]);
    return head;
}

template <typename T>
void store_head(const Head& head, T* to) {
    for (int64_t i = 0; i < N; i++) to[i] = narrowed<T>(head[i]);
}

inline void accumulate(float* to, const Head& head) {
    for (int64_t i = 0; i < N; i++) to[i] += head[i];
}

inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
