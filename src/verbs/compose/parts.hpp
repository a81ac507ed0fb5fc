#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "incite/compose.hpp"
#include "store/identify.hpp"

namespace incite {

/// A module that is to be a column.
struct Part {
  std::filesystem::path file;
  KnownModule known;
  int64_t parameters = 0;
  int64_t label = 0;  ///< which of its model's outputs the column is for; of a replacement, that of what it replaces
  std::string name;   ///< of the column
  std::string key;    ///< of its submodule

  const ModuleIdentity& identity() const { return known.identity; }
};

/// The columns of a composition, in order. Throws Error as `compose` does for names, columns and decompositions, and
/// for modules of both tasks.
std::vector<Part> parts_of(const ComposeOptions& options);

}  // namespace incite
