#include "support/random_network_builder.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <algorithm>
#include <cmath>

namespace incite::test {
namespace {

/// What the network gives for 64 samples, or nothing where its signal has vanished, exploded or become constant on the
/// way, or where rounding errors have grown.
at::Tensor healthy_logits(const RandomNetwork& network, uint64_t seed) {
  const at::NoGradGuard no_grad;
  const torch::jit::GraphOptimizerEnabledGuard slow_first_runs(false);
  torch::jit::Module module = network.module();
  const at::Tensor input = network.input(64, seed);
  const at::Tensor logits = module.forward({input.clone()}).toTensor();
  const at::Tensor deviation = logits.std(0);
  const at::Tensor distance = (logits - std::get<0>(logits.median(0))).abs();
  // Whether all values are at least (or at most) so much; false where one is not a number.
  const auto at_least = [](const at::Tensor& values, double bound) { return (values >= bound).all().item<bool>(); };
  const auto at_most = [](const at::Tensor& values, double bound) { return (values <= bound).all().item<bool>(); };
  const bool varies = at_least(deviation, 1e-3) && at_most(deviation, 1e3) &&
                      at_most(logits.mean(0).abs() / deviation, 25) &&
                      at_least(std::get<0>(distance.median(0)) / deviation, 0.1);
  if (!varies) return {};
  for (int64_t i = 0; i < 16; ++i) {
    const at::Tensor alone = module.forward({input.narrow(0, i, 1)}).toTensor();
    if (!at_most((alone - logits.narrow(0, i, 1)).abs() / deviation, 5e-6)) return {};
  }
  return logits;
}

}  // namespace

NetworkBuilder::NetworkBuilder(uint64_t seed) : random_(derive_seed(seed, "network")), seed_(seed) {
  network.source = "def forward(self, x):\n";
}

int64_t NetworkBuilder::between(int64_t low, int64_t high) {
  return low + static_cast<int64_t>(random_.below(static_cast<uint64_t>(high - low + 1)));
}

void NetworkBuilder::write_one_of(const Parts& parts) {
  std::vector<const Part*> fitting;
  for (const Part& part : parts) {
    if (part.fits == nullptr || part.fits(*this)) fitting.push_back(&part);
  }
  if (fitting.empty()) return;
  const Part& part = *fitting[random_.below(fitting.size())];
  network.parts.emplace_back(part.name);
  part.write(*this);
}

at::Tensor NetworkBuilder::draw(const std::vector<int64_t>& size, double scale) {
  return normal(size, derive_seed(seed_, fmt::format("tensor {}", count_++))) * scale;
}

std::string NetworkBuilder::parameter(const std::string& name, const at::Tensor& tensor) {
  network.tensors[name] = tensor;
  return "self." + name;
}

std::string NetworkBuilder::weight(const std::string& name, const std::vector<int64_t>& size, int64_t fan_in) {
  at::Tensor values = draw(size, 1.8 / std::sqrt(static_cast<double>(fan_in)));
  // What all inputs have in common, such as the mean of a sigmoid, would drown what tells samples apart.
  const at::Tensor rows = values.flatten(1);
  if (rows.size(1) >= 3) rows.sub_(rows.mean(1, true) * 0.9);
  return parameter(name, values);
}

int64_t NetworkBuilder::elements() const {
  int64_t product = 1;
  for (const int64_t size : shape)
    product *= size;
  return product;
}

int64_t NetworkBuilder::smallest() const {
  return *std::min_element(shape.begin() + 1, shape.end());
}

bool NetworkBuilder::finish() {
  const std::string body = network.source;
  statement("return x");
  const at::Tensor logits = healthy_logits(network, seed_);
  if (!logits.defined()) return false;
  const at::Tensor deviation = logits.std(0);
  const auto bias = network.tensors.find("head.bias");
  const bool centred = bias != network.tensors.end() && !rectified;
  const at::Tensor centre = centred ? logits.mean(0) : at::zeros_like(deviation);
  if (bias != network.tensors.end()) bias->second = (bias->second - centre) / deviation;
  at::Tensor& weight = network.tensors.at("head.weight");
  std::vector<int64_t> per_output(static_cast<size_t>(weight.dim()), 1);
  per_output[0] = -1;
  weight = weight / deviation.view(per_output);
  network.source = body;
  end((logits - centre) / deviation);
  statement("return x");
  return true;
}

void NetworkBuilder::end(const at::Tensor& logits) {
  const std::string end = pick({"", "", "softmax", "log_softmax", "sigmoid"});
  const at::Tensor outputs = end == "softmax"       ? at::softmax(logits, 1)
                             : end == "log_softmax" ? at::log_softmax(logits, 1)
                             : end == "sigmoid"     ? at::sigmoid(logits)
                                                    : logits;
  // A softmax of values far from 0 would be constant.
  const bool fits = outputs.std(0).min().item<double>() > 0.06;
  network.parts.emplace_back(end.empty() || !fits ? "end without" : "end " + end);
  if (end.empty() || !fits) return;
  line(end == "sigmoid" ? "torch.sigmoid(x)" : fmt::format("torch.{}(x, {})", end, pick({"1", "-1", "dim=1"})));
}

std::string joined(const std::vector<int64_t>& values) {
  return fmt::format("{}", fmt::join(values, ", "));
}

std::string each(const NetworkBuilder& b, int64_t value) {
  return fmt::format("[{}]", joined(std::vector<int64_t>(b.dimensions(), value)));
}

std::string spatial_axes(const NetworkBuilder& b) {
  std::vector<int64_t> axes;
  for (size_t i = 0; i < b.dimensions(); ++i)
    axes.push_back(static_cast<int64_t>(i) + 2);
  return fmt::format("[{}]", joined(axes));
}

std::string with_dimensions(const NetworkBuilder& b, const std::string& name) {
  return fmt::format("{}{}d", name, b.dimensions());
}

std::string convolution(NetworkBuilder& b, const std::string& input, int64_t in, int64_t out, const Window& window) {
  const std::string name = b.fresh("conv");
  std::vector<int64_t> size(b.dimensions() + 2, window.kernel);
  size[0] = out;
  size[1] = in / window.groups;
  int64_t fan_in = size[1];
  for (size_t i = 0; i < b.dimensions(); ++i)
    fan_in *= window.kernel;
  const std::string weight = b.weight(name + ".weight", size, fan_in);
  const std::string bias = b.chance(3) ? "None" : b.bias(name + ".bias", out);
  const std::string common = fmt::format("{}, {}, {}, {}, {}, {}", input, weight, bias, each(b, window.stride),
                                         each(b, window.padding), each(b, window.dilation));
  // What a trace may hold.
  if (b.chance(8)) {
    return fmt::format("torch._convolution({}, False, {}, {}, False, False, True, True)", common, each(b, 0),
                       window.groups);
  }
  return fmt::format("torch.{}({}, {})", with_dimensions(b, "conv"), common, window.groups);
}

std::string linear(NetworkBuilder& b, const std::string& input, int64_t in, int64_t out) {
  const std::string name = b.fresh("fc");
  const std::string weight = b.weight(name + ".weight", {out, in}, in);
  const std::string bias = b.chance(4) ? "None" : b.bias(name + ".bias", out);
  return fmt::format("torch.linear({}, {}, {})", input, weight, bias);
}

std::string batch_norm(NetworkBuilder& b, const std::string& input, int64_t channels) {
  const std::string name = b.fresh("bn");
  const bool affine = !b.chance(6);
  const std::string weight = affine ? b.scale(name + ".weight", {channels}) : "None";
  const std::string bias = affine ? b.bias(name + ".bias", channels) : "None";
  const std::string mean = b.parameter(name + ".running_mean", b.draw({channels}, 0.3));
  const std::string variance = b.parameter(name + ".running_var", b.draw({channels}, 0.3).abs() + 0.5);
  return fmt::format("torch.batch_norm({}, {}, {}, {}, {}, False, 0.1, 1e-5, False)", input, weight, bias, mean,
                     variance);
}

std::string layer_norm(NetworkBuilder& b, const std::string& input, int64_t features) {
  if (b.chance(5)) return fmt::format("torch.layer_norm({}, [{}], None, None, {})", input, features, norm_epsilon);
  const std::string name = b.fresh("ln");
  const std::string weight = b.scale(name + ".weight", {features});
  const std::string bias = b.bias(name + ".bias", features);
  return fmt::format("torch.layer_norm({}, [{}], {}, {}, {}, False)", input, features, weight, bias, norm_epsilon);
}

std::string activated(NetworkBuilder& b, const std::string& input) {
  return fmt::format(
      fmt::runtime(b.pick({"torch.relu({})", "torch.relu({})", "torch.gelu({})", "torch.silu({})", "torch.tanh({})",
                           "torch.leaky_relu({}, 0.1)", "torch.elu({})", "torch.hardswish({})"})),
      input);
}

void convolve(NetworkBuilder& b, int64_t out, const Window& window) {
  b.line(convolution(b, "x", b.channels(), out, window));
  b.shape[0] = out;
  const int64_t reach = window.dilation * (window.kernel - 1) + 1;
  for (size_t i = 1; i < b.shape.size(); ++i)
    b.shape[i] = (b.shape[i] + 2 * window.padding - reach) / window.stride + 1;
}

void require_channels(NetworkBuilder& b, int64_t of, int64_t least) {
  if (b.channels() % of == 0 && b.channels() >= least) return;
  const int64_t channels = (std::max(b.channels(), least) + of - 1) / of * of;
  convolve(b, channels, {.kernel = 1, .padding = 0});
}

void convolution_block(NetworkBuilder& b) {
  convolve(b, b.between(4, 8), {});
  if (b.chance(2)) b.line(batch_norm(b, "x", b.channels()));
  b.write_one_of(activation_parts());
}

const Parts& activation_parts() {
  static const Parts parts = {
      {"relu", [](NetworkBuilder& b) { b.line("torch.relu(x)"); }},
      {"relu_", [](NetworkBuilder& b) { b.line("torch.relu_(x)"); }},
      {"relu6",
       [](NetworkBuilder& b) {
         b.line(b.pick({"torch.relu6(x)", "torch.hardtanh(x, 0., 6.)"}));
       }},
      {"tanh", [](NetworkBuilder& b) { b.line("torch.tanh(x)"); }},
      {"sigmoid", [](NetworkBuilder& b) { b.line("torch.sigmoid(x)"); }},
      {"gelu",
       [](NetworkBuilder& b) {
         b.line(b.pick({"torch.gelu(x)", "torch.gelu(x, approximate=\"tanh\")"}));
       }},
      {"silu",
       [](NetworkBuilder& b) {
         b.line(b.pick({"torch.silu(x)", "torch.silu_(x)", "x * torch.sigmoid(x)"}));
       }},
      {"mish", [](NetworkBuilder& b) { b.line("torch.mish(x)"); }},
      {"leaky_relu",
       [](NetworkBuilder& b) {
         b.line(b.pick({"torch.leaky_relu(x, 0.1)", "torch.leaky_relu_(x, 0.2)"}));
       }},
      {"elu",
       [](NetworkBuilder& b) {
         b.line(b.pick({"torch.elu(x)", "torch.selu(x)", "torch.celu(x, 0.5)"}));
       }},
      {"softplus",
       [](NetworkBuilder& b) {
         b.line(b.pick({"torch.softplus(x)", "x / (1. + x.abs())"}));
       }},
      {"hardtanh",
       [](NetworkBuilder& b) {
         b.line(b.pick({"torch.hardtanh(x)", "torch.clamp(x, -1.0, 2.0)", "x.clamp_(-2., 2.)"}));
       }},
      {"hardswish",
       [](NetworkBuilder& b) {
         b.line(b.pick({"torch.hardswish(x)", "torch.hardsigmoid(x)", "torch.hardswish_(x)"}));
       }},
      {"log_sigmoid", [](NetworkBuilder& b) { b.line("torch.log_sigmoid(x)"); }},
      {"softshrink",
       [](NetworkBuilder& b) {
         b.line(b.pick({"torch.softshrink(x, 0.2)", "torch.relu(x) ** 2 * 0.5"}));
       }},
      {"sine",
       [](NetworkBuilder& b) {
         b.line(b.pick({"torch.sin(x)", "torch.erf(x)", "torch.atan(x)"}));
       }},
      {"max with itself",
       [](NetworkBuilder& b) {
         b.line(b.pick({"torch.maximum(x, x * 0.2)", "torch.where(x > 0, x, 0.1 * x)"}));
       }},
  };
  return parts;
}

}  // namespace incite::test
