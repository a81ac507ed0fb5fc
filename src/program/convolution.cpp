#include "program/convolution.hpp"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <array>

namespace incite {
namespace {

/// Where an operator's arguments stand among a node's inputs.
struct Places {
  std::string_view op;
  bool transposed;       // always; a general one's argument says it
  size_t transposed_at;  // 0: there is no such argument
  size_t dilation, groups;
};

constexpr size_t stride_at = 3, padding_at = 4;  // of all

constexpr std::array<Places, 9> convolution_operators = {{
    // operator                transposed  argument  dilation  groups
    {"aten::conv1d", false, 0, 5, 6},
    {"aten::conv2d", false, 0, 5, 6},
    {"aten::conv3d", false, 0, 5, 6},
    {"aten::_convolution_mode", false, 0, 5, 6},
    {"aten::convolution", false, 6, 5, 8},
    {"aten::_convolution", false, 6, 5, 8},
    {"aten::conv_transpose1d", true, 0, 7, 6},
    {"aten::conv_transpose2d", true, 0, 7, 6},
    {"aten::conv_transpose3d", true, 0, 7, 6},
}};

const Places* places_of(std::string_view op) {
  const auto* const found = std::find_if(convolution_operators.begin(), convolution_operators.end(),
                                         [&](const Places& one) { return one.op == op; });
  return found == convolution_operators.end() ? nullptr : found;
}

}  // namespace

bool is_convolution(std::string_view op) {
  return places_of(op) != nullptr;
}

std::optional<Convolution> convolution_of(const Node& node,
                                          const std::function<const c10::IValue&(size_t input)>& value) {
  const Places* places = places_of(node.op);
  if (places == nullptr) return std::nullopt;
  Convolution made;
  made.general = places->transposed_at > 0;
  made.transposed = places->transposed;
  if (made.general) {
    const c10::IValue& argument = value(places->transposed_at);
    made.transposed = argument.isBool() && argument.toBool();
  }
  made.groups_input = places->groups;
  made.stride = value(stride_at);
  made.padding = value(padding_at);
  made.dilation = value(places->dilation);
  made.groups = value(places->groups);
  return made;
}

std::optional<Convolution> convolution_of(const Program& program, const Node& node) {
  return convolution_of(node,
                        [&](size_t input) -> const c10::IValue& { return program.value(node.inputs[input]).content; });
}

bool is_pointwise(const Program& program, const Node& node) {
  const std::optional<Convolution> convolution = convolution_of(program, node);
  if (!convolution || convolution->transposed || node.op == "aten::convolution") return false;
  const auto all_are = [](const c10::IValue& argument, int64_t number) {
    if (!argument.isIntList()) return false;  // padding="same"
    const std::vector<int64_t> list = argument.toIntVector();
    return std::all_of(list.begin(), list.end(), [number](int64_t element) { return element == number; });
  };
  const at::IntArrayRef kernel = program.value(node.inputs[1]).content.toTensor().sizes().slice(2);
  return std::all_of(kernel.begin(), kernel.end(), [](int64_t size) { return size == 1; }) &&
         all_are(convolution->stride, 1) && all_are(convolution->padding, 0) && all_are(convolution->dilation, 1) &&
         convolution->groups == c10::IValue(1);
}

}  // namespace incite
