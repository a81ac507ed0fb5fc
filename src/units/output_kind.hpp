#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "incite/options.hpp"
#include "incite/output_set.hpp"
#include "units/unit_map.hpp"

namespace incite {

/// Whether an operation resamples each channel to other positions, and is linear.
bool is_resampling(const std::string& op);

/// The way from a model's head to its output.
///
/// Logits may be rectified and averaged over positions, in either order (SqueezeNet): users read their arg max and
/// their softmax as those of any other logits. So may they be resampled, as in segmentation. Averaging is global where
/// it leaves the samples' axis, 0, and the channels' alone, and reads the head's output or a relu of it.
struct OutputPath {
  OutputKind kind = OutputKind::other;  ///< `other` where there is no head
  std::vector<ValueId> relus;           ///< what relus on it make, in order
  bool pooled = false;                  ///< by global average pooling
  /// What resampling to other positions makes, in order: linear, and each channel by itself.
  std::vector<ValueId> resampled;
};
OutputPath output_path(const Program& program, const UnitMap& map);

/// The kind of the model's outputs; `other` where it has no head.
OutputKind output_kind(const Program& program, const UnitMap& map);

/// The kind of a model's outputs once its task is known: the logits of a multilabel model are those of labels.
OutputKind kind_for(Task task, OutputKind kind);

/// The probabilities of classes that outputs [..., classes] of a kind mean; of kind `other`, the outputs as they are.
at::Tensor probabilities(const at::Tensor& outputs, OutputKind kind);

/// Outputs as logarithms, but for a constant in each row, float64: log_odds reads them in the same way. Probabilities
/// that float32 rounds to 0 still rank above none.
at::Tensor logarithms(const at::Tensor& outputs, OutputKind kind);

/// The log-odds of a probability, by its logarithm, float64; at most 37.
at::Tensor log_odds_alone(const at::Tensor& logarithm);

/// The log-odds of each label, from outputs of a multilabel model, of kind sigmoid or label_logits: float64.
at::Tensor label_log_odds(const at::Tensor& outputs, OutputKind kind);

/// A factor: how far apart the rows of a fitted head for others and a class are for log-odds of 1. The two sigmoids of
/// a set of one, p and 1 - p, are twice as far apart as the rows of a softmax.
double row_distance(OutputKind kind, const OutputSet& set);

/// The log-odds of each class of a set against the classes that are not in it: [samples, set] float64. `outputs` are a
/// module's: of a fitted head, [others, classes of the set], else of all classes. A set without others has the log-odds
/// of each label, or, of all classes, logits, which are known but for a constant in each row.
at::Tensor log_odds(const at::Tensor& outputs, OutputKind kind, const OutputSet& set, bool own_head);

}  // namespace incite
