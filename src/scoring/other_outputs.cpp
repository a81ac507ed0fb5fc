#include "scoring/other_outputs.hpp"

#include <ATen/ATen.h>

#include <cmath>

#include "base/random.hpp"

namespace incite {

OtherOutputs::OtherOutputs(const at::Tensor& others, const GradientTarget& target, const at::Tensor& rows)
    : target_(target) {
  const at::Tensor values = target.measured(rows).to(at::kDouble);
  const at::Tensor spread = target.of_probabilities() ? (values * (1 - values)).mean(0) : values.std(0, false);
  const at::Tensor wanted = others.to(spread.device());
  const at::Tensor count = wanted.sum();
  const at::Tensor mean = (spread * wanted).sum() / count;
  weights_ = (wanted * mean / spread.clamp_min(1e-12) / count.sqrt()).to(at::kFloat);
}

at::Tensor OtherOutputs::operator()(const at::Tensor& rows, const std::vector<uint64_t>& seeds) const {
  at::Tensor signs = at::empty({rows.size(0), rows.size(1)}, at::kFloat);
  float* sign = signs.data_ptr<float>();
  for (const uint64_t seed : seeds) {
    Random random(seed);
    for (int64_t output = 0; output < rows.size(1); ++output)
      *sign++ = random.below(2) == 0 ? 1.0F : -1.0F;
  }
  return (target_.measured(rows) * weights_ * signs.to(rows.device())).sum(1);
}

}  // namespace incite
