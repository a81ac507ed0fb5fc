#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "incite/compose.hpp"
#include "incite/decomposition.hpp"

namespace incite {

/// A folder that decompose wrote.
struct ModuleFolder {
  std::filesystem::path path;
  Decomposition decomposition;  ///< as read_decomposition gives it, and its data
};

/// A module that is to be a column.
struct Part {
  std::shared_ptr<const ModuleFolder> folder;  ///< one object for each folder
  std::filesystem::path file;
  ModuleResult module;  ///< as read_decomposition gives it
  std::string name;     ///< of the column
  std::string key;      ///< of its submodule
};

/// The columns of a composition, in order. Throws Error as `compose` does for names, columns and decompositions, and
/// for modules of both tasks.
std::vector<Part> parts_of(const ComposeOptions& options);

}  // namespace incite
