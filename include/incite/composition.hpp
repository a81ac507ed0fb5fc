#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "incite/options.hpp"

namespace incite {

/// One column of a composition.
struct ComposedModule {
  std::string name;
  std::string key;  ///< what its state_dict keys begin with
  std::string file;
  int64_t output = 0;  ///< of the model that it comes from
  int64_t parameters = 0;
};

/// What compose has to say.
struct Composition {
  std::string file;
  Task task = Task::classification;
  int64_t parameters = 0;
  int64_t bytes = 0;
  std::vector<ComposedModule> modules;
  std::string checked_on;  ///< the data whose first samples the file was checked on; empty: there was none
};

}  // namespace incite
