#include "program/save_pt2.hpp"

#include <ATen/ATen.h>
#include <torch/version.h>

#include <bit>
#include <list>

#include "base/fail.hpp"
#include "base/json.hpp"
#include "base/zip_writer.hpp"
#include "program/pt2_attributes.hpp"
#include "program/pt2_writer.hpp"

namespace incite {
namespace {

static_assert(std::endian::native == std::endian::little, "weights are written as they lie in memory");

/// A tree of torch.utils._pytree.
Json leaf_spec() {
  return {{"type", nullptr}, {"context", nullptr}, {"children_spec", Json::array()}};
}

Json container_spec(const char* type, const char* context, Json children) {
  return {{"type", type}, {"context", context}, {"children_spec", std::move(children)}};
}

std::string spec_text(Json spec) {
  return Json::array({1, std::move(spec)}).dump();
}

Json inputs_spec(size_t count) {
  Json leaves = Json::array();
  for (size_t i = 0; i < count; ++i)
    leaves.push_back(leaf_spec());
  return container_spec("builtins.tuple", "null",
                        Json::array({container_spec("builtins.tuple", "null", std::move(leaves)),
                                     container_spec("builtins.dict", "[]", Json::array())}));
}

Json name_json(const std::string& name) {
  return {{"name", name}};
}

/// How the graph's arguments come from the model's tensors and from the user.
Json input_specs(const Pt2Graph& graph) {
  Json specs = Json::array();
  for (const Pt2Tensor& weight : graph.weights) {
    if (weight.is_parameter) {
      specs.push_back({{"parameter", {{"arg", name_json(weight.argument)}, {"parameter_name", weight.name}}}});
    } else {
      specs.push_back(
          {{"buffer", {{"arg", name_json(weight.argument)}, {"buffer_name", weight.name}, {"persistent", true}}}});
    }
  }
  for (const Pt2Tensor& constant : graph.constants)
    specs.push_back(
        {{"tensor_constant", {{"arg", name_json(constant.argument)}, {"tensor_constant_name", constant.name}}}});
  for (const std::string& input : graph.inputs)
    specs.push_back({{"user_input", {{"arg", {{"as_tensor", name_json(input)}}}}}});
  return specs;
}

Json graph_json(const Pt2Graph& graph) {
  Json inputs = Json::array();
  const auto add = [&](const std::string& name) { inputs.push_back({{"as_tensor", name_json(name)}}); };
  for (const auto* tensors : {&graph.weights, &graph.constants}) {
    for (const Pt2Tensor& tensor : *tensors)
      add(tensor.argument);
  }
  for (const std::string& input : graph.inputs)
    add(input);
  return {{"inputs", std::move(inputs)},
          {"outputs", Json::array({{{"as_tensor", name_json(graph.output)}}})},
          {"nodes", graph.nodes},
          {"tensor_values", graph.tensor_values},
          {"sym_int_values", graph.number_values},
          {"sym_bool_values", Json::object()},
          {"is_single_tensor_return", false},
          {"custom_obj_values", Json::object()},
          {"sym_float_values", Json::object()}};
}

Json model_json(const Pt2Graph& graph) {
  const Json output = {{"user_output", {{"arg", {{"as_tensor", name_json(graph.output)}}}}}};
  const Json call = {{"inputs", Json::array()},
                     {"outputs", Json::array()},
                     {"in_spec", spec_text(inputs_spec(graph.inputs.size()))},
                     {"out_spec", spec_text(leaf_spec())},
                     {"forward_arg_names", graph.inputs}};
  const Json module = {{"graph", graph_json(graph)},
                       {"signature", {{"input_specs", input_specs(graph)}, {"output_specs", Json::array({output})}}},
                       {"module_call_graph", Json::array({{{"fqn", ""}, {"signature", call}}})},
                       {"metadata", Json::object()},
                       {"treespec_namedtuple_fields", Json::object()}};
  return {{"graph_module", module},
          {"opset_version", {{"aten", 10}}},
          {"range_constraints", {{"s0", {{"min_val", 1}, {"max_val", nullptr}}}}},
          {"schema_version", {{"major", 8}, {"minor", 20}}},
          {"verifiers", Json::array({"TRAINING"})},
          {"torch_version", TORCH_VERSION},
          {"guards_code", Json::array()}};
}

/// The members of an archive, which own their bytes.
class Members {
 public:
  void add(const std::string& path, std::string bytes) {
    members_.push_back({"module/" + path, texts_.emplace_back(std::move(bytes))});
  }

  /// Tensors, and the JSON that describes them; `metas`: of each, by its argument.
  void add(const std::vector<Pt2Tensor>& tensors, const Json& metas, const std::string& folder,
           const std::string& prefix, const std::string& config) {
    Json entries = Json::object();
    for (size_t i = 0; i < tensors.size(); ++i) {
      const Pt2Tensor& tensor = tensors[i];
      const std::string file = fmt::format("{}{}", prefix, i);
      members_.push_back({"module/" + folder + file,
                          {static_cast<const char*>(tensor.content.const_data_ptr()), tensor.content.nbytes()}});
      entries[tensor.name] = {{"path_name", file},
                              {"is_param", tensor.is_parameter},
                              {"use_pickle", false},
                              {"tensor_meta", metas.at(tensor.argument)}};
    }
    add(folder + config, Json{{"config", std::move(entries)}}.dump());
  }

  std::string zip() const { return to_zip(members_); }

 private:
  std::vector<ZipContent> members_;
  std::list<std::string> texts_;
};

}  // namespace

std::string serialise_pt2(const Program& program, const Batch& batch, const FileAttributes& attributes,
                          const std::string& what) {
  const Pt2Graph graph = pt2_graph(program, sizes_of_values(program, batch, what), what);
  Members members;
  members.add("archive_format", "pt2");
  members.add("archive_version", "0");
  members.add("byteorder", "little");
  members.add(".data/version", "6");
  members.add("models/model.json", model_json(graph).dump(-1, ' ', false, Json::error_handler_t::replace));
  members.add(graph.weights, graph.tensor_values, "data/weights/", "weight_", "model_weights_config.json");
  members.add(graph.constants, graph.tensor_values, "data/constants/", "tensor_", "model_constants_config.json");
  members.add("data/sample_inputs/model.pt", "");
  for (const auto& [name, text] : extra_files(attributes))
    members.add("extra/" + name, text);
  return members.zip();
}

}  // namespace incite
