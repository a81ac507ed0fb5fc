#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/fail.hpp"

namespace incite::test {

/// The Error that `run` throws; a failed expectation and an empty one if it throws none.
template <typename Run>
Error error_of(Run&& run) {
  try {
    run();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no incite::Error was thrown";
  return Error(ExitCode::ok, "");
}

/// Expects the code and the whole message.
template <typename Run>
void expect_error(Run&& run, ExitCode code, const std::string& message) {
  const Error error = error_of(run);
  EXPECT_EQ(error.what(), message);
  EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code));
}

}  // namespace incite::test
