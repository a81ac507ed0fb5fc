#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace incite {

/// Exit codes of the program. A user's script may rely on them: they are documented in docs/exit-codes.md and never
/// renumbered.
enum class ExitCode : int {
  ok = 0,
  internal = 1,       ///< a defect of incite itself
  usage = 2,          ///< options that make no sense
  model_file = 3,     ///< a model file that can't be read as TorchScript
  data_file = 4,      ///< a data file that can't be read
  data_mismatch = 5,  ///< data that does not fit the model or the task
  unsupported = 6,    ///< a model that can't be decomposed
  output = 7,         ///< results that can't be written
  device = 8,         ///< a device that is not there or out of memory
  interrupted = 130,  ///< stopped by the user
};

/// What the user did or gave that can't be worked with. The message is one line: what was found, what was expected,
/// what to do.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

/// Throws an Error whose message is made by fmt::format.
template <typename... Args>
[[noreturn]] void fail(ExitCode code, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(code, fmt::format(format, std::forward<Args>(args)...));
}

/// Throws std::logic_error: a defect of incite, not of its input.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace incite

/// Checks what must hold whatever the user gives. Never switched off.
#define INCITE_ASSERT(expression) \
  ((expression) ? static_cast<void>(0) : ::incite::assertion_failed(#expression, __FILE__, __LINE__))
