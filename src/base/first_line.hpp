#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <string>

namespace incite {

/// The first line of an exception's message, without a C++ backtrace: what a user can read of PyTorch's errors.
inline std::string first_line(const std::exception& error) {
  const auto* torch_error = dynamic_cast<const c10::Error*>(&error);
  std::string text = torch_error != nullptr ? torch_error->what_without_backtrace() : error.what();
  return text.substr(0, text.find('\n'));
}

}  // namespace incite
