#include "scoring/gradient_passes.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

namespace incite {
namespace {

constexpr int64_t points_of_positions = 4;

}  // namespace

GradientPasses::GradientPasses(const std::vector<int64_t>& asked, int64_t outputs, int64_t positions)
    : wanted(asked), others(at::ones({outputs}, at::kDouble)) {
  if (wanted.empty()) {
    wanted.resize(static_cast<size_t>(outputs));
    std::iota(wanted.begin(), wanted.end(), 0);
  }
  for (const int64_t output : wanted)
    others[output] = 0;
  some = static_cast<int64_t>(wanted.size()) < outputs;
  if (positions > 0) points = std::min(points_of_positions, positions);
}

}  // namespace incite
