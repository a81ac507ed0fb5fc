#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/api/module.h>

#include <array>
#include <string>
#include <vector>

#include "base/batch.hpp"
#include "program/arguments.hpp"
#include "program/outputs.hpp"
#include "program/program.hpp"

namespace incite {

/// Turns a frozen module's `forward` (`original` is the module before freezing, whose parameters have names) into
/// straight-line code by interpreting it on two batches that differ in batch size alone: branches are decided, constant
/// loops unrolled, what is the same in both runs and does not come from the input's content becomes a constant,
/// in-place writes become operations that return new tensors. See design §3.
///
/// `arguments` says what forward is given, `output` which tensor of what it returns is the program's output: what only
/// others need is dropped. `file` starts every message. Throws Error (unsupported) where that is not possible; lets
/// exceptions of operations through.
Program specialise(const torch::jit::Module& original, const torch::jit::Module& frozen,
                   const std::array<Batch, 2>& batches, const std::vector<Argument>& arguments, const ItemPath& output,
                   const std::string& file);

}  // namespace incite
