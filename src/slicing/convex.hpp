#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "slicing/head.hpp"

namespace incite {

/// Of the modules' own losses, beside the weight 1 of the loss that they have together.
inline constexpr double own_share = 0.1;

/// Features with mean 0 and standard deviation 1, float64, and what undoes it in a head's weights. Where they are not
/// too many they are turned into uncorrelated ones of the same variance, in which L-BFGS needs a tenth of the steps: a
/// row fitted to `turned` is `turn` times as long in standardised features.
struct Standardised {
  at::Tensor turned;     ///< [samples, features]
  at::Tensor turn;       ///< [features, features]; undefined: none
  at::Tensor mean;       ///< [features]
  at::Tensor deviation;  ///< [features]; 1 where a feature is constant

  at::Tensor row(const at::Tensor& turned_row) const { return turn.defined() ? turn.mv(turned_row) : turned_row; }
  /// The row of turned features that stands for `row` of standardised ones.
  at::Tensor turned_row(const at::Tensor& row) const;
  /// Other features, turned in the same way.
  at::Tensor apply(const at::Tensor& features) const;
};

/// Without `centre`, means stay as they are.
Standardised standardise(const at::Tensor& features, bool centre);

/// A row fitted to turned features, and its offset, for the features as they are.
Head unstandardise(const at::Tensor& row, const at::Tensor& offset, const Standardised& s);

/// Minimises `loss` over `parameters` in place, by L-BFGS with a strong Wolfe line search.
void minimise(const std::vector<at::Tensor>& parameters, int64_t iterations, const std::function<at::Tensor()>& loss);

/// A copy that gradients are taken for.
at::Tensor variable(const at::Tensor& start);

/// 1 where `positive`, else -1: float64.
at::Tensor signs(const at::Tensor& positive);

/// Weights that make both classes of each column count alike and sum to 1 in it, float64. `positive`: [samples, …]
/// bool.
at::Tensor balancing_weights(const at::Tensor& positive);

/// Rows [others, class] whose difference is `head`: a softmax over them, and the two sigmoids, say what the log-odds
/// say.
Head two_rows(const Head& head, OutputKind kind, bool has_bias);

}  // namespace incite
