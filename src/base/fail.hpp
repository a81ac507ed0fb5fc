#pragma once

#include <fmt/format.h>

#include <utility>

#include "incite/error.hpp"

namespace incite {

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
