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

/// What to join. A column's default name is its output's number; where numbers occur twice, with the folder's name
/// before it, "lenet-3".
struct ComposeOptions {
  /// Module files, and folders that decompose wrote, which stand for all of their modules; in the order of the columns.
  std::vector<std::filesystem::path> modules;
  /// Module files to put in the place of others: by a column's default name, which they take over.
  std::vector<std::pair<std::string, std::filesystem::path>> replace;
  std::vector<std::string> remove;  ///< columns to leave out, by their default names
  std::vector<std::string> names;   ///< of the columns that stay; empty: their default names
  /// Samples that all modules take, to check them with; empty: the data that their models were decomposed with.
  std::filesystem::path data;
  std::optional<std::string> input_key;     ///< arrays of samples in `data`; unset: as decomposed
  std::optional<InputLayout> input_layout;  ///< of images in `data`; unset: as decomposed
  std::filesystem::path out;
  bool force = false;
};

/// Joins modules of one or several decompositions into one TorchScript file, with a column for each module: log-odds of
/// its class, or its value in a regression. See `join` for what is in it. The file appears whole or not at all.
///
/// Where there are samples, each module must run on the first of them, and each column of the file, read back, must be
/// what its module says.
///
/// Throws Error: usage for names and columns that make no sense; data_file for a file that neither says itself which
/// module it is nor has a decomposition.json beside it that lists it, or samples that can't be found; model_file for a
/// file that is no TorchScript; data_mismatch for modules of both tasks, or whose models take other inputs; output
/// where the file can't be written, or is there already and `force` is not set.
Composition compose(const ComposeOptions& options, const Progress& progress = {});

}  // namespace incite
