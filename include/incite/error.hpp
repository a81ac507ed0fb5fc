#pragma once

#include <stdexcept>
#include <string>

namespace incite {

/// Exit codes of the program. Scripts rely on them: docs/exit-codes.md lists them, and they are never renumbered.
enum class ExitCode : int {
  ok = 0,
  internal = 1,       ///< a defect of Incite itself
  usage = 2,          ///< options that make no sense
  model_file = 3,     ///< a model file that is damaged, or neither TorchScript nor .pt2
  data_file = 4,      ///< a data file that can't be read
  data_mismatch = 5,  ///< data that does not fit the model or the task
  unsupported = 6,    ///< a model that can't be decomposed
  output = 7,         ///< results that can't be written
  device = 8,         ///< a device that is missing or out of memory
  interrupted = 130,  ///< stopped by the user
};

/// A mistake of the user. The message is one line: what was found, what was expected, what to do.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

}  // namespace incite
