#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "incite/options.hpp"

namespace incite {

/// One module of a composition.
struct ComposedModule {
  std::string name;  ///< of its column, or of its set
  std::string key;   ///< prefix of its state_dict keys
  std::string file;
  OutputSet set;                     ///< what it is for
  std::vector<std::string> columns;  ///< their names
  int64_t parameters = 0;
};

/// The result of compose.
struct Composition {
  std::string file;
  Task task = Task::classification;
  int64_t parameters = 0;
  int64_t bytes = 0;
  std::vector<ComposedModule> modules;
  std::string checked_on;  ///< the data on whose first samples the file was checked; empty: it was not checked
};

}  // namespace incite
