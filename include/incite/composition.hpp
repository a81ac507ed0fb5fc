#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "incite/options.hpp"

namespace incite {

/// One column of a composition.
struct ComposedModule {
  std::string name;
  std::string key;  ///< prefix of its state_dict keys
  std::string file;
  int64_t output = 0;  ///< its number in the original model
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
