#pragma once

#include <torch/csrc/jit/ir/ir.h>

#include <vector>

#include "program/pt2_json.hpp"

namespace incite {

/// What forward returns: its outputs, which an archive lists in a row, put together again as the tuple, list or dict
/// that `module` (graph_module) describes. Inserts nodes into the graph. A dict whose values are not all tensors, a
/// dataclass or a named tuple becomes a tuple with names. Throws Error (model_file) if the description does not fit.
torch::jit::Value* put_together(const std::vector<torch::jit::Value*>& outputs, const JsonView& module,
                                torch::jit::Graph& graph);

}  // namespace incite
