// Blocks of convolutions: gates, shortcuts, dense connections, shared and computed weights.

#include <fmt/format.h>

#include <algorithm>

#include "support/random_network_builder.hpp"

namespace incite::test {
namespace {

using B = NetworkBuilder;

constexpr Window pointwise = {.kernel = 1, .padding = 0};

/// Two convolutions, the first with an activation, from x to a new variable.
std::string branch(B& b, int64_t out, int64_t stride) {
  const std::string y = b.fresh("y");
  const int64_t inner = b.between(3, 7);
  b.let(y, convolution(b, "x", b.channels(), inner, {.stride = stride}));
  if (b.chance(2)) b.let(y, batch_norm(b, y, inner));
  b.let(y, activated(b, y));
  b.let(y, convolution(b, y, inner, out, {}));
  if (b.chance(2)) b.let(y, batch_norm(b, y, out));
  return y;
}

void join(B& b, const std::string& shortcut, const std::string& y) {
  b.line(fmt::format(
      fmt::runtime(b.pick({"torch.relu({0} + {1})", "{1} + {0}", "torch.add({0}, {1}, alpha=0.7)", "{1}.add_({0})"})),
      shortcut, y));
}

void halve_space(B& b) {
  for (size_t i = 1; i < b.shape.size(); ++i)
    b.shape[i] = (b.shape[i] + 1) / 2;
}

void projection_shortcut(B& b) {
  const int64_t out = b.between(4, 8);
  const int64_t stride = b.between(1, 2);
  const std::string y = branch(b, out, stride);
  const std::string shortcut = b.fresh("y");
  b.let(shortcut, convolution(b, "x", b.channels(), out, {.kernel = 1, .stride = stride, .padding = 0}));
  join(b, shortcut, y);
  b.shape[0] = out;
  if (stride == 2) halve_space(b);
}

/// A shortcut with channels of zeros at its ends, as ResNet's option A.
void padded_shortcut(B& b) {
  const int64_t before = b.between(0, 2);
  const int64_t after = b.between(1, 2);
  const int64_t out = b.channels() + before + after;
  const int64_t stride = b.between(1, 2);
  const std::string y = branch(b, out, stride);
  std::string shortcut = "x";
  if (stride == 2)
    shortcut = b.dimensions() == 1   ? "x[:, :, ::2]"
               : b.dimensions() == 2 ? "x[:, :, ::2, ::2]"
                                     : "x[:, :, ::2, ::2, ::2]";
  std::vector<int64_t> sides(2 * b.dimensions(), 0);
  sides.insert(sides.end(), {before, after});
  join(b, fmt::format("torch.pad({}, [{}])", shortcut, joined(sides)), y);
  b.shape[0] = out;
  if (stride == 2) halve_space(b);
}

/// Channels of x times a gate that a pooled copy gives.
void gate_of_convolutions(B& b) {
  const std::string gate = b.fresh("gate");
  const int64_t squeezed = b.between(2, 4);
  b.let(gate, b.pick({fmt::format("torch.{}(x, {})", with_dimensions(b, "adaptive_avg_pool"), each(b, 1)),
                      fmt::format("x.mean({}, True)", spatial_axes(b))}));
  b.let(gate, activated(b, convolution(b, gate, b.channels(), squeezed, pointwise)));
  b.let(gate, convolution(b, gate, squeezed, b.channels(), pointwise));
  b.line(fmt::format(
      fmt::runtime(b.pick({"x * torch.sigmoid({})", "torch.hardsigmoid({}) * x", "x.mul_(torch.sigmoid({}))"})), gate));
}

void gate_of_linear_layers(B& b) {
  const std::string gate = b.fresh("gate");
  const int64_t squeezed = b.between(2, 4);
  b.let(gate, fmt::format("x.mean({})", spatial_axes(b)));
  b.let(gate, activated(b, linear(b, gate, b.channels(), squeezed)));
  b.let(gate, fmt::format("torch.sigmoid({})", linear(b, gate, squeezed, b.channels())));
  std::vector<int64_t> ones(b.dimensions(), 1);
  std::string unsqueezed = gate;
  for (size_t i = 0; i < b.dimensions(); ++i)
    unsqueezed += ".unsqueeze(-1)";
  b.line(fmt::format("x * {}",
                     b.pick({unsqueezed, fmt::format("{}.view(x.size(0), {}, {})", gate, b.channels(), joined(ones)),
                             fmt::format("{}.view([x.shape[0], -1, {}])", gate, joined(ones))})));
}

/// One gate for all channels of a place.
void spatial_gate(B& b) {
  const std::string summary = b.fresh("gate");
  const bool pooled = b.chance(2);
  b.let(summary, pooled ? "torch.cat([x.mean([1], True), x.amax([1], True)], 1)" : "x");
  b.line(fmt::format("x * torch.sigmoid({})", convolution(b, summary, pooled ? 2 : b.channels(), 1, {})));
}

void dense_concat(B& b) {
  for (int64_t left = b.between(1, 2); left > 0; --left) {
    const std::string y = b.fresh("y");
    const int64_t growth = b.between(2, 3);
    b.let(y, activated(b, convolution(b, b.pick({"x", "torch.relu(x)"}), b.channels(), growth, {})));
    b.line(fmt::format(
        fmt::runtime(b.pick({"torch.cat([x, {}], 1)", "torch.cat([{}, x], dim=1)", "torch.concat([x, {}], 1)"})), y));
    b.shape[0] += growth;
  }
}

/// As DenseNet's features: a list that grows.
void dense_list(B& b) {
  const std::string list = b.fresh("list");
  b.let(list, "[x]");
  int64_t channels = b.channels();
  for (int64_t left = 2; left > 0; --left) {
    const int64_t growth = b.between(2, 3);
    const std::string all = fmt::format("torch.cat({}, 1)", list);
    b.statement(fmt::format("{}.append({})", list, activated(b, convolution(b, all, channels, growth, {}))));
    channels += growth;
  }
  b.line(fmt::format("torch.cat({}, 1)", list));
  b.shape[0] = channels;
}

/// Branches of other kernels side by side.
void inception(B& b) {
  const std::string first = b.fresh("y");
  const std::string second = b.fresh("y");
  const int64_t in_first = b.between(2, 4);
  const int64_t in_second = b.between(2, 4);
  b.let(first, convolution(b, "x", b.channels(), in_first, pointwise));
  b.let(second, convolution(b, "x", b.channels(), in_second, {}));
  const std::string pooled =
      fmt::format("torch.{}(x, {}, {}, {})", with_dimensions(b, b.pick({"max_pool", "avg_pool"})), each(b, 3),
                  each(b, 1), each(b, 1));
  b.line(fmt::format("torch.relu(torch.cat([{}, {}, {}], 1))", first, second, pooled));
  b.shape[0] += in_first + in_second;
}

/// One half of the channels passes through.
void shuffle_unit(B& b) {
  require_channels(b, 2, 4);
  const int64_t half = b.channels() / 2;
  const std::string kept = b.fresh("y");
  const std::string changed = b.fresh("y");
  b.statement(fmt::format("{}, {} = {}", kept, changed,
                          b.pick({"x.chunk(2, 1)", fmt::format("torch.split(x, [{0}, {0}], 1)", half)})));
  b.let(changed, activated(b, convolution(b, changed, half, half, pointwise)));
  b.let(changed, convolution(b, changed, half, half, {.groups = half}));
  b.let(changed, activated(b, convolution(b, changed, half, half, pointwise)));
  b.line(fmt::format("torch.cat(({}, {}), 1)", kept, changed));
  b.let("shuffled", fmt::format("{}.view([x.size(0), 2, {}, {}])", b.viewable(), half,
                                joined({b.shape.begin() + 1, b.shape.end()})));
  b.line(fmt::format("torch.transpose(shuffled, 1, 2).contiguous().view({})",
                     fmt::format("[x.size(0), -1, {}]", joined({b.shape.begin() + 1, b.shape.end()}))));
}

/// Expansion, depthwise convolution, projection: MobileNetV2's.
void inverted_residual(B& b) {
  const int64_t inner = 2 * b.channels();
  const std::string y = b.fresh("y");
  b.let(y, fmt::format("torch.relu6({})", batch_norm(b, convolution(b, "x", b.channels(), inner, pointwise), inner)));
  b.let(y, activated(b, convolution(b, y, inner, inner, {.groups = inner})));
  b.line(fmt::format("x + {}", convolution(b, y, inner, b.channels(), pointwise)));
}

/// `body` is written with a layer that is called twice: the weight stays the same.
std::string shared_convolution(B& b) {
  std::string call = convolution(b, "x", b.channels(), b.channels(), {});
  call.replace(call.find("(x,"), 3, "({},");
  return call;
}

void shared_in_a_row(B& b) {
  const std::string call = shared_convolution(b);
  b.line(activated(b, fmt::format(fmt::runtime(call), "x")));
  b.line(activated(b, fmt::format(fmt::runtime(call), "x")));
}

void shared_between_branches(B& b) {
  const std::string call = shared_convolution(b);
  const std::string y = b.fresh("y");
  const std::string other = b.pick({"torch.flip(x, [2])", "x * 0.5", "torch.relu(x)"});
  b.let(y, activated(b, fmt::format(fmt::runtime(call), other)));
  const std::string z = activated(b, fmt::format(fmt::runtime(call), "x"));
  const bool side_by_side = b.chance(2);
  b.line(fmt::format(fmt::runtime(side_by_side ? "torch.cat([{}, {}], 1)" : "{} + {}"), z, y));
  if (side_by_side) b.shape[0] *= 2;
}

/// A convolution whose weight is made in forward.
void computed_weight(B& b, const std::string& expression, const std::string& scale) {
  const std::string name = b.fresh("conv");
  const int64_t out = b.between(3, 7);
  std::vector<int64_t> size(b.dimensions() + 2, 3);
  size[0] = out;
  size[1] = b.channels();
  const std::string direction = b.parameter(name + ".direction", b.draw(size, 1));
  std::fill(size.begin() + 1, size.end(), 1);
  const std::string length = b.scale(name + ".length", size);
  const std::string axes = b.dimensions() == 1 ? "[1, 2]" : b.dimensions() == 2 ? "[1, 2, 3]" : "[1, 2, 3, 4]";
  const std::string weight = fmt::format(fmt::runtime(expression), direction, length, axes) + scale;
  b.line(fmt::format("torch.{}(x, {}, {}, {}, {})", with_dimensions(b, "conv"), weight, b.bias(name + ".bias", out),
                     each(b, 1), each(b, 1)));
  b.shape[0] = out;
}

void weight_norm(B& b) {
  computed_weight(b, b.pick({"{1} * ({0} / torch.norm({0}, 2, {2}, True))", "torch._weight_norm({0}, {1}, 0)"}), "");
}

void standardised_weight(B& b) {
  computed_weight(b, "{1} * ({0} - {0}.mean({2}, True)) / torch.sqrt({0}.var({2}, False, True) + 1e-5)",
                  b.pick({" * 0.3", " / 4."}));
}

}  // namespace

const Parts& block_parts() {
  static const Parts parts = {
      {"convolution block", convolution_block},
      {"identity shortcut", [](B& b) { join(b, "x", branch(b, b.channels(), 1)); }},
      {"projection shortcut", projection_shortcut},
      {"padded shortcut", padded_shortcut},
      {"gate of convolutions", gate_of_convolutions},
      {"gate of linear layers", gate_of_linear_layers},
      {"spatial gate", spatial_gate},
      {"dense concat", dense_concat},
      {"dense list", dense_list},
      {"inception", inception, [](const B& b) { return b.smallest() >= 3; }},
      {"shuffle unit", shuffle_unit},
      {"inverted residual", inverted_residual},
      {"shared in a row", shared_in_a_row},
      {"shared between branches", shared_between_branches},
      {"weight norm of a convolution", weight_norm},
      {"standardised weight", standardised_weight},
  };
  return parts;
}

}  // namespace incite::test
