#pragma once

#include "program/program.hpp"

namespace incite {

/// Rewrites the operators that PyTorch's run_decompositions makes of layers as those of the layers again, so that there
/// is one way to write a thing: batch, layer and group norm, softmax, adaptive pooling, attention, conversions of type.
/// A node of which more than the first output is used stays as it is. The result computes the same.
void lower_core_operators(Program& program);

}  // namespace incite
