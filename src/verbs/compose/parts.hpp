#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "incite/compose.hpp"
#include "store/identify.hpp"
#include "verbs/compose/join.hpp"

namespace incite {

/// A module that becomes one column, or a module for a set that becomes several.
struct Part {
  std::filesystem::path file;
  KnownModule known;
  int64_t parameters = 0;
  std::string name;                   ///< of its column, or of its set
  std::string key;                    ///< name of its submodule
  std::vector<JoinedColumn> columns;  ///< a replacement inherits their names and labels

  const ModuleIdentity& identity() const { return known.identity; }
};

/// The modules of a composition, in the order of their columns. Throws the errors of `compose` about names, columns,
/// decompositions and modules of different tasks.
std::vector<Part> parts_of(const ComposeOptions& options);

}  // namespace incite
