#pragma once

#include <cstdint>
#include <functional>
#include <string>

namespace incite {

/// The progress of a stage, a warning, or a note.
struct ProgressEvent {
  std::string stage;  ///< "scoring"
  int64_t done = 0;
  int64_t total = 0;
  std::string unit;          ///< what is counted: "mutant-samples"
  std::string warning = {};  ///< a sentence to show at once; empty, with `note`: this event reports progress
  std::string note = {};     ///< what is good to know; `important`: for all, else for those who ask for details
  bool important = false;
};

/// Called by stages while they run. It may throw Error (interrupted) to stop them.
using Progress = std::function<void(const ProgressEvent&)>;

}  // namespace incite
