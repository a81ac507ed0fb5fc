#pragma once

#include <ATen/core/ivalue.h>
#include <torch/csrc/jit/api/module.h>

#include <optional>
#include <string>
#include <vector>

#include "base/batch.hpp"

namespace incite {

/// An argument of forward: one of the inputs, or its default.
struct Argument {
  std::string name;
  std::optional<size_t> input;
  c10::IValue otherwise;
};

/// The arguments of a module's forward, `self` left out, when it is given `inputs` tensors: they go to the arguments
/// that take a tensor, in order. `file` starts every message. Throws Error: data_mismatch when forward takes another
/// number of tensors, unsupported when it needs something that is no tensor.
std::vector<Argument> arguments_of(const torch::jit::Module& module, size_t inputs, const std::string& file);

/// The values of the arguments for one batch.
std::vector<c10::IValue> values_of(const std::vector<Argument>& arguments, const Batch& batch);

}  // namespace incite
