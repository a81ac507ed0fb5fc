#pragma once

#include "program/executor.hpp"
#include "slicing/slice.hpp"

namespace incite::test {

/// Whether masking changes what the program gives for a batch: otherwise comparing a slice with the mask says nothing.
inline bool masking_changes(const Program& program, const UnitMap& map, const Selection& keep, const Batch& batch) {
  const at::NoGradGuard no_grad;
  return !Executor(mask(program, map, keep))(batch).equal(Executor(program)(batch));
}

}  // namespace incite::test
