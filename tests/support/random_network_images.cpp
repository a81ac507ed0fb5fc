// Convolutional networks: their order, and the layers that keep channels apart or mix all of them.

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "support/random_network_builder.hpp"

namespace incite::test {
namespace {

using B = NetworkBuilder;

bool at_least_3(const B& b) {
  return b.smallest() >= 3;
}
bool at_least_4(const B& b) {
  return b.smallest() >= 4;
}
bool may_grow(const B& b) {
  return b.elements() << b.dimensions() <= 4000;
}

std::string channels_last(const B& b) {
  return b.dimensions() == 1 ? "0, 2, 1" : b.dimensions() == 2 ? "0, 2, 3, 1" : "0, 2, 3, 4, 1";
}
std::string channels_first(const B& b) {
  return b.dimensions() == 1 ? "0, 2, 1" : b.dimensions() == 2 ? "0, 3, 1, 2" : "0, 4, 1, 2, 3";
}

void resize(B& b, int64_t factor) {
  for (size_t i = 1; i < b.shape.size(); ++i)
    b.shape[i] *= factor;
}

void same_convolution(B& b) {
  const std::string name = b.fresh("conv");
  const int64_t kernel = b.chance(3) ? 1 : 3;
  const int64_t out = b.between(3, 8);
  std::vector<int64_t> size(b.dimensions() + 2, kernel);
  size[0] = out;
  size[1] = b.channels();
  const auto window = static_cast<int64_t>(std::pow(kernel, b.dimensions()));
  const std::string weight = b.weight(name + ".weight", size, b.channels() * window);
  const std::string bias = b.chance(3) ? "None" : b.bias(name + ".bias", out);
  const std::string function = b.chance(3) ? "_convolution_mode" : with_dimensions(b, "conv");
  b.line(fmt::format("torch.{}(x, {}, {}, {}, \"same\", {}, 1)", function, weight, bias, each(b, 1),
                     each(b, b.between(1, 2))));
  b.shape[0] = out;
}

void transposed_convolution(B& b, int64_t groups) {
  require_channels(b, groups);
  const std::string name = b.fresh("up");
  const int64_t out = groups * b.between(groups == 1 ? 3 : 2, groups == 1 ? 6 : 3);
  const int64_t kernel = b.between(2, 3);
  std::vector<int64_t> size(b.dimensions() + 2, kernel);
  size[0] = b.channels();
  size[1] = out / groups;
  const std::string weight = b.weight(name + ".weight", size, b.channels() / groups * 2);
  const std::string bias = b.chance(3) ? "None" : b.bias(name + ".bias", out);
  b.line(fmt::format("torch.{}(x, {}, {}, {}, {}, {}, {}, {})", with_dimensions(b, "conv_transpose"), weight, bias,
                     each(b, 2), each(b, kernel - 2), each(b, kernel - 2), groups, each(b, 1)));
  resize(b, 2);
  b.shape[0] = out;
}

void group_norm(B& b) {
  const int64_t groups = b.between(1, 4);
  require_channels(b, groups, groups * 2);
  const std::string name = b.fresh("gn");
  const std::string affine =
      b.chance(4) ? "None, None"
                  : b.scale(name + ".weight", {b.channels()}) + ", " + b.bias(name + ".bias", b.channels());
  b.line(fmt::format("torch.group_norm(x, {}, {}, {}, False)", groups, affine, norm_epsilon));
}

void instance_norm(B& b, bool affine) {
  const std::string name = b.fresh("in");
  const std::string both =
      affine ? b.scale(name + ".weight", {b.channels()}) + ", " + b.bias(name + ".bias", b.channels()) : "None, None";
  b.line(fmt::format("torch.instance_norm(x, {}, None, None, True, 0.1, {}, False)", both, norm_epsilon));
}

void norm_channels_last(B& b) {
  b.line(fmt::format("x.permute({})", channels_last(b)));
  b.line(layer_norm(b, "x", b.channels()));
  b.line(fmt::format("x.permute([{}])", channels_first(b)));
  b.strided = true;
}

void upsample(B& b, const std::string& function, const std::string& option) {
  resize(b, 2);
  const std::vector<int64_t> space(b.shape.begin() + 1, b.shape.end());
  if (b.chance(2)) {
    b.line(fmt::format("torch.{}(x, [{}]{})", function, joined(space), option));
  } else {
    const std::string factors = b.dimensions() == 1 ? "[2.]" : b.dimensions() == 2 ? "[2., 2.]" : "[2., 2., 2.]";
    b.line(fmt::format("torch.{}(x, None{}, {})", function, option, factors));
  }
}

void pad(B& b, bool reflect) {
  std::vector<int64_t> sides;
  for (size_t i = 1; i < b.shape.size(); ++i) {
    // The last axis comes first.
    const int64_t before = b.between(0, 2);
    const int64_t after = b.between(0, 1);
    sides.insert(sides.end(), {before, after});
    b.shape[b.shape.size() - i] += before + after;
  }
  const std::string mode = reflect ? b.pick({", \"reflect\"", ", \"replicate\""}) : b.pick({"", ", \"constant\", 0."});
  b.line(fmt::format("torch.pad(x, [{}]{})", joined(sides), mode));
}

void pool(B& b, const std::string& function) {
  const bool overlapping = b.chance(3);
  const std::string name = with_dimensions(b, function);
  const std::string window = overlapping ? fmt::format("{}, {}, {}", each(b, 3), each(b, 2), each(b, 1))
                                         : b.pick({each(b, 2), each(b, 2) + ", " + each(b, 2)});
  if (function == "max_pool" && b.chance(3)) {
    b.statement(fmt::format("x, {} = torch.{}_with_indices(x, {})", b.fresh("at"), name, window));
  } else {
    b.line(fmt::format("torch.{}(x, {})", name, window));
  }
  for (size_t i = 1; i < b.shape.size(); ++i)
    b.shape[i] = overlapping ? (b.shape[i] - 1) / 2 + 1 : b.shape[i] / 2;
}

void adaptive_pool(B& b, bool maximum) {
  const int64_t size = b.between(1, 3);
  if (maximum) {
    b.statement(
        fmt::format("x, {} = torch.{}(x, {})", b.fresh("at"), with_dimensions(b, "adaptive_max_pool"), each(b, size)));
  } else {
    b.line(fmt::format("torch.{}(x, {})", with_dimensions(b, "adaptive_avg_pool"), each(b, size)));
  }
  std::fill(b.shape.begin() + 1, b.shape.end(), size);
}

/// Adds a summary over space to each place.
void with_summary(B& b, const std::string& summary) {
  b.line(fmt::format("x + x.{} * 0.5", fmt::format(fmt::runtime(summary), spatial_axes(b))));
}

void flatten(B& b, const std::string& expression) {
  b.line(expression);
  b.shape = {b.elements()};
}

void reduce(B& b, const std::string& expression) {
  b.line(fmt::format(fmt::runtime(expression), spatial_axes(b)));
  b.shape = {b.channels()};
}

void write_stem(B& b) {
  if (b.chance(5)) {
    std::vector<int64_t> size(b.shape.size(), 1);
    size[0] = b.channels();
    const std::string mean = b.parameter("constant_mean", b.draw(size, 0.2));
    const std::string deviation = b.parameter("constant_deviation", b.draw(size, 0.2).abs() + 0.8);
    b.line(fmt::format("(x - {}) / {}", mean, deviation));
  }
  if (b.chance(8)) b.line(batch_norm(b, "x", b.channels()));
  convolution_block(b);
}

void write_patches(B& b) {
  b.line(b.pick(
      {"x.flatten(2).transpose(1, 2)", fmt::format("x.reshape(x.size(0), {}, -1).permute(0, 2, 1)", b.channels())}));
  b.strided = true;
  b.shape = {b.elements() / b.channels(), b.channels()};
}

}  // namespace

const Parts& convolution_parts() {
  static const Parts parts = {
      {"strided convolution", [](B& b) { convolve(b, b.between(3, 8), {.kernel = b.between(2, 3), .stride = 2}); },
       at_least_4},
      {"pointwise convolution", [](B& b) { convolve(b, b.between(4, 9), {.kernel = 1, .padding = 0}); }},
      {"dilated convolution", [](B& b) { convolve(b, b.between(3, 8), {.padding = 2, .dilation = 2}); }, at_least_3},
      {"same convolution", same_convolution, at_least_3},
      {"grouped convolution",
       [](B& b) {
         const int64_t groups = b.between(2, 4);
         require_channels(b, groups, 2 * groups);
         convolve(b, groups * b.between(1, 3), {.groups = groups});
       }},
      {"depthwise convolution", [](B& b) { convolve(b, b.channels(), {.groups = b.channels()}); }},
      {"depthwise convolution with multiplier",
       [](B& b) {
         if (b.channels() > 6) convolve(b, 4, {.kernel = 1, .padding = 0});
         convolve(b, 2 * b.channels(), {.groups = b.channels()});
       }},
      {"transposed convolution", [](B& b) { transposed_convolution(b, 1); }, may_grow},
      {"grouped transposed convolution", [](B& b) { transposed_convolution(b, b.between(2, 3)); }, may_grow},
      {"batch_norm", [](B& b) { b.line(batch_norm(b, "x", b.channels())); }},
      {"instance_norm", [](B& b) { instance_norm(b, false); }, at_least_3},
      {"affine instance_norm", [](B& b) { instance_norm(b, true); }, at_least_3},
      {"group_norm", group_norm, at_least_3},
      {"layer_norm over channels", norm_channels_last},
      {"prelu",
       [](B& b) { b.line(fmt::format("torch.prelu(x, {})", b.bias(b.fresh("prelu") + ".weight", b.channels()))); }},
      {"shared prelu",
       [](B& b) { b.line(fmt::format("torch.prelu(x, {})", b.bias(b.fresh("prelu") + ".weight", 1))); }},
      {"max_pool", [](B& b) { pool(b, "max_pool"); }, at_least_4},
      {"avg_pool", [](B& b) { pool(b, "avg_pool"); }, at_least_4},
      {"adaptive_avg_pool", [](B& b) { adaptive_pool(b, false); }, at_least_4},
      {"adaptive_max_pool", [](B& b) { adaptive_pool(b, true); }, at_least_4},
      {"nearest upsampling", [](B& b) { upsample(b, with_dimensions(b, "upsample_nearest"), ""); }, may_grow},
      {"linear upsampling",
       [](B& b) {
         static const std::vector<std::string> names = {"", "linear1d", "bilinear2d", "trilinear3d"};
         upsample(b, "upsample_" + names[b.dimensions()], b.pick({", False", ", True"}));
       },
       may_grow},
      {"zero padding", [](B& b) { pad(b, false); }, may_grow},
      {"reflection padding", [](B& b) { pad(b, true); }, [](const B& b) { return at_least_3(b) && may_grow(b); }},
      {"spatial mean", [](B& b) { with_summary(b, "mean({}, True)"); }},
      {"spatial maximum", [](B& b) { with_summary(b, "amax({}, True)"); }},
      {"spatial sum", [](B& b) { with_summary(b, "sum({}, True).tanh()"); }},
      {"spatial deviation", [](B& b) { with_summary(b, "std({}, False, True)"); }, at_least_3},
      {"dropout",
       [](B& b) {
         b.line(b.pick({"torch.dropout(x, 0.5, False)", "torch.feature_dropout(x, 0.2, False)"}));
       }},
      {"scalar arithmetic",
       [](B& b) {
         b.line(b.pick({"x * 0.5 + 0.1", "(x - 0.2) / 0.7", "1. - x", "-x"}));
       }},
      {"sum along space", [](B& b) { b.line("torch.cumsum(x, 2) * 0.3"); }},
  };
  return parts;
}

const Parts& flatten_parts() {
  static const Parts parts = {
      {"flatten",
       [](B& b) {
         flatten(b, b.pick({"torch.flatten(x, 1)", "x.flatten(1)", "torch.flatten(x, 1, -1)"}));
       }},
      {"view to features",
       [](B& b) {
         flatten(b, b.viewable() + b.pick({".view(x.size(0), -1)", fmt::format(".view([x.shape[0], {}])", b.elements()),
                                           fmt::format(".view(-1, {})", b.elements())}));
       }},
      {"reshape to features",
       [](B& b) {
         flatten(b, b.pick({"x.reshape(x.size(0), -1)", fmt::format("x.reshape(-1, {})", b.elements())}));
       }},
      {"channels last to features",
       [](B& b) {
         flatten(b,
                 fmt::format("x.permute({}).{}", channels_last(b), b.pick({"flatten(1)", "reshape(x.size(0), -1)"})));
       }},
      {"flatten in two steps",
       [](B& b) { flatten(b, b.dimensions() == 1 ? "x.unsqueeze(1).flatten(1)" : "x.flatten(2).flatten(1)"); }},
      {"mean over space", [](B& b) { reduce(b, "x.mean({})"); }},
      {"maximum over space", [](B& b) { reduce(b, "x.amax({})"); }},
      {"sum over space", [](B& b) { reduce(b, "x.sum({}) * 0.2"); }},
      {"deviation over space", [](B& b) { reduce(b, "x.std({}, False)"); }, at_least_3},
      {"global pooling",
       [](B& b) {
         b.line(fmt::format("torch.{}(x, {})", with_dimensions(b, "adaptive_avg_pool"), each(b, 1)));
         std::fill(b.shape.begin() + 1, b.shape.end(), 1);
         flatten(b, b.pick({"torch.flatten(x, 1)", "x.view(x.size(0), -1)",
                            b.dimensions() == 2 ? "x.squeeze(-1).squeeze(-1)" : "x.flatten(1)",
                            b.dimensions() == 2 ? "x[:, :, 0, 0]" : "x.reshape(x.shape[0], -1)"}));
       }},
      {"mean and maximum over space",
       [](B& b) {
         b.line(fmt::format("torch.cat([x.mean({0}), x.amax({0})], 1)", spatial_axes(b)));
         b.shape = {2 * b.channels()};
       }},
  };
  return parts;
}

void write_convolution_head(B& b) {
  b.network.parts.emplace_back("convolution head");
  b.network.outputs = b.between(2, 5);
  std::vector<int64_t> size(b.shape.size() + 1, 1);
  size[0] = b.network.outputs;
  size[1] = b.channels();
  const std::string weight = b.weight("head.weight", size, b.channels());
  const std::string bias = b.bias("head.bias", b.network.outputs);
  b.line(fmt::format("torch.{}(x, {}, {}, {}, {}, {}, 1)", with_dimensions(b, "conv"), weight, bias, each(b, 1),
                     each(b, 0), each(b, 1)));
  b.rectified = b.chance(3);
  if (b.rectified) b.line(b.pick({"torch.relu(x)", "torch.relu_(x)"}));
  b.line(b.pick({fmt::format("torch.{}(x, {}).flatten(1)", with_dimensions(b, "adaptive_avg_pool"), each(b, 1)),
                 fmt::format("x.mean({})", spatial_axes(b)), fmt::format("x.amax({})", spatial_axes(b))}));
}

void write_images(B& b) {
  const int64_t kind = b.between(0, 9);
  const int64_t dimensions = kind < 7 ? 2 : kind < 9 ? 1 : 3;
  b.shape = {b.between(1, 4)};
  for (int64_t i = 0; i < dimensions; ++i)
    b.shape.push_back(dimensions == 3 ? b.between(4, 5) : b.between(6, 10));
  b.network.input_shape = b.shape;
  write_stem(b);
  for (int64_t left = b.between(3, 7); left > 0; --left) {
    const int64_t table = b.between(0, 4);
    b.write_one_of(table < 2 ? convolution_parts() : table < 4 ? channel_parts() : block_parts());
    if (b.chance(2)) b.write_one_of(activation_parts());
    if (b.chance(3) || b.elements() > 1500) convolution_block(b);
  }
  if (b.chance(6)) return write_convolution_head(b);
  if (b.chance(8) && b.elements() / b.channels() <= 64) {
    write_patches(b);
    return write_sequence(b);
  }
  b.write_one_of(flatten_parts());
  write_dense(b, b.elements() > 60 ? 1 : 0);
}

}  // namespace incite::test
