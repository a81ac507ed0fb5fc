#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>

#include "incite/decompose.hpp"
#include "incite/evaluation/evaluate.hpp"
#include "incite/program/program.hpp"
#include "incite/slicing/calibration.hpp"
#include "incite/slicing/head.hpp"
#include "incite/slicing/tail.hpp"
#include "incite/units/unit_map.hpp"

namespace incite {

/// What the modules of a decomposition are made from.
struct ModuleSource {
  const Program& program;
  const UnitMap& map;
  OutputKind kind;
  Task task;
  const TestSet& fit;     ///< the truth about the data; its samples are those that modules may be fitted to
  at::Tensor train;       ///< of those samples, the ones that weights are fitted to
  at::Tensor validation;  ///< and the ones that choices are made by; there may be none
  at::Tensor original;  ///< classification: the original's probabilities for the first of `train`, [n, outputs] float32
  int64_t memory;       ///< bytes that making one module may take
  int64_t parameters;   ///< of the original's file; `program` may have more, see with_two_columns
};

/// Makes one module after another, or several at a time: it has no state of its own.
class ModuleMaker {
 public:
  ModuleMaker(const DecomposeOptions& options, const ModuleSource& source) : options_(options), source_(source) {}

  /// The bare slice, compared with the masked original. Throws Error (internal) where they differ.
  Program checked_slice(int64_t output, const Selection& keep, double& difference) const;

  /// The module: `body`, the bare slice, repaired, and with a head of its own. `empty_head`: the head's weights are 0;
  /// first_head and a fit of all heads together give it others.
  Program make(int64_t output, const Selection& keep, Program body, bool empty_head) const;

  /// A head for classification, which is fitted once more, together with the others, so that fewer samples will do.
  /// `features`: what it reads for `samples`, of which the last ones, `validating`, choose the penalty.
  Head first_head(int64_t output, const at::Tensor& features, const at::Tensor& samples, int64_t validating) const;

  /// What a module says of the validation samples: see module_scores.
  at::Tensor validation_scores(int64_t output, const Program& module) const;

  /// By what the head is found in a module that was written and read again.
  HeadNames head_names() const;

  /// What a module's head reads for some samples: [samples, features] float32. The body is run once.
  at::Tensor head_features(const Program& module, const at::Tensor& samples) const;

  /// The last hidden layers and the head of a module, if they can be run by themselves.
  std::optional<Tail> tail(const Program& module) const;

  /// The same, and what it reads for some samples.
  std::optional<TailData> tail(const Program& module, const at::Tensor& samples) const;
  TailInputs tail_inputs(const Program& module, const Tail& tail, const at::Tensor& samples) const;

  /// What a module's head reads, by what its tail does.
  at::Tensor head_features(const Program& module, const TailData& tail) const;

  /// Throws Error (internal) where the file, read back, is not the module: it must be loadable, and the same function.
  void check_file(const std::filesystem::path& file, const Program& module) const;

  /// The first samples of the data.
  Batch first_batch() const;

 private:
  void repair_body(Program& body, const Selection& keep, int64_t output) const;
  Head fitted_head(const Program& body, int64_t output) const;
  Program with_head(const Program& body, const Selection& keep, int64_t output, const Head& head) const;
  at::Tensor repair_samples(int64_t output) const;
  NodeId head_node(const Program& module) const;
  at::Tensor head_samples(int64_t features, int64_t& validating) const;
  int64_t most_head_samples(int64_t features) const;

  const DecomposeOptions& options_;
  const ModuleSource& source_;
};

}  // namespace incite
