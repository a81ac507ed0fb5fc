#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "incite/composition.hpp"
#include "incite/error.hpp"
#include "incite/options.hpp"
#include "incite/progress.hpp"

namespace incite {

/// What to join. A column's default name is that of its output, "cat", or its number, "3"; if one occurs twice, the
/// folder's name precedes it, "lenet-3".
struct ComposeOptions {
  /// Module files, or folders written by decompose (all of their modules), in the order of the columns.
  std::vector<std::filesystem::path> modules;
  /// Module files that replace others, by the column's default name, which they inherit.
  std::vector<std::pair<std::string, std::filesystem::path>> replace;
  std::vector<std::string> remove;  ///< columns to leave out, by their default names
  std::vector<std::string> names;   ///< of the remaining columns; empty: their default names
  /// Samples that all modules accept, to check them on; empty: the data that their models were decomposed with.
  std::filesystem::path data;
  std::optional<std::string> input_key;     ///< arrays of samples in `data`; unset: as decomposed
  std::optional<InputLayout> input_layout;  ///< of images in `data`; unset: as decomposed
  std::filesystem::path out;
  FileFormat format = FileFormat::torchscript;
  bool force = false;
};

/// Joins modules of one or several decompositions into one file with a column for each module: the log-odds
/// of its class, or its value in a regression. The file appears whole or not at all. Its content: see `join`.
///
/// As a .pt2 file it takes batches of any size, like a TorchScript file; samples must be known, to tell the sizes of
/// its values.
///
/// If samples are known, each module must run on the first of them, and each column of the written file must equal the
/// output of its module.
///
/// Throws Error: usage for names and columns that make no sense; data_file for a file that neither states which module
/// it is nor is listed in a decomposition.json beside it, and for missing samples; model_file for a file that is
/// neither TorchScript nor .pt2; data_mismatch for modules of different tasks, or of models with different inputs;
/// output if the file can't be written, or exists and `force` is not set.
Composition compose(const ComposeOptions& options, const Progress& progress = {});

}  // namespace incite
