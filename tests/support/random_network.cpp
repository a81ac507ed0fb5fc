#include "support/random_network.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>

#include "incite/base/random.hpp"
#include "support/script.hpp"

namespace incite::test {
namespace {

/// Writes a network part by part, and knows the shape that each line gives.
class Builder {
 public:
  explicit Builder(uint64_t seed) : random_(derive_seed(seed, "network")), seed_(seed) {}

  RandomNetwork build() {
    network_.source = "def forward(self, x):\n";
    if (random_.below(4) == 0) {
      shape_ = {between(2, 9)};
    } else if (random_.below(4) == 0) {
      shape_ = {between(1, 4), between(8, 14)};
    } else {
      shape_ = {between(1, 4), between(7, 11), between(7, 11)};
    }
    network_.input_shape = shape_;
    if (shape_.size() > 1) {
      const int64_t blocks = between(1, 3);
      for (int64_t i = 0; i < blocks; ++i)
        convolution_block();
      flatten();
    }
    const int64_t dense = between(shape_[0] > 60 ? 1 : 0, 3);
    for (int64_t i = 0; i < dense; ++i)
      dense_block();
    head();
    return std::move(network_);
  }

 private:
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_.below(static_cast<uint64_t>(high - low + 1)));
  }
  bool chance(uint64_t of) { return random_.below(of) == 0; }

  void line(const std::string& expression) { network_.source += "    x = " + expression + "\n"; }

  at::Tensor draw(const std::vector<int64_t>& shape, double scale) {
    return normal(shape, derive_seed(seed_, fmt::format("tensor {}", network_.tensors.size()))) * scale;
  }

  std::string parameter(const std::string& name, const at::Tensor& tensor) {
    network_.tensors[name] = tensor;
    return "self." + name;
  }

  std::string layer_name(const std::string& kind) { return fmt::format("{}{}", kind, count_++); }

  void convolution_block() {
    if (shape_[1] < 3) return;
    const bool residual = chance(4);
    const std::string before = fmt::format("y{}", count_);
    if (residual) network_.source += fmt::format("    {} = x\n", before);
    const int64_t channels = residual ? shape_[0] : between(3, 8);
    convolution(channels, residual);
    if (chance(2)) batch_norm();
    activation();
    if (residual) {
      convolution(channels, true);
      line(chance(2) ? fmt::format("x + {}", before) : fmt::format("torch.relu(x + {})", before));
    }
    if (chance(3)) depthwise();
    if (chance(2)) pool();
    if (chance(4)) line("torch.dropout(x, 0.5, False)");
    if (chance(8)) line(fmt::format("torch.cumsum(x, {})", between(1, 2)));  // unknown: pins
    if (chance(10)) line("x * 0.5 + 0.1");
  }

  bool two_dimensional() const { return shape_.size() == 3; }
  std::string dimensions(const std::string& name) const { return fmt::format("{}{}d", name, shape_.size() - 1); }
  std::string each(int64_t value) const {
    return two_dimensional() ? fmt::format("[{0}, {0}]", value) : fmt::format("[{}]", value);
  }

  void convolution(int64_t channels, bool same_size) {
    const std::string name = layer_name("conv");
    const int64_t kernel = same_size ? 3 : between(1, 3);
    const int64_t padding = same_size ? 1 : between(0, kernel / 2);
    const int64_t stride = same_size || shape_[1] < 6 ? 1 : between(1, 2);
    std::vector<int64_t> weight(shape_.size() + 1, kernel);
    weight[0] = channels;
    weight[1] = shape_[0];
    const double scale = 1.2 / std::sqrt(static_cast<double>(shape_[0]) * std::pow(kernel, shape_.size() - 1));
    const std::string w = parameter(name + ".weight", draw(weight, scale));
    const std::string b = chance(3) ? "None" : parameter(name + ".bias", draw({channels}, 0.3));
    line(fmt::format("torch.{}(x, {}, {}, {}, {}, {}, 1)", dimensions("conv"), w, b, each(stride), each(padding),
                     each(1)));
    shape_[0] = channels;
    for (size_t i = 1; i < shape_.size(); ++i)
      shape_[i] = (shape_[i] + 2 * padding - kernel) / stride + 1;
  }

  void depthwise() {
    const std::string name = layer_name("depthwise");
    const int64_t groups = shape_[0] % 2 == 0 && chance(3) ? 2 : shape_[0];
    std::vector<int64_t> weight(shape_.size() + 1, 3);
    weight[0] = shape_[0];
    weight[1] = shape_[0] / groups;
    const std::string w = parameter(name + ".weight", draw(weight, 0.5));
    const std::string b = parameter(name + ".bias", draw({shape_[0]}, 0.3));
    line(fmt::format("torch.{}(x, {}, {}, {}, {}, {}, {})", dimensions("conv"), w, b, each(1), each(1), each(1),
                     groups));
    activation();
  }

  void batch_norm() {
    const std::string name = layer_name("bn");
    const std::vector<int64_t> size = {shape_[0]};
    const std::string mean = parameter(name + ".running_mean", draw(size, 0.3));
    const std::string variance = parameter(name + ".running_var", draw(size, 0.3).abs() + 0.5);
    const std::string weight = parameter(name + ".weight", draw(size, 0.3) + 1);
    const std::string bias = parameter(name + ".bias", draw(size, 0.3));
    line(fmt::format("torch.batch_norm(x, {}, {}, {}, {}, False, 0.1, 1e-5, False)", weight, bias, mean, variance));
  }

  void activation() {
    static const std::vector<std::string> ways = {
        "torch.relu(x)",     "torch.tanh(x)",        "torch.sigmoid(x)",
        "torch.gelu(x)",     "torch.silu(x)",        "torch.leaky_relu(x, 0.1)",
        "torch.elu(x)",      "torch.relu_(x)",       "torch.softplus(x)",
        "torch.hardtanh(x)", "x * torch.sigmoid(x)", "torch.clamp(x, -1.0, 2.0)"};
    line(ways[random_.below(ways.size())]);
    if (chance(8)) {
      line(fmt::format("torch.prelu(x, {})", parameter(layer_name("prelu") + ".weight", draw({shape_[0]}, 0.3))));
    }
  }

  void pool() {
    if (shape_[1] < 4) return;
    const uint64_t way = random_.below(3);
    const int64_t size = way == 2 ? between(1, 3) : 2;
    const char* name = way == 0 ? "max_pool" : way == 1 ? "avg_pool" : "adaptive_avg_pool";
    line(fmt::format("torch.{}(x, {})", dimensions(name), each(size)));
    for (size_t i = 1; i < shape_.size(); ++i)
      shape_[i] = way == 2 ? size : shape_[i] / 2;
  }

  void flatten() {
    int64_t elements = 1;
    for (const int64_t size : shape_)
      elements *= size;
    switch (random_.below(6)) {
      case 0:
        line("x.view(x.size(0), -1)");
        break;
      case 1:
        line(fmt::format("x.reshape(-1, {})", elements));
        break;
      case 2:
        line(fmt::format("x.view([x.shape[0], {}])", elements));
        break;
      case 3:
        line(two_dimensional() ? "x.permute(0, 2, 3, 1).flatten(1)" : "x.transpose(1, 2).reshape(x.size(0), -1)");
        break;
      case 4:
        line(two_dimensional() ? "x.mean([2, 3])" : "x.mean([2])");
        elements = shape_[0];
        break;
      default:
        line("torch.flatten(x, 1)");
    }
    shape_ = {elements};
  }

  void linear(const std::string& name, int64_t features) {
    const std::string w =
        parameter(name + ".weight", draw({features, shape_[0]}, 1.2 / std::sqrt(static_cast<double>(shape_[0]))));
    const std::string b = chance(4) ? "None" : parameter(name + ".bias", draw({features}, 0.3));
    line(fmt::format("torch.linear(x, {}, {})", w, b));
    shape_ = {features};
  }

  void dense_block() {
    linear(layer_name("fc"), between(4, 14));
    activation();
    if (chance(8)) line(fmt::format("torch.layer_norm(x, [{}])", shape_[0]));
    if (chance(6)) line("torch.dropout(x, 0.3, False)");
  }

  void head() {
    network_.outputs = between(2, 5);
    linear("head", network_.outputs);
    static const std::vector<std::string> ends = {"", "", "torch.softmax(x, 1)", "torch.log_softmax(x, -1)",
                                                  "torch.sigmoid(x)"};
    const std::string& end = ends[random_.below(ends.size())];
    if (!end.empty()) line(end);
    network_.source += "    return x\n";
  }

  RandomNetwork network_;
  std::vector<int64_t> shape_;  // of one sample, so far
  Random random_;
  uint64_t seed_;
  int64_t count_ = 0;
};

}  // namespace

at::Tensor normal(const std::vector<int64_t>& shape, uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed));
}

torch::jit::Module RandomNetwork::module() const {
  torch::jit::Module root = module_with(tensors);
  root.define(source);
  return root;
}

at::Tensor RandomNetwork::input(int64_t samples, uint64_t seed) const {
  std::vector<int64_t> shape = {samples};
  shape.insert(shape.end(), input_shape.begin(), input_shape.end());
  return normal(shape, seed);
}

RandomNetwork random_network(uint64_t seed) {
  return Builder(seed).build();
}

}  // namespace incite::test
