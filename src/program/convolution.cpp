#include "program/convolution.hpp"

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

}  // namespace incite
