#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/batch.hpp"
#include "incite/measures.hpp"
#include "program/program.hpp"

namespace incite {

/// The sizes of a value; empty for what is no tensor.
using ShapeOf = std::function<const std::vector<int64_t>&(ValueId)>;

/// The multiply-adds of one node on values of such shapes: of convolutions, transposed ones too, of linear and
/// recurrent layers, of products of two tensors and of attention. All else counts as 0: activations, norms, pooling and
/// additions.
double multiply_adds(const Program& program, NodeId node, const ShapeOf& shape);

/// The same of all nodes, for one sample. `batch`, a few samples, is run to see the shapes.
double multiply_adds(const Program& program, const Batch& batch);

}  // namespace incite
