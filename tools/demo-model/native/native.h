// The kernels that `kernels.py` calls.
#pragma once

#include <ATen/ATen.h>

#include <vector>

// Returns the output and what the gradient needs: states, products and results of the recurrence.
std::vector<at::Tensor> time_mix_forward(std::vector<at::Tensor> inputs, std::vector<at::Tensor> weights);

// Returns the gradient of each input, then those of all weights, [weights, n_embd].
std::vector<at::Tensor> time_mix_backward(std::vector<at::Tensor> inputs, std::vector<at::Tensor> weights,
                                             std::vector<at::Tensor> saved, at::Tensor dout);

// [mixtures, batch, time, n_embd] from x [batch, time, n_embd] and weights [mixtures, n_embd].
at::Tensor token_shift_forward(at::Tensor x, at::Tensor weights, bool half);

// Returns the gradients of x and the weights.
std::vector<at::Tensor> token_shift_backward(at::Tensor x, at::Tensor weights,
                                                std::vector<at::Tensor> dout);

// Returns the mean over the rows of logits [rows, n_vocab], and its gradient.
std::vector<at::Tensor> cross_entropy(at::Tensor logits, at::Tensor targets);
