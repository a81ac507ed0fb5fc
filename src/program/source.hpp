#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <string>

namespace incite {

/// Where a node stands in the user's code, "net.py:31": the innermost line that is not PyTorch's own, where there is
/// one.
std::string source_of(const torch::jit::Node* node);
std::string source_of(const torch::jit::SourceRange& range);

}  // namespace incite
