#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/batch.hpp"
#include "program/program.hpp"

namespace incite {

/// A size of a batch of n samples: each * n + fixed.
struct BatchSize {
  int64_t each = 0;
  int64_t fixed = 0;

  bool operator==(const BatchSize& other) const = default;
  bool depends() const { return each != 0; }
  int64_t at(int64_t samples) const { return each * samples + fixed; }
};

/// What a value of a program is on a batch of any size.
struct ValueSizes {
  bool is_tensor = false;
  c10::ScalarType type = c10::ScalarType::Float;
  std::vector<BatchSize> sizes, strides;
  BatchSize offset;                 ///< of the first element in memory
  std::optional<BatchSize> number;  ///< of a whole number
};

/// How many samples the sizes of an archive are stated for beside the rule.
inline constexpr int64_t hint_samples = 2;

/// The sizes of all of a program's values, by id, found by running it on three numbers of the samples of `batch`
/// (1 or more). Throws Error (unsupported), which starts with `what` and names the node, for a size that is no multiple
/// of the number of samples and a constant.
std::vector<ValueSizes> sizes_of_values(const Program& program, const Batch& batch, const std::string& what);

}  // namespace incite
