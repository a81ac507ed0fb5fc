#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "incite/options.hpp"
#include "units/unit_map.hpp"

namespace incite {

/// The way from a model's head to its output.
///
/// Logits may be rectified and averaged over positions, in either order (SqueezeNet): users read their arg max and
/// their softmax as those of any other logits. Averaging is global where it leaves the samples' axis, 0, and the
/// channels' alone, and reads the head's output or a relu of it.
struct OutputPath {
  OutputKind kind = OutputKind::other;  ///< `other` where there is no head
  std::vector<ValueId> relus;           ///< what relus on it make, in order
  bool pooled = false;                  ///< by global average pooling
};
OutputPath output_path(const Program& program, const UnitMap& map);

/// The kind of the model's outputs; `other` where it has no head.
OutputKind output_kind(const Program& program, const UnitMap& map);

/// The probabilities of classes that outputs [..., classes] of a kind mean; of kind `other`, the outputs as they are.
at::Tensor probabilities(const at::Tensor& outputs, OutputKind kind);

/// Outputs as logarithms, but for a constant in each row, float64: log_odds reads them in the same way. Probabilities
/// that float32 rounds to 0 still rank above none.
at::Tensor logarithms(const at::Tensor& outputs, OutputKind kind);

/// The log-odds of a probability, by its logarithm, float64; at most 37.
at::Tensor log_odds_alone(const at::Tensor& logarithm);

/// The log-odds of one class against the others: [samples] float64. `outputs` is a module's: [samples, 2], that are
/// [others, class], where it has a head of its own (no `column`); else [samples, classes], of which `column` is the
/// class.
at::Tensor log_odds(const at::Tensor& outputs, OutputKind kind, std::optional<int64_t> column);

}  // namespace incite
