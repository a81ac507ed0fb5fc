#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "incite/compose.hpp"
#include "store/identify.hpp"

namespace incite {

/// A module that becomes a column.
struct Part {
  std::filesystem::path file;
  KnownModule known;
  int64_t parameters = 0;
  int64_t label = 0;  ///< the output of its model that the column is for; a replacement inherits it
  std::string name;   ///< name of the column
  std::string key;    ///< name of its submodule

  const ModuleIdentity& identity() const { return known.identity; }
};

/// The columns of a composition, in order. Throws the errors of `compose` about names, columns, decompositions and
/// modules of different tasks.
std::vector<Part> parts_of(const ComposeOptions& options);

}  // namespace incite
