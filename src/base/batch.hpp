#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace incite {

/// Samples as a model takes them: a tensor for each of its inputs, in the order of forward's arguments. The first
/// dimension of each is the samples. Most models have one input: a tensor is a batch too.
struct Batch {
  std::vector<at::Tensor> inputs;  ///< each [samples, ...]

  Batch() = default;
  Batch(at::Tensor only) : inputs{std::move(only)} {}
  Batch(std::initializer_list<at::Tensor> all) : inputs(all) {}
  explicit Batch(std::vector<at::Tensor> all) : inputs(std::move(all)) {}

  const at::Tensor& operator[](size_t input) const { return inputs[input]; }
  int64_t samples() const { return inputs[0].size(0); }
  at::Device device() const { return inputs[0].device(); }

  /// The batch with `change` made to each of its tensors.
  template <typename Change>
  Batch each(const Change& change) const {
    Batch changed;
    for (const at::Tensor& input : inputs)
      changed.inputs.push_back(change(input));
    return changed;
  }
  /// Samples `indices`, int64.
  Batch index_select(const at::Tensor& indices) const {
    return each([&](const at::Tensor& input) { return input.index_select(0, indices); });
  }
  /// Samples first to first + count - 1.
  Batch narrow(int64_t first, int64_t count) const {
    return each([&](const at::Tensor& input) { return input.narrow(0, first, count); });
  }
};

/// Calls `with(first, count)` for one batch of rows after another: so many at a time, fewer in the last.
template <typename With>
void in_batches(int64_t rows, int64_t at_once, const With& with) {
  for (int64_t first = 0; first < rows; first += at_once)
    with(first, std::min(at_once, rows - first));
}

}  // namespace incite
