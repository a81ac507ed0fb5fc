// Weights that are constants of the graph, as torch.jit.freeze leaves them, of the whole model or of a part.

#include <algorithm>
#include <map>

#include "program/convolution.hpp"
#include "program/specialiser.hpp"

namespace incite {
namespace {

using Slots = std::vector<std::pair<size_t, const char*>>;

/// The inputs of an operator that hold trained weights, and their names in a state_dict; none for other operators.
const Slots& weight_slots(const std::string& op) {
  static const Slots none;
  static const Slots layer = {{1, "weight"}, {2, "bias"}};
  static const Slots batch_norm = {{1, "weight"}, {2, "bias"}, {3, "running_mean"}, {4, "running_var"}};
  static const Slots norm = {{2, "weight"}, {3, "bias"}};
  static const Slots cell = {{2, "weight_ih"}, {3, "weight_hh"}, {4, "bias_ih"}, {5, "bias_hh"}};
  static const Slots attention = {
      {5, "in_proj_weight"}, {6, "in_proj_bias"}, {7, "out_proj.weight"}, {8, "out_proj.bias"}};
  static const Slots encoder_layer = {{3, "self_attn.in_proj_weight"},
                                      {4, "self_attn.in_proj_bias"},
                                      {5, "self_attn.out_proj.weight"},
                                      {6, "self_attn.out_proj.bias"},
                                      {10, "norm1.weight"},
                                      {11, "norm1.bias"},
                                      {12, "norm2.weight"},
                                      {13, "norm2.bias"},
                                      {14, "linear1.weight"},
                                      {15, "linear1.bias"},
                                      {16, "linear2.weight"},
                                      {17, "linear2.bias"}};
  static const Slots first = {{0, "weight"}};
  static const Slots second = {{1, "weight"}};
  static const Slots third = {{2, "weight"}};
  static const std::map<std::string, const Slots*> rows = {
      {"aten::linear", &layer},
      {"aten::batch_norm", &batch_norm},
      {"aten::instance_norm", &batch_norm},
      {"aten::layer_norm", &norm},
      {"aten::group_norm", &norm},
      {"aten::rms_norm", &third},
      {"aten::bilinear", &norm},
      {"aten::prelu", &second},
      {"aten::embedding", &first},
      {"aten::embedding_bag", &first},
      {"aten::lstm_cell", &cell},
      {"aten::gru_cell", &cell},
      {"aten::rnn_tanh_cell", &cell},
      {"aten::rnn_relu_cell", &cell},
      {"aten::_native_multi_head_attention", &attention},
      {"aten::_transformer_encoder_layer_fwd", &encoder_layer},
  };
  if (is_convolution(op)) return layer;
  const auto row = rows.find(op);
  return row == rows.end() ? none : *row->second;
}

/// The names of a recurrent network's weights, in the order of its list: "weight_ih_l0", …
std::string recurrent_name(size_t place, bool biased, bool both_directions) {
  static constexpr std::array<const char*, 4> kinds = {"weight_ih", "weight_hh", "bias_ih", "bias_hh"};
  const size_t each = biased ? 4 : 2;
  const size_t directions = both_directions ? 2 : 1;
  const size_t layer = place / each / directions;
  const bool reverse = place / each % directions == 1;
  return fmt::format("{}_l{}{}", kinds.at(place % each), layer, reverse ? "_reverse" : "");
}

/// Whether a constant may be a trained weight: floating-point, and no single number.
bool may_be_weight(const Known& known) {
  if (known.emitted >= 0 || known.elements || known.content || !known.at[0].isTensor()) return false;
  const at::Tensor& tensor = known.at[0].toTensor();
  return tensor.defined() && tensor.is_floating_point() && tensor.dim() > 0 && same(known.at[0], known.at[1]);
}

}  // namespace

void Specialiser::separate_equal_constants() {
  std::vector<jit::Node*> constants;
  for (jit::Node* node : graph_->nodes()) {
    if (node->kind() == c10::prim::Constant) constants.push_back(node);
  }
  for (jit::Node* node : constants) {
    const auto content = jit::toIValue(node->output());
    if (!content || !content->isTensor() || !content->toTensor().is_floating_point()) continue;
    const at::Tensor& tensor = content->toTensor();
    if (tensor.dim() == 0 || tensor.numel() == 0 || !tensor.min().equal(tensor.max())) continue;
    const jit::WithInsertPoint before(node);
    for (const jit::Use& use : std::vector<jit::Use>(node->output()->uses())) {
      const Slots& slots = weight_slots(use.user->kind().toQualString());
      const bool weight =
          std::any_of(slots.begin(), slots.end(), [&](const auto& slot) { return slot.first == use.offset; });
      if (weight) use.user->replaceInput(use.offset, graph_->insertConstant(tensor.clone()));
    }
  }
}

at::Tensor Specialiser::stored(const Known& constant) const {
  const at::Tensor& copy = constant.at[0].toTensor();
  const auto found = stored_.find(identity(constant));
  return found != stored_.end() && found->second.equal(copy) ? found->second : copy;
}

std::string Specialiser::next_layer(const std::string& op) {
  std::string kind = op.substr(op.find("::") + 2);
  kind.erase(0, kind.find_first_not_of('_'));
  std::string name;
  do {  // another than a part of the model has
    name = fmt::format("{}_{}", kind, ++weighted_[kind]);
  } while (
      std::any_of(keys_.begin(), keys_.end(), [&](const std::string& key) { return key.starts_with(name + "."); }));
  return name;
}

void Specialiser::name_weight(Known& known, const std::string& layer, const std::string& slot) {
  if (!may_be_weight(known)) return;
  const at::Tensor tensor = stored(known);
  const std::string path = layer + "." + slot;
  if (!slot.starts_with("running_")) trained_.insert(path);
  known.parameter = true;
  known.emitted = parameter(path, tensor);
  known.at = {tensor, tensor};
}

void Specialiser::name_weights(const jit::Node* node, const std::string& op) {
  std::vector<std::pair<Known*, std::string>> weights;
  for (const auto& [input, slot] : weight_slots(op)) {
    if (input < node->inputs().size()) weights.emplace_back(&use(node->input(input), node), slot);
  }
  const bool recurrent = op == "aten::lstm" || op == "aten::gru" || op == "aten::rnn_tanh" || op == "aten::rnn_relu";
  if (recurrent && node->inputs().size() == 9) {
    const auto flag = [&](size_t input) { return materialise(use(node->input(input), node), 0).toBool(); };
    const auto list = elements_of(use(node->input(2), node));
    for (size_t i = 0; list && i < list->size(); ++i)
      weights.emplace_back(&(*list)[i], recurrent_name(i, flag(3), flag(7)));
  }
  const bool any_new = std::any_of(weights.begin(), weights.end(), [&](const auto& weight) {
    return may_be_weight(*weight.first) && !parameters_.contains(place_in_memory(stored(*weight.first)));
  });
  const std::string layer = any_new ? next_layer(op) : "";  // a layer that is run again has its name
  for (const auto& [known, slot] : weights)
    name_weight(*known, layer, slot);
}

bool Specialiser::run_product(const jit::Node* node, const std::string& op) {
  const bool added = op == "aten::addmm";
  if (!added && op != "aten::matmul" && op != "aten::mm") return false;
  const size_t first = added ? 1 : 0;
  const Known x = use(node->input(first), node);
  Known weight = use(node->input(first + 1), node);
  if (!x.is_tensor() || !x.content || !may_be_weight(weight) || weight.at[0].toTensor().dim() != 2) return false;
  Known bias;
  bias.type = c10::NoneType::get();
  if (added) {
    const auto is_one = [&](size_t input) {
      const c10::IValue factor = materialise(use(node->input(input), node), 0);
      return factor.isScalar() && factor.toScalar().toDouble() == 1;
    };
    bias = use(node->input(0), node);
    if (!may_be_weight(bias) || bias.at[0].toTensor().dim() != 1 || !is_one(3) || !is_one(4)) return false;
  }
  const std::string layer = next_layer("aten::linear");
  const at::Tensor rows = weight.at[0].toTensor().t().contiguous();
  weight.at = {rows, rows};
  name_weight(weight, layer, "weight");
  name_weight(bias, layer, "bias");
  set(node->output(), apply(node, "aten::linear", "", {x, weight, bias}));
  if (!added) products_[node->output()] = {x, weight};
  return true;
}

bool Specialiser::run_bias(const jit::Node* node) {
  const auto product = products_.find(node->input(0));
  if (product == products_.end() || node->input(0)->uses().size() != 1) return false;
  Known bias = use(node->input(1), node);
  const auto& [x, weight] = product->second;
  const c10::IValue factor = materialise(use(node->input(2), node), 0);
  if (!may_be_weight(bias) || bias.at[0].toTensor().dim() != 1 || !factor.isScalar() ||
      factor.toScalar().toDouble() != 1 || bias.at[0].toTensor().size(0) != weight.at[0].toTensor().size(0))
    return false;
  const std::string& key = program_.value(weight.emitted).name;
  name_weight(bias, key.substr(0, key.rfind('.')), "bias");
  set(node->output(), apply(node, "aten::linear", "", {x, weight, bias}));  // the product without it is dead
  return true;
}

}  // namespace incite
