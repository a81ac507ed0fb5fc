#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace incite {

/// How far a stage has come; or a warning, which says nothing of that.
struct ProgressEvent {
  std::string stage;  ///< "scoring"
  int64_t done = 0;
  int64_t total = 0;
  std::string unit;          ///< what is counted: "mutant-samples"
  std::string warning = {};  ///< a sentence for the user, to be shown at once; empty: none
};

/// The one way out of a stage while it runs. It may throw (Error, interrupted) to stop the stage.
using Progress = std::function<void(const ProgressEvent&)>;

}  // namespace incite
