#pragma once

#include <c10/core/Device.h>
#include <torch/csrc/jit/ir/ir.h>

#include <memory>
#include <string>
#include <unordered_map>

#include "program/pt2_arguments.hpp"
#include "program/pt2_json.hpp"

namespace incite {

/// What the nodes of an archive's graph become.
struct Pt2Target {
  std::shared_ptr<torch::jit::Graph> graph;
  c10::Device device = c10::kCPU;
  std::string file;  ///< starts messages
  /// Values that are the model's own tensors, and their names: no node may write to them.
  std::unordered_map<const torch::jit::Value*, std::string> tensors;
};

/// Appends the nodes of a graph in an archive to `target.graph`. `values` holds its inputs, and gets what the nodes
/// make.
///
/// Throws Error: model_file for nodes that read what no node before them makes, or whose arguments are not those of
/// their operator; unsupported, with the node's place in the user's code, for operators that incite does not know,
/// control flow, and nodes that change the model.
void add_pt2_nodes(const JsonView& graph, Pt2Target& target, Pt2Values& values);

}  // namespace incite
