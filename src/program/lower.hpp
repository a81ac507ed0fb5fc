#pragma once

#include "program/program.hpp"

namespace incite {

/// Rewrites operations that do the work of several as those several, so that there is one way to write a thing and the
/// label analysis sees the layers inside:
/// - a recurrent network of several layers: a node for each layer;
/// - what run_decompositions made of layers: see lower_core_operators;
/// - x · Wᵀ, with or without a bias: a linear layer;
/// - channel_shuffle: views and a transposition (its own kernel has no derivative);
/// - the fused attention and encoder layer that PyTorch records when a model is traced without gradients: linear
/// layers,
///   attention and normalisation (followed by what torch/nn/modules/transformer.py does without fusing).
/// The result computes the same, up to rounding.
void lower(Program& program);

}  // namespace incite
