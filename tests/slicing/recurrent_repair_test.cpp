#include "slicing/recurrent_repair.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "program/executor.hpp"
#include "slicing/slice.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::random_normal;

constexpr int64_t recurrent_inputs = 5, recurrent_units = 12, recurrent_steps = 7;

/// A recurrent layer, a linear layer on what it made last, and a head.
struct Cell {
  const char* op;
  int64_t gates;
  bool both = false;  // directions
  bool biased = true;
  bool batch_first = true;
  bool given_state = false;  // a parameter, in place of zeros

  std::string name() const {
    return fmt::format("{}{}{}{}{}", op, both ? "InBothDirections" : "", biased ? "" : "WithoutBias",
                       batch_first ? "" : "StepsFirst", given_state ? "FromAState" : "");
  }
};

void PrintTo(const Cell& cell, std::ostream* stream) {
  *stream << cell.name();
}

std::string source_of(const Cell& cell) {
  const bool lstm = std::string(cell.op) == "lstm";
  std::string weights;
  for (const char* end : {"", "_reverse"}) {
    if (*end != '\0' && !cell.both) continue;
    for (const char* kind : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}) {
      if (std::string(kind).starts_with("bias") && !cell.biased) continue;
      weights += fmt::format("{}self.r.{}{}", weights.empty() ? "" : ", ", kind, end);
    }
  }
  const int64_t directions = cell.both ? 2 : 1;
  return fmt::format(
      "def forward(self, x):\n"
      "    h = {}\n"
      "    y, {} = torch.{}(x{}, {}, [{}], {}, 1, 0., False, {}, {})\n"
      "    y = torch.relu(torch.linear({}, self.a.weight, self.a.bias))\n"
      "    return torch.linear(y, self.head.weight, self.head.bias)\n",
      cell.given_state ? "self.state.expand(-1, x.size(0), -1)"
                       : fmt::format("torch.zeros([{}, x.size(0), {}])", directions, recurrent_units),
      lstm ? "n, c" : "n", cell.op, cell.batch_first ? "" : ".transpose(0, 1)", lstm ? "[h, h]" : "h", weights,
      cell.biased ? "True" : "False", cell.both ? "True" : "False", cell.batch_first ? "True" : "False",
      cell.batch_first ? "y.mean(1)" : "y.mean(0)");
}

/// Random weights. `copies`: the second half of the units are copies of the first.
test::Parameters parameters_of(const Cell& cell, bool copies) {
  test::Parameters parameters;
  uint64_t seed = 10;
  const auto rows = [&](at::Tensor tensor) {
    at::Tensor gates = tensor.unflatten(0, {cell.gates, recurrent_units});
    if (copies)
      gates.narrow(1, recurrent_units / 2, recurrent_units / 2).copy_(gates.narrow(1, 0, recurrent_units / 2));
    return tensor;
  };
  for (const char* end : {"", "_reverse"}) {
    if (*end != '\0' && !cell.both) continue;
    parameters[fmt::format("r.weight_ih{}", end)] =
        rows(random_normal({cell.gates * recurrent_units, recurrent_inputs}, ++seed) * 0.5);
    parameters[fmt::format("r.weight_hh{}", end)] =
        rows(random_normal({cell.gates * recurrent_units, recurrent_units}, ++seed) * 0.3);
    if (!cell.biased) continue;
    for (const char* kind : {"bias_ih", "bias_hh"})
      parameters[fmt::format("r.{}{}", kind, end)] = rows(random_normal({cell.gates * recurrent_units}, ++seed) * 0.3);
  }
  const int64_t directions = cell.both ? 2 : 1;
  if (cell.given_state) {
    at::Tensor state = random_normal({directions, 1, recurrent_units}, ++seed) * 0.5;
    if (copies)
      state.narrow(2, recurrent_units / 2, recurrent_units / 2).copy_(state.narrow(2, 0, recurrent_units / 2));
    parameters["state"] = state;
  }
  parameters["a.weight"] = random_normal({8, directions * recurrent_units}, ++seed);
  parameters["a.bias"] = random_normal({8}, ++seed);
  parameters["head.weight"] = random_normal({3, 8}, ++seed);
  parameters["head.bias"] = random_normal({3}, ++seed);
  return parameters;
}

/// A network, of which the second half of the recurrent units goes.
struct HalfOfACell {
  HalfOfACell(const std::string& source, const test::Parameters& parameters) {
    data.input = random_normal({500, recurrent_steps, recurrent_inputs}, 1);
    program = test::program_from(source, parameters, data.input.narrow(0, 4));
    map = analyse(program, sample_values(program, data.input.narrow(0, 2)));
    keep.assign(map.units.size(), true);
    for (const Layer& layer : map.layers) {
      if (layer.name.starts_with("r") && !layer.states.empty()) halve(layer);
    }
  }
  HalfOfACell(const Cell& cell, bool copies) : HalfOfACell(source_of(cell), parameters_of(cell, copies)) {}

  void halve(const Layer& layer) {
    for (size_t i = recurrent_units / 2; i < recurrent_units; ++i) {
      EXPECT_FALSE(map.unit(layer.units[i]).pinned);
      keep[at_index(layer.units[i])] = false;
    }
  }

  Program repaired(const RepairParams& params = {}) const {
    Program module = slice(program, map, keep);
    repair(program, map, keep, data, at::arange(data.input.samples(), at::kLong), params, module);
    return module;
  }

  /// What a program's first recurrent layer makes.
  at::Tensor states(const Program& of, const Batch& input) const {
    const at::NoGradGuard no_grad;
    const auto layer = std::find_if(map.layers.begin(), map.layers.end(),
                                    [](const Layer& l) { return l.gates > 1 || !l.states.empty(); });
    const Executor executor(of);
    Environment environment = executor.start(input);
    executor.run(environment, 0, of.maker(layer->output) + 1, std::vector<bool>(of.values.size(), true));
    return environment[at_index(layer->output)].toTensor();
  }

  /// How far the states of the units that stay are from the original's.
  double error(const Program& module, const Batch& input) const {
    const at::Tensor whole =
        states(program, input).unflatten(2, {-1, recurrent_units}).narrow(3, 0, recurrent_units / 2);
    return (states(module, input) - whole.flatten(2)).square().mean().item<double>();
  }

  Program program;
  UnitMap map;
  Selection keep;
  Dataset data;
};

at::Tensor outputs_of(const Program& program, const Batch& input) {
  const at::NoGradGuard no_grad;
  return Executor(program)(input);
}

std::vector<Cell> cells() {
  std::vector<Cell> all;
  for (const auto& [op, gates] :
       std::vector<std::pair<const char*, int64_t>>{{"lstm", 4}, {"gru", 3}, {"rnn_tanh", 1}, {"rnn_relu", 1}}) {
    all.push_back({op, gates});
    all.push_back({.op = op, .gates = gates, .both = true, .given_state = true});
    all.push_back({.op = op, .gates = gates, .biased = false, .batch_first = false});
  }
  all.push_back({.op = "lstm", .gates = 4, .both = true, .batch_first = false});
  all.push_back({.op = "gru", .gates = 3, .both = true, .biased = false});
  return all;
}

class RecurrentRepairs : public testing::TestWithParam<Cell> {};

INSTANTIATE_TEST_SUITE_P(Cells, RecurrentRepairs, testing::ValuesIn(cells()),
                         [](const auto& cell) { return cell.param.name(); });

TEST_P(RecurrentRepairs, LoseNothingWhereTheUnitsThatStayCanGiveAll) {
  const HalfOfACell net(GetParam(), /*copies=*/true);
  RepairParams params;
  params.ridges = {1e-10};
  const Program module = net.repaired(params);
  const at::Tensor held_out = random_normal({100, recurrent_steps, recurrent_inputs}, 7);
  const at::Tensor expected = outputs_of(net.program, held_out);
  const Program bare = slice(net.program, net.map, net.keep);
  EXPECT_GT((outputs_of(bare, held_out) - expected).abs().max().item<double>(), 0.05);
  EXPECT_LT((outputs_of(module, held_out) - expected).abs().max().item<double>(), 1e-3);
}

TEST_P(RecurrentRepairs, BringStatesNearerToTheOriginals) {
  const HalfOfACell net(GetParam(), /*copies=*/false);
  const Program bare = slice(net.program, net.map, net.keep), module = net.repaired();
  const at::Tensor held_out = random_normal({200, recurrent_steps, recurrent_inputs}, 7);
  EXPECT_LT(net.error(module, held_out), 0.9 * net.error(bare, held_out));
}

TEST_P(RecurrentRepairs, NeverMakeTheErrorOfTheSamplesThatValidateLarger) {
  const HalfOfACell net(GetParam(), /*copies=*/false);
  const Program bare = slice(net.program, net.map, net.keep);
  const Batch validates = net.data.input.narrow(0, 100);  // a fifth
  double least = net.error(bare, validates);
  for (const int64_t passes : {0, 1, 2, 5}) {
    RepairParams params;
    params.own_state_passes = passes;
    const double error = net.error(net.repaired(params), validates);
    EXPECT_LE(error, least * (1 + 1e-6)) << passes;
    least = error;
  }
}

TEST_P(RecurrentRepairs, ChangeNothingWhereAllIsKept) {
  HalfOfACell net(GetParam(), /*copies=*/false);
  net.keep.assign(net.keep.size(), true);
  const Program module = net.repaired();
  EXPECT_TRUE(outputs_of(module, net.data.input).equal(outputs_of(net.program, net.data.input)));
}

TEST_P(RecurrentRepairs, DoNotDependOnTheMemoryThatTheyMayTake) {
  const HalfOfACell net(GetParam(), /*copies=*/false);
  const at::Tensor expected = outputs_of(net.repaired(), net.data.input);
  RepairParams params;
  params.memory = 0;
  params.block_bytes = 1000;
  EXPECT_TRUE(at::allclose(outputs_of(net.repaired(params), net.data.input), expected, 1e-3, 1e-4));
}

TEST_P(RecurrentRepairs, OfMeansMoveBiasesAlone) {
  const HalfOfACell net(GetParam(), /*copies=*/false);
  RepairParams params;
  params.method = RepairMethod::mean;
  const Program bare = slice(net.program, net.map, net.keep), module = net.repaired(params);
  for (const Value& value : net.program.values) {
    if (value.kind != Value::Kind::parameter || value.name.find("r.weight") == std::string::npos) continue;
    const auto id = static_cast<size_t>(&value - net.program.values.data());
    EXPECT_TRUE(bare.values[id].content.toTensor().equal(module.values[id].content.toTensor())) << value.name;
  }
}

const Cell plain_lstm = {"lstm", 4};

TEST(RecurrentRepair, FitsToSomeOfTheStepsWhereThereAreTooMany) {
  const HalfOfACell net(plain_lstm, /*copies=*/true);
  RepairParams params;
  params.ridges = {1e-10};
  params.most_rows = 700;
  const at::Tensor expected = outputs_of(net.program, net.data.input);
  EXPECT_LT((outputs_of(net.repaired(params), net.data.input) - expected).abs().max().item<double>(), 1e-2);
  EXPECT_TRUE(outputs_of(net.repaired(params), net.data.input).equal(outputs_of(net.repaired(params), net.data.input)));
}

/// Two layers: the second reads what the first makes once it is repaired.
TEST(RecurrentRepair, GoesOnFromTheLayerBefore) {
  test::Parameters parameters = parameters_of(plain_lstm, /*copies=*/true);
  for (const char* kind : {"weight_ih", "weight_hh", "bias_ih", "bias_hh"}) {
    parameters[fmt::format("r.{}_second", kind)] = std::string(kind) == "weight_ih"
                                                       ? random_normal({4 * recurrent_units, recurrent_units}, 50) * 0.3
                                                       : parameters[fmt::format("r.{}", kind)].clone();
  }
  at::Tensor rows = parameters["r.weight_ih_second"].unflatten(0, {4, recurrent_units});
  rows.narrow(1, recurrent_units / 2, recurrent_units / 2).copy_(rows.narrow(1, 0, recurrent_units / 2));
  const std::string source = R"(
def forward(self, x):
    h = torch.zeros([2, x.size(0), 12])
    y, n, c = torch.lstm(x, [h, h], [self.r.weight_ih, self.r.weight_hh, self.r.bias_ih, self.r.bias_hh,
                                     self.r.weight_ih_second, self.r.weight_hh_second, self.r.bias_ih_second,
                                     self.r.bias_hh_second], True, 2, 0., False, False, True)
    y = torch.relu(torch.linear(n[-1], self.a.weight, self.a.bias))
    return torch.linear(y, self.head.weight, self.head.bias)
)";
  const HalfOfACell net(source, parameters);
  const at::Tensor expected = outputs_of(net.program, net.data.input);
  for (const int64_t memory : {int64_t{1} << 30, int64_t{0}}) {
    RepairParams params;
    params.ridges = {1e-10};
    params.memory = memory;
    EXPECT_LT((outputs_of(net.repaired(params), net.data.input) - expected).abs().max().item<double>(), 1e-3);
  }
}

TEST(RecurrentRepair, LeavesWeightsAloneThatTwoLayersShare) {
  std::string source = source_of(plain_lstm);
  const size_t first = source.find("    y, n, c"), end = source.find("    y = torch.relu");
  std::string other = source.substr(first, end - first);
  other.replace(other.find("y, n, c"), 1, "z").replace(other.find("lstm(x"), 6, "lstm(x * 2.");
  source.insert(end, other + "    y = y + z\n");
  const HalfOfACell net(source, parameters_of(plain_lstm, /*copies=*/false));
  const Program bare = slice(net.program, net.map, net.keep), module = net.repaired();
  for (size_t id = 0; id < bare.values.size(); ++id) {
    if (!bare.values[id].name.starts_with("r.")) continue;
    EXPECT_TRUE(bare.values[id].content.toTensor().equal(module.values[id].content.toTensor()));
  }
}

}  // namespace
}  // namespace incite
