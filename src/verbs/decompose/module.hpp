#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "incite/progress.hpp"
#include "slicing/head.hpp"
#include "slicing/side_by_side.hpp"
#include "slicing/tail.hpp"
#include "store/files.hpp"
#include "subject/subject.hpp"
#include "verbs/decompose/plan.hpp"

namespace incite {

/// What all functions that make modules need.
struct Workshop {
  const Plan& plan;
  const Subject& subject;
  StagedFiles& files;  ///< for checkpoints and modules
  const Progress& progress;
  at::Tensor original;  ///< the original's probabilities for points of the first training samples, [n, outputs] float32
  int64_t memory = 0;   ///< bytes available to each module while it is made
  int64_t workers = 1;  ///< modules made at the same time
};
Workshop workshop(const Plan& plan, const Subject& subject, StagedFiles& files, const Progress& progress);

// One module. Functions may run on several threads, for different modules.

/// A module before calibration.
struct MadeModule {
  Program program;
  double slice_difference = 0;  ///< relative difference between the bare slice and the masked original
  at::Tensor columns;           ///< of the validation samples (see column_run); undefined: not known yet
};

/// Makes the module that keeps `keep`: sliced, checked, repaired, with its own head. Reads it from its checkpoint if
/// there is one, else writes the checkpoint. `empty_head`: the head's weights are 0, since all heads are fitted
/// together later. Throws Error (internal) if the slice differs from the masked original.
MadeModule make_module(const Workshop& workshop, const OutputSet& set, const Selection& keep, bool empty_head);

/// The same module again, from its checkpoint, or else made again.
Program made_before(const Workshop& workshop, const OutputSet& set, const Selection& keep, bool empty_head);

/// The values or labels of the modules' outputs for points of the validation samples: [points, columns] float64.
at::Tensor validation_values(const Subject& subject);

/// The layer that a module's head replaces.
const Layer& head_layer(const Subject& subject);

/// The original's probabilities for points of the first `count` training samples: [points, outputs] float32.
at::Tensor original_probabilities(const Workshop& workshop, int64_t count);

/// The inputs of a module's head for points of some samples, from one run of its body: [points, features] float32.
at::Tensor head_features(const Workshop& workshop, const Program& module, const at::Tensor& samples);
/// The same, from the inputs of the module's tail.
at::Tensor head_features(const Workshop& workshop, const Program& module, const TailData& tail);

// What of a module is wanted when modules are run side by side. `keep` and the others must outlive the run.

/// The inputs of its head: see head_features. Not for a head with resampling after it (see has_head_run).
SliceRun head_run(const Workshop& workshop, const Program& module, const Selection& keep);
bool has_head_run(const Subject& subject);
/// What its tail reads.
SliceRun tail_run(const Program& module, const Tail& tail, const Selection& keep);
/// Its columns for points of samples: see columns_of.
SliceRun column_run(const Workshop& workshop, const Program& module, const Selection& keep, const OutputSet& set);

/// How many modules are run side by side: their weights are in memory.
int64_t modules_at_once(const Workshop& workshop);

/// Runs modules side by side on samples of the data: by module, what is wanted of it.
std::vector<std::vector<at::Tensor>> run_side_by_side(const Workshop& workshop, const std::vector<SliceRun>& runs,
                                                      const at::Tensor& samples);

/// A classification head fitted to few samples, since all heads are fitted together afterwards. `features` are its
/// inputs for points of `samples`; the last `validating` samples choose the penalty.
Head first_head(const Workshop& workshop, const OutputSet& set, const at::Tensor& features, const at::Tensor& samples,
                int64_t validating);

/// The last hidden layers and the head of a module; nullopt if they can't run by themselves.
std::optional<Tail> tail_of(const Workshop& workshop, const Program& module);

/// Reads a file back. Throws Error if it does not load, or (internal) if it computes another function than the module.
/// `as_a_model`: as a model to decompose is read, which takes ten times as long.
void check_file(const Subject& subject, const std::filesystem::path& file, const Program& module, bool as_a_model);

}  // namespace incite
