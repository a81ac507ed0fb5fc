#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "slicing/least_squares.hpp"
#include "slicing/repair.hpp"

namespace incite {

/// What a layer of a module reads and what it should give, on the samples that it is fitted to and on those that choose
/// its ridge.
struct Fit {
  Moments train, validation;
};

/// Weights that bring what a layer gives nearest to what it should give, from `start`: [features, channels] float64,
/// the biases last where there are any. nullopt where none are nearer than these. Adds up the moments of `fit`.
std::optional<at::Tensor> refitted(Fit& fit, const at::Tensor& start, bool has_bias, const RepairParams& params);

}  // namespace incite
