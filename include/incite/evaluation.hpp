#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "incite/decomposition.hpp"
#include "incite/measures.hpp"

namespace incite {

/// Latency of the original and of a decomposition's modules.
struct LatencyResult {
  Latency original;
  std::vector<Latency> modules;
  Latency together;  ///< of all modules, run one after the other
};

/// The result of evaluating a decomposition's modules.
struct ModulesEvaluation {
  /// As read from its document, with costs measured anew: the original's, and each module's bytes and multiply-adds.
  Decomposition decomposition;
  SourceFile data;
  Evaluation evaluation;
  std::optional<LatencyResult> latency;  ///< unset: not measured
  std::vector<std::string> warnings;     ///< sentences
};

/// The result of evaluating a file by itself.
struct ModelEvaluation {
  SourceFile model;
  SourceFile data;
  int64_t outputs = 0;
  OutputKind kind = OutputKind::logits;
  Task task = Task::classification;
  bool one_column = false;  ///< the file has one output, treated as two classes
  int64_t samples = 0;      ///< on which `measures` were taken; points, if there are positions
  int64_t positions = 0;    ///< of each sample, of outputs that have positions; 0: they have none
  ModelMeasures measures;
  Cost cost;
  std::optional<Latency> latency;     ///< unset: not measured
  std::vector<std::string> warnings;  ///< sentences

  /// For each output, in the order of `measures`, its number in the original; empty: the file is a model.
  std::vector<int64_t> labels;
  std::vector<std::string> names;  ///< of a composition's columns, or of a module's outputs
  /// The file is a module, or a composition of one column. For one class, `measures` have that class alone, and the
  /// confusion of [others, class]; for a set, they are of the samples of its classes.
  bool is_module = false;
  int64_t all_samples = 0;  ///< in the data; those beyond `samples` are of classes without a column
  /// Classification by a composition or a module, on all samples: each label by itself, yes if its log-odds are above 0
  /// and, in a module for a set, the largest.
  std::vector<ClassMeasures> alone;
};

}  // namespace incite
