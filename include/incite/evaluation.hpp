#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "incite/decomposition.hpp"
#include "incite/measures.hpp"

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

/// What evaluating a file by itself gave.
struct ModelEvaluation {
  SourceFile model;
  SourceFile data;
  int64_t outputs = 0;
  OutputKind kind = OutputKind::logits;
  Task task = Task::classification;
  bool one_column = false;  ///< the file has one output, taken as those of two classes
  int64_t samples = 0;      ///< that `measures` are of
  ModelMeasures measures;
  Cost cost;
  std::optional<Latency> latency;     ///< unset: not measured
  std::vector<std::string> warnings;  ///< sentences

  /// Which output of its original each output is for, in the order of `measures`; empty: they are a model's own.
  std::vector<int64_t> labels;
  std::vector<std::string> names;  ///< of a composition's columns
  /// A module: the file answers yes or no for its one label. `measures` are of that question: of a classifier they have
  /// the one class, and the confusion of [others, class].
  bool is_module = false;
  int64_t all_samples = 0;  ///< in the data; those that are not in `samples` are of classes without a column
  /// Classification by a composition or a module: each label by itself, its log-odds above 0, on all samples.
  std::vector<ClassMeasures> alone;
};

}  // namespace incite
