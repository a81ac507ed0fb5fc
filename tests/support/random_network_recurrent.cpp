// Recurrent layers, as torch.nn's modules call them: their first states are zeros made in forward.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "support/random_network_builder.hpp"

namespace incite::test {
namespace {

using B = NetworkBuilder;

/// Weights of all layers and directions, in the order that the operations take them.
std::string weights(B& b, int64_t gates, bool biases) {
  const std::string name = b.fresh("rnn");
  const Recurrent& r = b.recurrent;
  std::vector<std::string> all;
  for (int64_t layer = 0; layer < r.layers; ++layer) {
    const int64_t in = layer == 0 ? b.features() : r.hidden * r.directions;
    for (int64_t direction = 0; direction < r.directions; ++direction) {
      const std::string end = fmt::format("_l{}{}", layer, direction == 0 ? "" : "_reverse");
      const std::string start = name + ".";
      all.push_back(b.weight(start + "weight_ih" + end, {gates * r.hidden, in}, in));
      all.push_back(b.weight(start + "weight_hh" + end, {gates * r.hidden, r.hidden}, 2 * r.hidden));
      if (!biases) continue;
      all.push_back(b.bias(start + "bias_ih" + end, gates * r.hidden));
      all.push_back(b.bias(start + "bias_hh" + end, gates * r.hidden));
    }
  }
  return fmt::format("[{}]", fmt::join(all, ", "));
}

std::string truth(bool value) {
  return value ? "True" : "False";
}

/// x [N, T, F] to x [N, T, hidden * directions].
void recurrent_layer(B& b, int64_t layers, int64_t directions, bool biases, bool batch_first) {
  b.recurrent = {b.fresh("h"), b.between(4, 8), directions, layers, ""};
  b.write_one_of(cell_parts());
  Recurrent& r = b.recurrent;
  const bool lstm = r.cell == "lstm";
  const std::string all = weights(b, lstm ? 4 : r.cell == "gru" ? 3 : 1, biases);
  const std::string zeros = b.fresh("zeros");
  b.let(zeros, fmt::format("torch.zeros([{}, x.size(0), {}])", layers * directions, r.hidden));
  if (!batch_first) b.line(b.pick({"x.transpose(0, 1)", "x.permute(1, 0, 2)"}));
  b.statement(fmt::format("x, {} = torch.{}(x, {}, {}, {}, {}, 0., False, {}, {})",
                          lstm ? r.states + ", " + b.fresh("c") : r.states, r.cell,
                          lstm ? fmt::format("[{0}, {0}]", zeros) : zeros, all, truth(biases), layers,
                          truth(directions == 2), truth(batch_first)));
  if (!batch_first) b.line("x.transpose(0, 1)");
  b.shape[1] = r.hidden * directions;
}

void pool_steps(B& b, const std::string& expression, int64_t features) {
  b.line(expression);
  b.shape = {features};
}

void all_last_states(B& b) {
  const Recurrent& r = b.recurrent;
  const int64_t count = r.layers * r.directions;
  pool_steps(b, fmt::format("{}.transpose(0, 1).reshape(-1, {})", r.states, count * r.hidden), count * r.hidden);
}

}  // namespace

const Parts& cell_parts() {
  static const Parts parts = {
      {"lstm", [](B& b) { b.recurrent.cell = "lstm"; }},
      {"gru", [](B& b) { b.recurrent.cell = "gru"; }},
      {"rnn_tanh", [](B& b) { b.recurrent.cell = "rnn_tanh"; }},
      {"rnn_relu", [](B& b) { b.recurrent.cell = "rnn_relu"; }},
  };
  return parts;
}

const Parts& recurrent_layer_parts() {
  static const Parts parts = {
      {"recurrent in one direction", [](B& b) { recurrent_layer(b, 1, 1, true, true); }},
      {"recurrent in both directions", [](B& b) { recurrent_layer(b, b.between(1, 2), 2, !b.chance(4), b.chance(2)); }},
      {"recurrent in two layers", [](B& b) { recurrent_layer(b, 2, b.between(1, 2), !b.chance(4), b.chance(2)); }},
      {"recurrent without bias",
       [](B& b) { recurrent_layer(b, b.between(1, 2), b.between(1, 2), false, b.chance(2)); }},
      {"recurrent with time first", [](B& b) { recurrent_layer(b, 1, 1, true, false); }},
  };
  return parts;
}

const Parts& recurrent_pool_parts() {
  static const Parts parts = {
      {"last step",
       [](B& b) {
         pool_steps(b, b.pick({"x[:, -1]", "x[:, -1, :]", "x.select(1, -1)"}), b.features());
       }},
      {"mean over steps", [](B& b) { pool_steps(b, "x.mean([1])", b.features()); }},
      {"last state", [](B& b) { pool_steps(b, b.recurrent.states + "[-1]", b.recurrent.hidden); }},
      {"last states of both directions",
       [](B& b) {
         pool_steps(b, fmt::format("torch.cat([{0}[-2], {0}[-1]], {1})", b.recurrent.states, b.pick({"1", "dim=-1"})),
                    2 * b.recurrent.hidden);
       },
       [](const B& b) { return b.recurrent.directions == 2; }},
      {"all last states", all_last_states},
  };
  return parts;
}

void write_recurrent(NetworkBuilder& b) {
  if (b.chance(3)) b.line(activated(b, linear(b, "x", b.features(), b.features())));
  for (int64_t left = b.chance(4) ? 2 : 1; left > 0; --left)
    b.write_one_of(recurrent_layer_parts());
  b.write_one_of(recurrent_pool_parts());
  write_dense(b, 0);
}

}  // namespace incite::test
