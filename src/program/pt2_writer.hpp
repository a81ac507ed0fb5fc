#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "program/pt2_sizes.hpp"

namespace incite {

/// A tensor to write into an archive, and its argument in the graph.
struct Pt2Tensor {
  std::string name;      ///< its state_dict key, or a constant's own name
  std::string argument;  ///< "p_conv1_weight"
  at::Tensor content;    ///< on the CPU, contiguous
  bool is_parameter = false;
};

/// What an archive says of a program, before it is put together.
struct Pt2Graph {
  std::vector<Pt2Tensor> weights;    ///< parameters, then buffers
  std::vector<Pt2Tensor> constants;  ///< tensors that are in no state_dict
  std::vector<std::string> inputs;
  std::string output;
  Json nodes = Json::array();
  Json tensor_values = Json::object();  ///< by argument or value: type, sizes and strides
  Json number_values = Json::object();
};

/// The graph of a program whose values have these sizes. Throws Error (unsupported), which starts with `what`, for an
/// operation or a value that torch.export has no counterpart of; it names it, and says to write TorchScript.
Pt2Graph pt2_graph(const Program& program, const std::vector<ValueSizes>& sizes, const std::string& what);

}  // namespace incite
