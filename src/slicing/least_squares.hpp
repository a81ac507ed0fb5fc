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

  /// Those of every `step`th channel; shares the tensors.
  Moments every(int64_t step) const;
};

/// Least squares from weights to start from, [features, channels] float64: what changes them, of the same shape.
class LeastSquares {
 public:
  /// `moments` must live as long.
  LeastSquares(const Moments& moments, const at::Tensor& start);

  /// argmin over the change d of |x (start + d) - z|² + ridge · g · |d|², with g the mean square of a feature; where
  /// there is a bias, the last row, it is held back by next to nothing. Undefined where the system can't be solved to
  /// working precision.
  at::Tensor change(double ridge, bool has_bias) const;

  /// Mean square of (x (start + d) - z) over the variance of z; without a change, that of the start.
  double error(const at::Tensor& change = {}) const;

 private:
  const Moments& moments_;
  at::Tensor missing_;  // [features, channels]: x (z - x start)ᵀ
  at::Tensor squares_;  // [channels]: of z - x start
};

}  // namespace incite
