#pragma once

#include <ATen/core/ivalue.h>

#include <functional>
#include <optional>
#include <string_view>

#include "program/program.hpp"

namespace incite {

/// The arguments of a convolution. Input, weight and bias are inputs 0, 1 and 2 of each of its operators.
///
/// A plain one's weight is [outputs, inputs / groups, ...], a transposed one's [inputs, outputs / groups, ...].
struct Convolution {
  bool general = false;     ///< its operator has an argument that says whether it is transposed
  bool transposed = false;  ///< false where that is not known
  size_t groups_input = 6;  ///< which of the node's inputs counts the groups
  /// None where the value is not known. Padding may be a word ("same").
  c10::IValue stride, padding, dilation, groups;
};

/// Whether an operator is a convolution.
bool is_convolution(std::string_view op);

/// The arguments of a node; nullopt where it is no convolution. `value` gives what an input of the node is.
std::optional<Convolution> convolution_of(const Node& node,
                                          const std::function<const c10::IValue&(size_t input)>& value);

/// The same, with what the program's constants say.
std::optional<Convolution> convolution_of(const Program& program, const Node& node);

/// Whether a node is a convolution that computes at each position from that position alone, all channels from all.
/// aten::convolution, which none of PyTorch's layers calls, is not taken.
bool is_pointwise(const Program& program, const Node& node);

}  // namespace incite
