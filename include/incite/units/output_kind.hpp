#pragma once

#include <ATen/core/Tensor.h>

#include "incite/units/unit_map.hpp"

namespace incite {

/// What a model's outputs are, told from what stands between its last layer and its output.
enum class OutputKind {
  logits,             ///< nothing but layout
  probabilities,      ///< softmax
  log_probabilities,  ///< log_softmax
  sigmoid,            ///< one probability for each output
  other,              ///< anything else
};
const char* to_string(OutputKind kind);

/// The kind of the model's outputs; `other` where it has no head.
OutputKind output_kind(const Program& program, const UnitMap& map);

/// The probabilities of classes that outputs [..., classes] of a kind mean; of kind `other`, the outputs as they are.
at::Tensor probabilities(const at::Tensor& outputs, OutputKind kind);

/// The log-odds of one class against the others: `outputs` is [samples, 2], that are others and class, or [samples,
/// classes], of which `column` is the class. [samples] float64
at::Tensor log_odds(const at::Tensor& outputs, OutputKind kind, int64_t column);

}  // namespace incite
