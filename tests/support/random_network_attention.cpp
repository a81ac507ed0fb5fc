// Attention in the forms in which models write it: a projection to queries, keys and values, what is read with them,
// and a projection back.

#include <fmt/format.h>

#include <cmath>

#include "support/random_network_builder.hpp"

namespace incite::test {
namespace {

using B = NetworkBuilder;

/// [batch, tokens, heads * width] to [batch, heads, tokens, width].
std::string split_heads(B& b, const std::string& y, int64_t heads) {
  const Attention& a = b.attention;
  const std::string split = b.pick({"{0}.view({0}.size(0), {1}, {2}, {3})", "{0}.reshape([{0}.size(0), -1, {2}, {3}])",
                                    "{0}.view({0}.shape[0], {0}.shape[1], {2}, {3})"});
  return fmt::format(fmt::runtime(split), y, a.tokens, heads, a.width) +
         b.pick({".transpose(1, 2)", ".permute(0, 2, 1, 3)"});
}

void one_projection(B& b) {
  const Attention& a = b.attention;
  const std::string qkv = b.fresh("qkv");
  b.let(qkv, linear(b, a.input, a.features, 3 * a.heads * a.width));
  b.let(qkv, fmt::format("{0}.reshape({0}.size(0), {1}, 3, {2}, {3}).permute(2, 0, 3, 1, 4)", qkv, a.tokens, a.heads,
                         a.width));
  if (b.chance(2)) return b.statement(fmt::format("{}, {}, {} = {}.unbind(0)", a.q, a.k, a.v, qkv));
  b.statement(fmt::format("{0}, {1}, {2} = {3}[0], {3}[1], {3}[2]", a.q, a.k, a.v, qkv));
}

void chunked_projection(B& b) {
  const Attention& a = b.attention;
  b.statement(fmt::format("{}, {}, {} = {}.chunk(3, dim=-1)", a.q, a.k, a.v,
                          linear(b, a.input, a.features, 3 * a.heads * a.width)));
  for (const std::string& y : {a.q, a.k, a.v})
    b.let(y, split_heads(b, y, a.heads));
}

void separate_projections(B& b) {
  const Attention& a = b.attention;
  for (const std::string& y : {a.q, a.k, a.v}) {
    b.let(y, linear(b, a.input, a.features, a.heads * a.width));
    b.let(y, split_heads(b, y, a.heads));
  }
}

/// All heads of queries read the same keys and values.
void shared_keys(B& b) {
  const Attention& a = b.attention;
  b.let(a.q, linear(b, a.input, a.features, a.heads * a.width));
  b.let(a.q, split_heads(b, a.q, a.heads));
  for (const std::string& y : {a.k, a.v}) {
    b.let(y, linear(b, a.input, a.features, a.width));
    b.let(y, fmt::format("{}.unsqueeze(1).expand(-1, {}, -1, -1)", y, a.heads));
  }
}

void einsum_projections(B& b) {
  const Attention& a = b.attention;
  for (const std::string& y : {a.q, a.k, a.v}) {
    const std::string weight = b.weight(b.fresh("to"), {a.features, a.heads, a.width}, a.features);
    b.let(y, fmt::format("torch.einsum(\"btf,fhd->bhtd\", [{}, {}])", a.input, weight));
  }
}

std::string mask(B& b, const std::string& kind) {
  const int64_t n = b.attention.tokens;
  const at::Tensor hidden = at::ones({n, n}).triu(1).to(at::kBool);
  if (kind == "hidden") return b.parameter(b.fresh("hidden"), hidden);
  if (kind == "visible") return b.parameter(b.fresh("visible"), hidden.logical_not());
  return b.parameter(b.fresh("constant_mask"), at::zeros({n, n}).masked_fill(hidden, b.chance(2) ? -INFINITY : -100.0));
}

std::string scaled(B& b) {
  const Attention& a = b.attention;
  const double root = std::sqrt(static_cast<double>(a.width));
  return b.pick({fmt::format("torch.matmul({}, {}.transpose(-2, -1)) * {:.7f}", a.q, a.k, 1 / root),
                 fmt::format("({} * {:.7f}) @ {}.transpose(-1, -2)", a.q, 1 / root, a.k),
                 fmt::format("torch.matmul({}, {}.permute(0, 1, 3, 2)) / {:.7f}", a.q, a.k, root),
                 fmt::format("({0} @ {1}.transpose(-2, -1)) * ({0}.size(-1) ** -0.5)", a.q, a.k)});
}

/// Softmax of the scores, then the sum of the values; leaves it in the variable of the queries.
void read_values(B& b, const std::string& scores) {
  const Attention& a = b.attention;
  const std::string weights = b.fresh("weights");
  b.let(weights, fmt::format(fmt::runtime(b.pick({"torch.softmax({}, -1)", "torch.softmax({}, dim=3)"})), scores));
  if (b.chance(4)) b.let(weights, fmt::format("torch.dropout({}, 0.1, False)", weights));
  b.let(a.q, fmt::format(fmt::runtime(b.pick({"torch.matmul({}, {})", "{} @ {}"})), weights, a.v));
}

void fused(B& b) {
  const Attention& a = b.attention;
  b.let(a.q, fmt::format("torch.scaled_dot_product_attention({}, {}, {}{})", a.q, a.k, a.v,
                         b.pick({"", ", None, 0.", ", scale=0.5"})));
}

void fused_with_mask(B& b) {
  const Attention& a = b.attention;
  const uint64_t kind = static_cast<uint64_t>(b.between(0, 3));
  const std::string option = kind == 0   ? "None, 0., True"
                             : kind == 1 ? mask(b, "additive")
                             : kind == 2 ? mask(b, "visible")
                                         : b.parameter(b.fresh("relative"), b.draw({a.heads, a.tokens, a.tokens}, 1));
  b.let(a.q, fmt::format("torch.scaled_dot_product_attention({}, {}, {}, {})", a.q, a.k, a.v, option));
}

void relative_bias(B& b) {
  const Attention& a = b.attention;
  const std::string bias = b.parameter(b.fresh("relative"), b.draw({a.heads, a.tokens, a.tokens}, 1));
  read_values(b, fmt::format("{} + {}{}", scaled(b), bias, b.pick({"", ".unsqueeze(0)"})));
}

/// As Swin: one bias for each head and distance.
void gathered_bias(B& b) {
  const Attention& a = b.attention;
  const int64_t n = a.tokens;
  const std::string table = b.parameter(b.fresh("table"), b.draw({2 * n - 1, a.heads}, 1));
  const at::Tensor distance = at::arange(n).view({n, 1}) - at::arange(n) + (n - 1);
  const std::string index = b.parameter(b.fresh("distance"), distance.reshape(-1));
  const std::string bias = b.fresh("bias");
  b.let(bias, fmt::format("{}[{}].view({}, {}, -1)", table, index, n, n));
  read_values(b, fmt::format("{} + {}.permute(2, 0, 1).contiguous().unsqueeze(0)", scaled(b), bias));
}

void hidden_scores(B& b) {
  const std::string scores = scaled(b);
  read_values(b,
              fmt::format("({}).masked_fill({}, {})", scores, mask(b, "hidden"), b.pick({"-1e4", "float(\"-inf\")"})));
}

void cosine_attention(B& b) {
  const Attention& a = b.attention;
  for (const std::string& y : {a.q, a.k}) {
    b.let(y, fmt::format(fmt::runtime(b.pick({"{0} / {0}.norm(2, [-1], True).clamp_min(1e-6)",
                                              "torch.div({0}, {0}.norm(2, [-1], True).clamp_min(1e-6).expand_as({0}))",
                                              "{0} / torch.linalg_vector_norm({0}, 2., [-1], True).clamp_min(1e-6)"})),
                         y));
  }
  const std::string temperature = b.scale(b.fresh("temperature"), {a.heads, 1, 1});
  read_values(b,
              fmt::format("({} @ {}.transpose(-2, -1)) * {}", a.q, a.k, b.pick({temperature, temperature + ".exp()"})));
}

void einsum_attention(B& b) {
  const Attention& a = b.attention;
  const std::string weights = b.fresh("weights");
  b.let(weights, fmt::format("torch.softmax(torch.einsum(\"bhid,bhjd->bhij\", [{}, {}]) * 0.5, -1)", a.q, a.k));
  b.let(a.q, fmt::format("torch.einsum(\"bhij,bhjd->bhid\", [{}, {}])", weights, a.v));
}

/// Heads merged in the batch.
void batched_attention(B& b) {
  const Attention& a = b.attention;
  for (const std::string& y : {a.q, a.k, a.v}) {
    b.let(y, fmt::format(fmt::runtime(b.pick({"{0}.reshape(-1, {1}, {2})", "{0}.reshape([{0}.size(0) * {3}, {1}, {2}])",
                                              "{0}.flatten(0, 1)"})),
                         y, a.tokens, a.width, a.heads));
  }
  const std::string weights = b.fresh("weights");
  b.let(weights, fmt::format("torch.softmax(torch.bmm({}, {}.transpose(1, 2)) * 0.5, -1)", a.q, a.k));
  b.let(a.q, fmt::format("torch.bmm({}, {}).view(-1, {}, {}, {})", weights, a.v, a.heads, a.tokens, a.width));
}

/// Whose cost grows with the tokens, not with their square.
void linear_attention(B& b) {
  const Attention& a = b.attention;
  const std::string context = b.fresh("context");
  b.let(context, fmt::format("torch.softmax({}, 2).transpose(2, 3) @ {}", a.k, a.v));
  b.let(a.q, fmt::format("torch.softmax({}, 3) @ {}", a.q, context));
}

std::string merge_heads(B& b) {
  const Attention& a = b.attention;
  if (b.chance(6)) {
    const std::string weight = b.weight(b.fresh("from"), {a.heads, a.width, a.features}, a.heads * a.width);
    return fmt::format("torch.einsum(\"bhtd,hdf->btf\", [{}, {}])", a.q, weight);
  }
  const std::string merged =
      b.pick({"{0}.transpose(1, 2).reshape({0}.size(0), {1}, {2})", "{0}.transpose(1, 2).flatten(2)",
              "{0}.permute(0, 2, 1, 3).contiguous().view({0}.size(0), -1, {2})",
              "{0}.permute([0, 2, 1, 3]).reshape([{0}.shape[0], {0}.shape[2], -1])"});
  return linear(b, fmt::format(fmt::runtime(merged), a.q, a.tokens, a.heads * a.width), a.heads * a.width, a.features);
}

}  // namespace

std::string attention(NetworkBuilder& b, const std::string& input, int64_t tokens, int64_t features) {
  b.attention = {input, tokens, features, b.between(2, 3), b.between(2, 5), b.fresh("q"), b.fresh("k"), b.fresh("v")};
  b.write_one_of(projection_parts());
  b.write_one_of(attention_parts());
  const std::string y = b.fresh("y");
  b.let(y, merge_heads(b));
  return y;
}

const Parts& projection_parts() {
  static const Parts parts = {
      {"one projection", one_projection},
      {"chunked projection", chunked_projection},
      {"separate projections", separate_projections},
      {"shared keys", shared_keys},
      {"einsum projections", einsum_projections},
  };
  return parts;
}

const Parts& attention_parts() {
  static const Parts parts = {
      {"fused attention", fused},
      {"fused attention with mask", fused_with_mask},
      {"softmax attention", [](B& b) { read_values(b, scaled(b)); }},
      {"relative bias", relative_bias},
      {"gathered bias", gathered_bias},
      {"additive mask",
       [](B& b) {
         const std::string scores = scaled(b);
         read_values(b, scores + " + " + mask(b, "additive"));
       }},
      {"hidden scores", hidden_scores},
      {"cosine attention", cosine_attention},
      {"einsum attention", einsum_attention},
      {"batched attention", batched_attention},
      {"linear attention", linear_attention},
  };
  return parts;
}

}  // namespace incite::test
