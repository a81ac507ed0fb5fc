#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace incite {

/// Sums over rows x (what a layer reads, a 1 appended where it has a bias) and z (what it should give), in float64: all
/// that least squares needs of them.
struct Moments {
  at::Tensor gram;     ///< [features, features]: x xᵀ
  at::Tensor cross;    ///< [features, channels]: x zᵀ
  at::Tensor squares;  ///< [channels]: z²
  at::Tensor sums;     ///< [channels]: z
  int64_t rows = 0;

  /// Adds rows x [rows, features] and z [rows, channels].
  void add(const at::Tensor& x, const at::Tensor& z);
  void add(const Moments& other);

  /// Mean square of (x w - z) over the variance of z, for weights w [features, channels].
  double error(const at::Tensor& weights) const;
};

/// argmin over w of |x w - z|² + ridge · g · |w - start|², with g the mean square of a feature; where there is a bias,
/// the last row of w, it is held back by next to nothing. [features, channels] float64. Undefined where the system
/// can't be solved to working precision.
at::Tensor ridge_least_squares(const Moments& moments, const at::Tensor& start, double ridge, bool has_bias);

}  // namespace incite
