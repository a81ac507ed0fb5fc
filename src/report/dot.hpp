#pragma once

#include <string>

#include "incite/inspection.hpp"

namespace incite {

/// The layer graph in Graphviz's language. Nodes are the model's inputs and output; layers, coloured by group, or grey
/// if all channels are pinned; dashed boxes for other operations that pin units; and small circles where tensors are
/// joined. Edges show the flow of tensors through all operations in between.
std::string to_dot(const Inspection& inspection);

}  // namespace incite
