// What reads features: linear layers and the head.

#include <fmt/format.h>

#include "support/random_network_builder.hpp"

namespace incite::test {
namespace {

using B = NetworkBuilder;

void change_features(B& b, const std::string& expression, int64_t features) {
  b.line(expression);
  b.shape = {features};
}

/// The linear layer as matrix products: what it was in traces of old.
void matrix_product(B& b) {
  const std::string name = b.fresh("fc");
  const int64_t out = b.between(4, 12);
  const bool transposed = b.chance(2);
  const int64_t in = b.features();
  const std::string weight =
      b.weight(name + ".weight", transposed ? std::vector<int64_t>{out, in} : std::vector<int64_t>{in, out}, in);
  const std::string matrix = transposed ? weight + ".t()" : weight;
  std::string product = b.pick({"x @ {}", "torch.mm(x, {})", "torch.addmm({1}, x, {0})", "torch.matmul(x, {0}) + {1}"});
  const std::string bias = product.find("{1}") == std::string::npos ? "" : b.bias(name + ".bias", out);
  change_features(b, fmt::format(fmt::runtime(product), matrix, bias), out);
}

void residual_features(B& b) {
  const int64_t inner = b.between(4, 12);
  const std::string y = b.fresh("y");
  b.let(y, activated(b, linear(b, "x", b.features(), inner)));
  b.line(fmt::format("x + {}", linear(b, y, inner, b.features())));
}

void linear_weight_norm(B& b) {
  const std::string name = b.fresh("fc");
  const int64_t out = b.between(4, 12);
  const std::string direction = b.parameter(name + ".direction", b.draw({out, b.features()}, 1));
  const std::string length = b.scale(name + ".length", {out, 1});
  change_features(b, fmt::format("torch.linear(x, {0} * ({1} / torch.norm({1}, 2, [1], True)))", length, direction),
                  out);
}

}  // namespace

const Parts& dense_parts() {
  static const Parts parts = {
      {"linear",
       [](B& b) {
         const int64_t out = b.between(4, 14);
         change_features(b, linear(b, "x", b.features(), out), out);
       }},
      {"linear and batch_norm",
       [](B& b) {
         const int64_t out = b.between(4, 14);
         change_features(b, batch_norm(b, linear(b, "x", b.features(), out), out), out);
       }},
      {"linear and layer_norm",
       [](B& b) {
         const int64_t out = b.between(6, 14);
         change_features(b, layer_norm(b, linear(b, "x", b.features(), out), out), out);
       }},
      {"matrix product", matrix_product},
      {"residual features", residual_features, [](const B& b) { return b.features() <= 40; }},
      {"weight norm of a linear layer", linear_weight_norm},
  };
  return parts;
}

void write_dense(B& b, int64_t least) {
  for (int64_t left = b.between(least, 3); left > 0; --left) {
    b.write_one_of(dense_parts());
    b.write_one_of(activation_parts());
    if (b.chance(6)) b.line("torch.dropout(x, 0.3, False)");
  }
  b.network.outputs = b.between(2, 5);
  const std::string weight = b.weight("head.weight", {b.network.outputs, b.features()}, b.features());
  if (b.chance(8)) return b.line(fmt::format("torch.matmul(x, {}.t())", weight));
  const std::string bias = b.chance(4) ? "None" : b.bias("head.bias", b.network.outputs);
  b.line(fmt::format("torch.linear(x, {}, {})", weight, bias));
}

}  // namespace incite::test
