#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "incite/progress.hpp"
#include "slicing/head.hpp"
#include "slicing/tail.hpp"
#include "store/files.hpp"
#include "subject/subject.hpp"
#include "verbs/decompose/plan.hpp"

namespace incite {

/// What modules are made with.
struct Workshop {
  const Plan& plan;
  const Subject& subject;
  StagedFiles& files;  ///< checkpoints are put there
  const Progress& progress;
  at::Tensor original;  ///< classification: the original's probabilities for the first of `train`, [n, outputs] float32
  int64_t memory = 0;   ///< bytes that making one module may take
  int64_t workers = 1;  ///< modules that are made at a time
};
Workshop workshop(const Plan& plan, const Subject& subject, StagedFiles& files, const Progress& progress);

// One module. Functions may run on several threads, for different modules.

/// A module without calibration, and how far the bare slice differed from the masked original.
struct MadeModule {
  Program program;
  double slice_difference = 0;
};

/// Makes the module that keeps `keep`: cut, checked, repaired, with a head of its own; or reads it from its checkpoint,
/// which it leaves otherwise. `empty_head`: the head's weights are 0, since all heads are fitted together later. Throws
/// Error (internal) where the slice differs from the masked original.
MadeModule make_module(const Workshop& workshop, int64_t output, const Selection& keep, bool empty_head);

/// What a module says of the validation samples: see module_scores.
at::Tensor validation_scores(const Workshop& workshop, int64_t output, const Program& module);

/// The layer whose place a module's head takes.
const Layer& head_layer(const Subject& subject);

/// What a module's head reads for some samples: [samples, features] float32. The body is run once.
at::Tensor head_features(const Workshop& workshop, const Program& module, const at::Tensor& samples);
/// The same, computed from what the module's tail reads.
at::Tensor head_features(const Workshop& workshop, const Program& module, const TailData& tail);

/// A head for classification that is fitted to few samples, since all heads are fitted together afterwards. `features`:
/// what it reads for `samples`, of which the last ones, `validating`, choose the penalty.
Head first_head(const Workshop& workshop, int64_t output, const at::Tensor& features, const at::Tensor& samples,
                int64_t validating);

/// The last hidden layers and the head of a module, where they can be run alone.
std::optional<Tail> tail_of(const Workshop& workshop, const Program& module);
/// What a tail reads for some samples.
TailInputs tail_inputs(const Workshop& workshop, const Program& module, const Tail& tail, const at::Tensor& samples);

/// Throws Error (internal) where the file, read back, can't be loaded or is another function than the module.
void check_file(const Subject& subject, const std::filesystem::path& file, const Program& module);

}  // namespace incite
