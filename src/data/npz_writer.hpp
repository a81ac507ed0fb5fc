#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

namespace incite {

/// An .npz archive of arrays with their names, as numpy.load reads it: float64, int64 or uint8 of any shape, deflated
/// where they are not large. The same arrays give the same bytes.
std::string to_npz(const std::vector<std::pair<std::string, at::Tensor>>& arrays);

}  // namespace incite
