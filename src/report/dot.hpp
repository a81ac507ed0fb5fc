#pragma once

#include <string>

#include "incite/inspection.hpp"

namespace incite {

/// The layer graph in Graphviz's language. Nodes are layers, coloured by group and grey where all channels are pinned;
/// the model's inputs and its output; dashed boxes for other operations that pin; and small circles where what comes
/// from several of these is joined. Edges are the flow of tensors, through whatever lies between.
std::string to_dot(const Inspection& inspection);

}  // namespace incite
