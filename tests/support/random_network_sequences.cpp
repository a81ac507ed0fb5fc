// Sequences [N, T, F]: the blocks of transformers, and embeddings of tokens before them.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "support/random_network_builder.hpp"

namespace incite::test {
namespace {

using B = NetworkBuilder;

int64_t tokens(const B& b) {
  return b.shape[0];
}

/// Adds what `write` makes of a normalised x to x: pre-norm, post-norm or no norm.
template <typename Write>
void residual(B& b, Write&& write) {
  const int64_t place = b.between(0, 2);
  std::string input = "x";
  if (place == 0) b.let(input = b.fresh("y"), layer_norm(b, "x", b.features()));
  std::string y = write(input);
  if (b.chance(5)) y = fmt::format("{} * {}", y, b.scale(b.fresh("gamma"), {b.features()}));
  b.line(fmt::format("x + {}", y));
  if (place == 1) b.line(layer_norm(b, "x", b.features()));
}

void attention_block(B& b) {
  residual(b, [&b](const std::string& input) { return attention(b, input, tokens(b), b.features()); });
}

void mlp(B& b) {
  residual(b, [&b](const std::string& input) {
    const int64_t inner = b.between(6, 14);
    const std::string y = b.fresh("y");
    b.let(y, activated(b, linear(b, input, b.features(), inner)));
    if (b.chance(4)) b.let(y, fmt::format("torch.dropout({}, 0.1, False)", y));
    return linear(b, y, inner, b.features());
  });
}

void gated_mlp(B& b) {
  residual(b, [&b](const std::string& input) {
    const int64_t inner = b.between(5, 10);
    const std::string y = b.fresh("y");
    if (b.chance(3)) {
      b.let(y, fmt::format("torch.glu({}, -1)", linear(b, input, b.features(), 2 * inner)));
    } else {
      const std::string gate = activated(b, linear(b, input, b.features(), inner));
      b.let(y, fmt::format("{} * {}", gate, linear(b, input, b.features(), inner)));
    }
    return linear(b, y, inner, b.features());
  });
}

/// As MLP-Mixer: linear layers over the tokens.
void token_mixing(B& b) {
  residual(b, [&b](const std::string& input) {
    const int64_t inner = b.between(4, 9);
    const std::string y = b.fresh("y");
    b.let(y, activated(b, linear(b, input + ".transpose(1, 2)", tokens(b), inner)));
    return fmt::format("({}).transpose(1, 2)", linear(b, y, inner, tokens(b)));
  });
}

/// As nn.MultiheadAttention: tokens first, heads merged in the batch, whose size is computed.
void attention_with_tokens_first(B& b) {
  const int64_t heads = b.between(2, 3);
  const int64_t width = b.between(2, 4);
  const int64_t inner = heads * width;
  residual(b, [&](const std::string& input) {
    const std::string y = b.fresh("y");
    b.let(y, input + ".transpose(0, 1)");
    const std::vector<std::string> names = {b.fresh("q"), b.fresh("k"), b.fresh("v")};
    b.statement(
        fmt::format("{} = torch.chunk({}, 3, -1)", fmt::join(names, ", "), linear(b, y, b.features(), 3 * inner)));
    for (const std::string& name : names)
      b.let(name, fmt::format("{0}.contiguous().view({1}.size(0), {1}.size(1) * {2}, {3}).transpose(0, 1)", name, y,
                              heads, width));
    const std::string weights = b.fresh("weights");
    b.let(weights, fmt::format("torch.softmax(torch.bmm({} * 0.5, {}.transpose(-2, -1)), -1)", names[0], names[1]));
    b.let(names[0], fmt::format("torch.bmm({}, {}).transpose(0, 1).contiguous()", weights, names[2]));
    b.let(names[0], fmt::format(fmt::runtime(b.pick({"{0}.view({1}.size(0), {1}.size(1), {2})",
                                                     "{0}.view({1}.size(0) * {1}.size(1), {2})"})),
                                names[0], y, inner));
    const std::string back = b.fresh("y");
    b.let(back, linear(b, names[0], inner, b.features()));
    return fmt::format("{}.view({}, {}.size(1), {}).transpose(0, 1)", back, tokens(b), y, b.features());
  });
}

/// As Swin: attention within windows, which are merged in the batch; sometimes shifted.
void window_attention(B& b) {
  const int64_t size = tokens(b) % 3 == 0 && b.chance(2) ? 3 : 2;
  const int64_t windows = tokens(b) / size;
  const int64_t shift = b.between(0, 1);
  residual(b, [&](const std::string& input) {
    const std::string y = b.fresh("y");
    b.let(y, shift == 0 ? input : fmt::format("torch.roll({}, {}, 1)", input, -shift));
    b.let(y, fmt::format("{}.reshape(x.size(0), {}, {}, {})", y, windows, size, b.features()));
    b.let(y, fmt::format("{}.contiguous().view(-1, {}, {})", y, size, b.features()));
    std::string out = attention(b, y, size, b.features());
    out = fmt::format("{}.reshape(-1, {}, {}, {}).reshape([x.size(0), {}, -1])", out, windows, size, b.features(),
                      tokens(b));
    return shift == 0 ? out : fmt::format("torch.roll({}, {}, 1)", out, shift);
  });
}

void class_token(B& b) {
  const std::string token = b.parameter(b.fresh("token"), b.draw({1, 1, b.features()}, 1));
  const std::string expanded = fmt::format(
      fmt::runtime(
          b.pick({"{}.expand(x.size(0), -1, -1)", "{}.expand([x.shape[0], 1, {}])", "{}.repeat(x.size(0), 1, 1)"})),
      token, b.features());
  b.line(fmt::format("torch.cat([{}, x], {})", expanded, b.pick({"1", "dim=1"})));
  ++b.shape[0];
}

void positions(B& b) {
  const std::string name = b.fresh("positions");
  switch (b.between(0, 2)) {
    case 0:
      return b.line(fmt::format("x + {}", b.parameter(name, b.draw({1, tokens(b), b.features()}, 0.7))));
    case 1:
      return b.line(fmt::format("x + {}[:x.size(1)]", b.parameter(name, b.draw({tokens(b) + 2, b.features()}, 0.7))));
    default:
      b.line(fmt::format("x + torch.embedding({}, torch.arange(x.size(1)))",
                         b.parameter(name, b.draw({tokens(b), b.features()}, 0.7))));
  }
}

void change_token_features(B& b, const std::string& expression, int64_t features) {
  b.line(expression);
  b.shape[1] = features;
}

void convolution_over_tokens(B& b) {
  const std::string name = b.fresh("conv");
  const int64_t out = b.between(6, 9);
  const std::string weight = b.weight(name + ".weight", {out, b.features(), 3}, 3 * b.features());
  const std::string bias = b.bias(name + ".bias", out);
  change_token_features(
      b,
      activated(b, fmt::format("torch.conv1d(x.transpose(1, 2), {}, {}, [1], [1])", weight, bias)) + ".transpose(1, 2)",
      out);
}

void rms_norm(B& b) {
  b.line(fmt::format("x * torch.rsqrt(x.pow(2).mean([-1], True) + {}) * {}", norm_epsilon,
                     b.scale(b.fresh("rms") + ".weight", {b.features()})));
}

void pool_tokens(B& b, const std::string& expression) {
  b.line(expression);
  b.shape = {b.features()};
}

/// A weighted mean, whose weights a linear layer gives.
void attention_pooling(B& b) {
  const std::string weights = b.fresh("weights");
  b.let(weights, fmt::format("torch.softmax({}, 1)", linear(b, "x", b.features(), 1)));
  pool_tokens(b, b.pick({fmt::format("({} * x).sum([1])", weights),
                         fmt::format("torch.bmm({}.transpose(1, 2), x).squeeze(1)", weights)}));
}

}  // namespace

const Parts& sequence_parts() {
  static const Parts parts = {
      {"attention", attention_block},
      {"attention then MLP",
       [](B& b) {
         attention_block(b);
         mlp(b);
       }},
      {"MLP", mlp},
      {"gated MLP", gated_mlp},
      {"token mixing", token_mixing},
      {"attention with tokens first", attention_with_tokens_first},
      {"window attention", window_attention, [](const B& b) { return tokens(b) % 2 == 0; }},
      {"linear over features",
       [](B& b) {
         const int64_t out = b.between(6, 10);
         change_token_features(b, activated(b, linear(b, "x", b.features(), out)), out);
       }},
      {"layer_norm", [](B& b) { b.line(layer_norm(b, "x", b.features())); }},
      {"rms_norm", rms_norm},
      {"batch_norm over tokens",
       [](B& b) { b.line(batch_norm(b, "x.transpose(1, 2)", b.features()) + ".transpose(1, 2)"); }},
      {"convolution over tokens", convolution_over_tokens},
      {"positions", positions},
      {"class token", class_token},
      {"recurrent layer", [](B& b) { b.write_one_of(recurrent_layer_parts()); }},
  };
  return parts;
}

const Parts& token_pool_parts() {
  static const Parts parts = {
      {"mean over tokens",
       [](B& b) {
         pool_tokens(b, b.pick({"x.mean(1)", "torch.mean(x, [1])", "x.transpose(1, 2).mean(-1)"}));
       }},
      {"maximum over tokens",
       [](B& b) {
         pool_tokens(b, b.pick({"x.amax(1)", "torch.max(x, 1)[0]"}));
       }},
      {"first token",
       [](B& b) {
         pool_tokens(b, b.pick({"x[:, 0]", "x.select(1, 0)", "x[:, 0, :]"}));
       }},
      {"last token",
       [](B& b) {
         pool_tokens(b, b.pick({"x[:, -1]", "x[:, -1, :]"}));
       }},
      {"all tokens",
       [](B& b) {
         b.line(b.pick({"x.flatten(1)", "x.reshape(x.size(0), -1)"}));
         b.shape = {b.elements()};
       }},
      {"attention pooling", attention_pooling},
  };
  return parts;
}

const Parts& embedding_parts() {
  static const Parts parts = {
      {"embedding",
       [](B& b) {
         b.line(fmt::format("torch.embedding({}, x)",
                            b.parameter("embedding.weight", b.draw({b.network.vocabulary, b.features()}, 1))));
       }},
      {"embedding with padding",
       [](B& b) {
         at::Tensor weight = b.draw({b.network.vocabulary, b.features()}, 1);
         weight[0].zero_();
         b.line(fmt::format("torch.embedding({}, x, 0, False, False)", b.parameter("embedding.weight", weight)));
       }},
      {"scaled embedding",
       [](B& b) {
         b.line(fmt::format("torch.embedding({}, x) * 2.",
                            b.parameter("embedding.weight", b.draw({b.network.vocabulary, b.features()}, 0.5))));
       }},
  };
  return parts;
}

void write_embedding(NetworkBuilder& b) {
  b.network.vocabulary = b.between(5, 12);
  b.shape = {b.between(4, 8), b.between(6, 10)};
  b.network.input_shape = {b.shape[0]};
  b.write_one_of(embedding_parts());
}

void write_sequence(NetworkBuilder& b) {
  if (b.chance(3)) b.line(linear(b, "x", b.features(), b.features()));
  for (int64_t left = b.between(1, 4); left > 0; --left)
    b.write_one_of(sequence_parts());
  if (b.chance(2)) mlp(b);
  if (b.chance(3)) b.line(layer_norm(b, "x", b.features()));
  b.write_one_of(token_pool_parts());
  write_dense(b, 0);
}

}  // namespace incite::test
