#pragma once

#include "program/program.hpp"

namespace incite {

/// Where the model's outputs are the sum of what two pointwise convolutions make of different features, as in LR-ASPP:
/// the same function with one convolution of both features side by side. It has the weights of both in the place of the
/// second one's, and the sum of their biases. Any other program is returned as it is.
Program with_one_head(const Program& program);

}  // namespace incite
