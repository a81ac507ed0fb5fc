// What moves, joins, picks and mixes the channels of an image.

#include <fmt/format.h>

#include "support/random_network_builder.hpp"

namespace incite::test {
namespace {

using B = NetworkBuilder;

bool few_channels(const B& b) {
  return b.channels() <= 8;
}
bool several_channels(const B& b) {
  return b.channels() >= 4;
}
bool flat(const B& b) {
  return b.dimensions() == 2;
}

/// Sizes of `x` after its batch, with computed or constant sizes of space: "5, 7" or "x.size(2), x.size(3)".
std::string space(B& b) {
  if (b.chance(2)) return joined({b.shape.begin() + 1, b.shape.end()});
  std::string sizes;
  for (size_t i = 0; i < b.dimensions(); ++i)
    sizes += fmt::format("{}x.size({})", i == 0 ? "" : ", ", i + 2);
  return sizes;
}

std::string size_of_ones(const B& b) {
  std::string ones;
  for (size_t i = 0; i < b.dimensions(); ++i)
    ones += ", 1";
  return ones;
}

/// Channel shuffle, as ShuffleNet writes it.
void shuffle_by_view(B& b) {
  const int64_t groups = b.between(2, 3);
  require_channels(b, groups, 2 * groups);
  const int64_t each_group = b.channels() / groups;
  const std::string spatial = space(b);
  b.let("shuffled", fmt::format("{}.view(x.size(0), {}, {}, {})", b.viewable(), groups, each_group, spatial));
  b.let("shuffled", b.pick({"torch.transpose(shuffled, 1, 2).contiguous()", "shuffled.transpose(2, 1).contiguous()"}));
  b.line(fmt::format("shuffled.view(x.size(0), {}, {})", b.chance(2) ? b.channels() : -1, spatial));
}

void shuffle_by_chunks(B& b) {
  require_channels(b, 2, 4);
  const std::string first = b.fresh("y");
  const std::string second = b.fresh("y");
  const std::string halves =
      b.pick({"torch.chunk(x, 2, 1)", fmt::format("torch.split(x, {}, 1)", b.channels() / 2),
              fmt::format("torch.split_with_sizes(x, [{0}, {0}], 1)", b.channels() / 2), "x.chunk(2, dim=1)"});
  b.statement(fmt::format("{}, {} = {}", first, second, halves));
  b.line(fmt::format("torch.cat([{}, {}], 1)", second, first));
}

void shuffle_by_operation(B& b) {
  const int64_t groups = b.between(2, 3);
  require_channels(b, groups, 2 * groups);
  b.line(fmt::format("torch.{}(x, {})", b.pick({"channel_shuffle", "native_channel_shuffle"}), groups));
}

void pixel_shuffle(B& b) {
  require_channels(b, 4, 8);
  b.line("torch.pixel_shuffle(x, 2)");
  b.shape = {b.channels() / 4, 2 * b.shape[1], 2 * b.shape[2]};
}

void pixel_unshuffle(B& b) {
  if (b.channels() > 3) convolve(b, 3, {.kernel = 1, .padding = 0});
  const int64_t below = b.shape[1] % 2;
  const int64_t right = b.shape[2] % 2;
  if (below + right > 0) b.line(fmt::format("torch.pad(x, [0, {}, 0, {}])", right, below));
  b.shape = {b.channels(), b.shape[1] + below, b.shape[2] + right};
  b.line("torch.pixel_unshuffle(x, 2)");
  b.shape = {4 * b.channels(), b.shape[1] / 2, b.shape[2] / 2};
}

void take_channels(B& b, const std::string& expression, int64_t channels) {
  b.line(expression);
  b.shape[0] = channels;
  b.strided = true;
}

void slice_channels(B& b) {
  const int64_t from = b.between(0, 1);
  const int64_t to = b.channels() - b.between(0, 1);
  take_channels(b, b.pick({fmt::format("x[:, {}:{}]", from, to), fmt::format("x.narrow(1, {}, {})", from, to - from)}),
                to - from);
}

void select_channel(B& b) {
  const int64_t channel = b.between(0, b.channels() - 1);
  const std::string one =
      b.pick({fmt::format("x[:, {}:{}]", channel, channel + 1), fmt::format("x.select(1, {}).unsqueeze(1)", channel),
              fmt::format("x[:, {}].unsqueeze(1)", channel)});
  const bool joins = b.chance(3);
  if (joins) ++b.shape[0];
  b.line(fmt::format(fmt::runtime(joins ? "torch.cat([x, {}], 1)" : b.pick({"x * torch.sigmoid({})", "x + {} * 0.5"})),
                     one));
}

void index_channels(B& b) {
  const int64_t channels = b.between(3, 8);
  std::vector<int64_t> index;
  for (int64_t i = 0; i < channels; ++i)
    index.push_back(b.between(0, b.channels() - 1));
  const std::string name = b.parameter(b.fresh("index"), at::tensor(index, at::kLong));
  b.line(fmt::format("torch.index_select(x, 1, {})", name));
  b.shape[0] = channels;
}

void repeat_channels(B& b, const std::string& function) {
  b.line(fmt::format("x.{}([1, 2{}])", function, size_of_ones(b)));
  b.shape[0] *= 2;
}

/// Two branches of the same shape, stacked and reduced.
void stack(B& b, const std::string& expression) {
  const int64_t channels = b.between(3, 7);
  const std::string first = b.fresh("y");
  const std::string second = b.fresh("y");
  b.let(first, activated(b, convolution(b, "x", b.channels(), channels, {})));
  b.let(second, activated(b, convolution(b, "x", b.channels(), channels, {.kernel = 1, .padding = 0})));
  b.line(fmt::format(fmt::runtime(expression), first, second));
  b.shape[0] = channels;
}

void unbind_channels(B& b) {
  const std::string channels = b.fresh("y");
  b.let(channels, "torch.unbind(x, 1)");
  const int64_t last = b.channels() - 1;
  b.line(fmt::format("torch.stack([{0}[{1}], {0}[0], {0}[1] + {0}[{2}]], 1)", channels, last, last - 1));
  b.shape[0] = 3;
}

/// A 1x1 convolution as a product with a bare matrix.
void mix_channels(B& b, bool einsum) {
  const int64_t out = b.between(3, 8);
  const int64_t in = b.channels();
  const bool transposed = !einsum && b.chance(2);
  const std::string name = b.fresh("mix");
  const std::string weight =
      b.weight(name, transposed ? std::vector<int64_t>{in, out} : std::vector<int64_t>{out, in}, in);
  const std::string letters = std::string("hwd").substr(0, b.dimensions());
  const std::string spatial = space(b);
  if (einsum) {
    b.line(fmt::format("torch.einsum(\"nc{0},oc->no{0}\", [x, {1}])", letters, weight));
  } else if (transposed) {
    b.line(fmt::format("torch.matmul(x.transpose(1, -1), {}).transpose(1, -1)", weight));
  } else {
    b.line(fmt::format("torch.matmul({}, x.flatten(2)).reshape([x.size(0), {}, {}])", weight, out, spatial));
  }
  b.strided = true;
  b.shape[0] = out;
}

void add_parameter(B& b) {
  std::vector<int64_t> size(b.shape.size(), 1);
  size[0] = b.channels();
  if (b.chance(2)) size = b.shape;
  if (b.chance(2)) size.insert(size.begin(), 1);
  b.line(fmt::format("x + {}", b.parameter(b.fresh("offset"), b.draw(size, 0.4))));
}

void scale_channels(B& b) {
  std::vector<int64_t> size(b.shape.size(), 1);
  size[0] = b.channels();
  b.line(fmt::format("x * {}", b.scale(b.fresh("gamma"), size)));
}

void masked_fill(B& b) {
  if (b.chance(2)) return b.line("x.masked_fill(x < 0, 0.0)");
  const std::vector<int64_t> spatial(b.shape.begin() + 1, b.shape.end());
  b.line(fmt::format("x.masked_fill({}, 0.5)", b.parameter(b.fresh("mask"), b.draw(spatial, 1) > 0.7)));
}

void two_operands(B& b, const std::string& function) {
  const std::string y = b.fresh("y");
  b.let(y, convolution(b, "x", b.channels(), b.channels(), {}));
  b.line(fmt::format(fmt::runtime(function), y));
}

void write_into_slice(B& b) {
  b.statement(
      b.pick({"x[:, :2] = x[:, :2] * 0.5", "x[:, 1:] *= 0.7", "x[:, :2] = torch.tanh(x[:, -2:])", "x[:, ::2] = 0.5"}));
}

void write_into_channel(B& b) {
  b.statement(b.pick({"x[:, 0] += 1", "x[:, 1] = x[:, 0] * 0.5", "x[:, -1] *= 0.5", "x[:, 0] = 0."}));
}

/// Through an axis of size 1.
void unsqueeze(B& b) {
  if (b.dimensions() != 1)
    return b.line(b.pick({"x.unsqueeze(2).squeeze(2)", "torch.squeeze(x.unsqueeze(1) * 0.9, 1)"}));
  const std::string name = b.fresh("conv");
  const std::string weight = b.weight(name + ".weight", {b.channels(), b.channels(), 1, 3}, 3 * b.channels());
  b.line(fmt::format("torch.conv2d(x.unsqueeze(2), {}, None, [1, 1], [0, 1]).squeeze(2)", weight));
}

}  // namespace

const Parts& channel_parts() {
  static const Parts parts = {
      {"shuffle by view", shuffle_by_view},
      {"shuffle by chunks", shuffle_by_chunks},
      {"shuffle by operation", shuffle_by_operation},
      {"pixel_shuffle", pixel_shuffle, [](const B& b) { return flat(b) && b.shape[1] <= 9 && b.shape[2] <= 9; }},
      {"pixel_unshuffle", pixel_unshuffle, flat},
      {"glu",
       [](B& b) {
         require_channels(b, 2, 6);
         b.line("torch.glu(x, 1)");
         b.shape[0] /= 2;
       }},
      {"strided slice of channels", [](B& b) { take_channels(b, "x[:, ::2]", (b.channels() + 1) / 2); },
       several_channels},
      {"slice of channels", slice_channels, several_channels},
      {"one channel", select_channel},
      {"index_select of channels", index_channels},
      {"repeat of channels", [](B& b) { repeat_channels(b, "repeat"); }, few_channels},
      {"tile of channels", [](B& b) { repeat_channels(b, "tile"); }, few_channels},
      {"flip of channels", [](B& b) { b.line("torch.flip(x, [1])"); }},
      {"roll of channels",
       [](B& b) {
         b.line(b.pick({"torch.roll(x, 1, 1)", "torch.roll(x, [2], [1])"}));
       }},
      {"flip of space", [](B& b) { b.line("torch.flip(x, [2])"); }},
      {"roll of space", [](B& b) { b.line("torch.roll(x, [1], [-1])"); }},
      {"stack and sum",
       [](B& b) {
         stack(b, b.pick({"torch.stack([{}, {}], 0).sum(0)", "torch.stack([{}, {}]).sum([0])"}));
       }},
      {"stack and mean",
       [](B& b) {
         stack(b, b.pick({"torch.stack([{}, {}], 1).mean(1)", "torch.stack([{}, {}], dim=1).amax(1)"}));
       }},
      {"unbind of channels", unbind_channels, several_channels},
      {"einsum of channels", [](B& b) { mix_channels(b, true); }},
      {"matmul of channels", [](B& b) { mix_channels(b, false); }},
      {"added parameter", add_parameter},
      {"layer scale", scale_channels},
      {"masked_fill", masked_fill},
      {"where", [](B& b) { two_operands(b, "torch.where(x > 0, x, 0.1 * {})"); }},
      {"maximum",
       [](B& b) {
         two_operands(b, b.pick({"torch.maximum(x, {})", "torch.minimum(x, {})", "torch.max(x, {})"}));
       }},
      {"difference and product",
       [](B& b) {
         two_operands(b, b.pick({"x - {}", "x * {}", "x / (1. + {}.abs())"}));
       }},
      {"in-place sum",
       [](B& b) {
         two_operands(b, b.pick({"x.add_({})", "x.sub_({}, alpha=0.5)"}));
       }},
      {"in-place product",
       [](B& b) {
         two_operands(b, b.pick({"x.mul_(torch.sigmoid({}))", "x.mul_({})"}));
       }},
      {"write into a slice", write_into_slice, several_channels},
      {"write into a channel", write_into_channel, several_channels},
      {"unsqueeze and squeeze", unsqueeze},
      // Which mix channels in ways that cannot be cut.
      {"cumsum of channels", [](B& b) { b.line("torch.cumsum(x, 1) * 0.5"); }},
      {"normalised channels", [](B& b) { b.line("x / x.norm(2, [1], True).clamp_min(1e-4) * 2."); }},
      {"softmax of channels", [](B& b) { b.line(fmt::format("torch.softmax(x, 1) * {}.", b.channels())); }},
  };
  return parts;
}

}  // namespace incite::test
