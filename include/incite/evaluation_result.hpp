#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "incite/decomposition.hpp"
#include "incite/evaluation/evaluate.hpp"
#include "incite/evaluation/latency.hpp"
#include "incite/program/cost.hpp"

namespace incite {

/// Latency of a decomposition's modules beside the original's.
struct LatencyResult {
  Latency original;
  std::vector<Latency> modules;
  Latency together;  ///< of all modules, one after the other
};

/// What evaluating a decomposition's modules gave.
struct ModulesEvaluation {
  /// As read, with the costs found now: the original's, and each module's bytes and multiply-adds.
  Decomposition decomposition;
  SourceFile data;
  Evaluation evaluation;
  std::optional<LatencyResult> latency;  ///< unset: not measured
  std::vector<std::string> warnings;     ///< sentences
};

/// What evaluating a model by itself gave.
struct ModelEvaluation {
  SourceFile model;
  SourceFile data;
  int64_t outputs = 0;
  OutputKind kind = OutputKind::logits;
  Task task = Task::classification;
  int64_t samples = 0;
  ModelMeasures measures;
  Cost cost;
  std::optional<Latency> latency;     ///< unset: not measured
  std::vector<std::string> warnings;  ///< sentences
};

}  // namespace incite
