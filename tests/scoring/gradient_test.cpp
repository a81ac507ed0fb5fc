#include "scoring/gradient.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "scoring/frontier.hpp"
#include "support/expect_error.hpp"
#include "support/random_network.hpp"
#include "support/script.hpp"
#include "units/output_kind.hpp"

namespace incite {
namespace {

/// A program with data, whose units are clusters of their own.
struct Estimated {
  Program program;
  Dataset data;
  UnitMap map;
  std::vector<Cluster> clusters;
  ScoringParams params;

  Estimated(const std::string& source, const test::Parameters& parameters, const at::Tensor& input)
      : Estimated(test::program_from(source, parameters, input), input) {}
  Estimated(Program loaded, const at::Tensor& input, bool integers = false) : program(std::move(loaded)) {
    data.input = input;
    if (integers) data.as_integers = {true};
    map = analyse(program, sample_values(program, input.narrow(0, 0, 2)));
    clusters = cluster_units(program, map, {.method = ClusteringMethod::none});
    params.metric = Metric::absolute;
  }

  Contributions by(Scoring scoring, OutputKind kind = OutputKind::logits) {
    params.scoring = scoring;
    return score(program, map, clusters, kind, data, at::arange(data.size(), at::kLong), params);
  }
};

at::Tensor uniform(at::IntArrayRef shape, uint64_t seed) {
  return at::rand(shape, at::detail::createCPUGenerator(seed)) * 2 - 1;
}

void expect_close(const at::Tensor& found, const at::Tensor& expected, double relative = 1e-4) {
  const double scale = expected.abs().max().item<double>();
  EXPECT_GT(scale, 0);
  EXPECT_TRUE(at::allclose(found, expected, relative, relative * 1e-2 * scale)) << found << expected;
}

constexpr const char* one_hidden_layer = R"(
def forward(self, x):
    x = torch.relu(torch.linear(x, self.fc1.weight, self.fc1.bias))
    return torch.linear(x, self.fc2.weight, self.fc2.bias)
)";

test::Parameters of_one_hidden_layer(int64_t outputs) {
  return {{"fc1.weight", uniform({6, 4}, 1)},
          {"fc1.bias", uniform({6}, 2)},
          {"fc2.weight", uniform({outputs, 6}, 3) * 3},
          {"fc2.bias", uniform({outputs}, 4)}};
}

TEST(Gradient, EqualsMutationWhereAllBehindTheReadersIsLinear) {
  Estimated net(one_hidden_layer, of_one_hidden_layer(3), uniform({40, 4}, 5));
  for (const double factor : {0.0, 1.1, -2.0}) {
    net.params.factors = {factor};
    expect_close(net.by(Scoring::gradient).scores, net.by(Scoring::mutation).scores);
  }
  net.params.factors = {1.1, 0.9, 0};
  const Contributions found = net.by(Scoring::gradient);
  expect_close(found.scores, net.by(Scoring::mutation).scores);
  EXPECT_EQ(found.passes, 3);
  EXPECT_EQ(found.mutants, 0);
  EXPECT_EQ(found.multiply_adds, 40 * (4 * 6 + 6 * 3) * 4);
}

TEST(Gradient, EqualsMutationOfClassesWhoseLogitsAreLinear) {
  for (const int64_t outputs : {2, 5}) {
    Estimated net(one_hidden_layer, of_one_hidden_layer(outputs), uniform({40, 4}, 5));
    net.params.metric = Metric::probability;
    expect_close(net.by(Scoring::gradient).scores, net.by(Scoring::mutation).scores);
  }
}

TEST(Gradient, EqualsMutationOfTwoClassesByLogOdds) {
  Estimated net(one_hidden_layer, of_one_hidden_layer(2), uniform({40, 4}, 5));
  net.params.metric = Metric::probability;
  net.params.outputs = {1};  // changes of some logits tell no probability
  const at::Tensor found = net.by(Scoring::gradient).scores.select(1, 1);
  expect_close(found, net.by(Scoring::mutation).scores.select(1, 1));
}

/// The metric of each kind, of outputs that mean the same.
TEST(Gradient, TakesOutputsForWhatTheyAre) {
  const std::string body(one_hidden_layer, std::strlen(one_hidden_layer) - 1);  // without the newline at its end
  const auto scores = [&](const std::string& ending, OutputKind kind) {
    const size_t at = body.rfind("return ");
    Estimated net(body.substr(0, at) + "y = " + body.substr(at + 7) + "\n    return " + ending + "\n",
                  of_one_hidden_layer(3), uniform({40, 4}, 5));
    net.params.metric = Metric::probability;
    return net.by(Scoring::gradient, kind).scores;
  };
  const at::Tensor logits = scores("y", OutputKind::logits);
  expect_close(scores("torch.softmax(y, 1)", OutputKind::probabilities), logits);
  expect_close(scores("torch.log_softmax(y, 1)", OutputKind::log_probabilities), logits);
  // What stands behind a softmax is estimated by log-odds.
  const at::Tensor odds = scores("torch.softmax(y, 1) * 1.0", OutputKind::probabilities);
  expect_close(scores("torch.log_softmax(y, 1) * 1.0", OutputKind::log_probabilities), odds, 1e-3);
  EXPECT_TRUE(at::allclose(odds, logits, 0.2, 0.005)) << odds << logits;
  const at::Tensor labels = scores("y", OutputKind::label_logits);
  expect_close(scores("torch.sigmoid(y)", OutputKind::sigmoid), labels);
  expect_close(scores("torch.sigmoid(y) * 1.0", OutputKind::sigmoid), labels, 1e-3);
}

/// A small change is what its gradient says, in what a recurrent layer gives to itself as in what it gives to others.
TEST(Gradient, EqualsSmallMutationsOfRecurrentLayers) {
  const std::vector<std::pair<std::string, int64_t>> cells = {{"lstm", 4}, {"gru", 3}, {"rnn_tanh", 1}};
  for (const auto& [op, gates] : cells) {
    const bool lstm = op == "lstm";
    const std::string weights = "self.r.wi, self.r.wh, self.r.bi, self.r.bh";
    const std::string source = "def forward(self, x):\n    h = torch.zeros([2, x.size(0), 6])\n    y, n" +
                               std::string(lstm ? ", c" : "") + " = torch." + op + "(x, " + (lstm ? "[h, h]" : "h") +
                               ", [" + weights + ", " + weights +
                               "], True, 1, 0., False, True, True)\n"
                               "    return torch.linear(y[:, -1], self.head.weight, self.head.bias)\n";
    Estimated net(source,
                  {{"r.wi", uniform({gates * 6, 4}, 1)},
                   {"r.wh", uniform({gates * 6, 6}, 2)},
                   {"r.bi", uniform({gates * 6}, 3)},
                   {"r.bh", uniform({gates * 6}, 4)},
                   {"head.weight", uniform({3, 12}, 5)},
                   {"head.bias", uniform({3}, 6)}},
                  uniform({20, 5, 4}, 7));
    net.params.factors = {1.01};
    expect_close(net.by(Scoring::gradient).scores, net.by(Scoring::mutation).scores, 0.03);
  }
}

TEST(Gradient, IsCloseToMutationBehindOtherLayers) {
  Estimated net(R"(
def forward(self, x):
    x = torch.tanh(torch.linear(x, self.fc1.weight, self.fc1.bias))
    x = torch.tanh(torch.linear(x, self.fc2.weight, self.fc2.bias))
    return torch.linear(x, self.fc3.weight, self.fc3.bias)
)",
                {{"fc1.weight", uniform({20, 4}, 1)},
                 {"fc1.bias", uniform({20}, 2)},
                 {"fc2.weight", uniform({20, 20}, 3) * 0.3},
                 {"fc2.bias", uniform({20}, 4)},
                 {"fc3.weight", uniform({3, 20}, 5)},
                 {"fc3.bias", uniform({3}, 6)}},
                uniform({100, 4}, 7));
  net.params.metric = Metric::probability;
  const at::Tensor found = net.by(Scoring::gradient).scores, exact = net.by(Scoring::mutation).scores;
  EXPECT_TRUE(at::allclose(found, exact, 0.3, 0.05 * exact.max().item<double>())) << found - exact;
}

TEST(Gradient, GivesOutputsThatAreNotWantedOneColumnTogether) {
  Estimated net(one_hidden_layer, of_one_hidden_layer(6), uniform({400, 4}, 5));
  const at::Tensor all = net.by(Scoring::gradient).scores;
  net.params.outputs = {1, 4};
  const Contributions some = net.by(Scoring::gradient);
  EXPECT_EQ(some.passes, 3);
  EXPECT_TRUE(some.scores.index_select(1, at::tensor({1, 4})).equal(all.index_select(1, at::tensor({1, 4}))));
  const at::Tensor others = some.scores.index_select(1, at::tensor({0, 2, 3, 5}));
  EXPECT_TRUE(others.equal(others.narrow(1, 0, 1).expand_as(others)));
  // A sum with random signs tells how much a unit does for the others: about as much as for one of them.
  const at::Tensor mean = all.index_select(1, at::tensor({0, 2, 3, 5})).mean(1);
  const at::Tensor ratio = others.select(1, 0) / mean;
  EXPECT_TRUE((ratio > 0.5).all().item<bool>() && (ratio < 2).all().item<bool>()) << ratio;
}

TEST(Gradient, DoesNotDependOnChunks) {
  Estimated net(one_hidden_layer, of_one_hidden_layer(6), uniform({40, 4}, 5));
  net.params.outputs = {1, 4};
  const Contributions together = net.by(Scoring::gradient);
  net.params.most = ChunkSizes{7, 7};
  const Contributions apart = net.by(Scoring::gradient);
  EXPECT_EQ(apart.chunk, 7);
  expect_close(apart.scores, together.scores, 1e-6);
}

TEST(Gradient, GoesOnFromASavedState) {
  Estimated net(one_hidden_layer, of_one_hidden_layer(6), uniform({2000, 4}, 5));
  net.params.metric = Metric::probability;
  net.params.outputs = {1, 4};
  net.params.stop = StopRule{[](const at::Tensor& scores) { return scores > scores.mean(-2, true); }, 2};
  std::vector<ScoringState> states;
  net.params.save = [&](const ScoringState& state) { states.push_back(state); };
  const Contributions whole = net.by(Scoring::gradient);
  EXPECT_EQ(whole.samples, 2000);
  ASSERT_GT(states.size(), 3U);
  net.params.resume = states[1];
  EXPECT_TRUE(net.by(Scoring::gradient).scores.equal(whole.scores));
}

TEST(Gradient, StopsWhenTheChoiceIsKnown) {
  test::Parameters parameters = of_one_hidden_layer(3);
  parameters["fc2.weight"] *= at::tensor({1.0F, 0.01F, 1.0F, 0.01F, 1.0F, 0.01F});
  Estimated net(one_hidden_layer, parameters, uniform({4000, 4}, 5));
  net.params.metric = Metric::probability;
  const at::Tensor all = net.by(Scoring::gradient).scores;
  net.params.stop = StopRule{[](const at::Tensor& scores) { return scores > scores.mean(-2, true); }, 0.99};
  const Contributions some = net.by(Scoring::gradient);
  EXPECT_LE(some.samples, 512);
  EXPECT_TRUE(at::allclose(some.scores, all, 0.2, 0.01)) << some.scores << all;
}

TEST(Gradient, DrawsPositionsWhereOutputsHaveSome) {
  Estimated net(
      R"(
def forward(self, x):
    return torch.conv2d(torch.relu(torch.conv2d(x, self.c1.weight, self.c1.bias)), self.c2.weight)
)",
      {{"c1.weight", uniform({6, 2, 1, 1}, 1)}, {"c1.bias", uniform({6}, 2)}, {"c2.weight", uniform({3, 6, 1, 1}, 3)}},
      uniform({300, 2, 1, 1}, 4).expand({300, 2, 5, 5}).contiguous());
  // All positions of an image are the same.
  const Contributions found = net.by(Scoring::gradient);
  EXPECT_EQ(found.passes, 12);
  expect_close(found.scores, net.by(Scoring::mutation).scores);
}

TEST(Gradient, SeesWhatIsDetached) {
  Estimated net(R"(
def forward(self, x):
    x = torch.relu(torch.linear(x, self.fc1.weight, self.fc1.bias)).detach()
    return torch.linear(x, self.fc2.weight, self.fc2.bias).detach()
)",
                of_one_hidden_layer(3), uniform({40, 4}, 5));
  EXPECT_EQ(obstacle_to_gradients(net.program, net.map, OutputKind::logits, net.data, Metric::absolute), "");
  expect_close(net.by(Scoring::gradient).scores, net.by(Scoring::mutation).scores);
}

TEST(Gradient, IsRefusedWhereAnOperationHidesIt) {
  const Estimated net(R"(
def forward(self, x):
    x = torch.round(torch.linear(torch.relu(torch.linear(x, self.fc1.weight, self.fc1.bias)), self.fc3.weight))
    return torch.linear(x, self.fc2.weight, self.fc2.bias)
)",
                      {{"fc1.weight", uniform({6, 4}, 1)},
                       {"fc1.bias", uniform({6}, 2)},
                       {"fc3.weight", uniform({6, 6}, 6)},
                       {"fc2.weight", uniform({3, 6}, 3)},
                       {"fc2.bias", uniform({3}, 4)}},
                      uniform({40, 4}, 5));
  const std::string obstacle =
      obstacle_to_gradients(net.program, net.map, OutputKind::logits, net.data, Metric::absolute);
  EXPECT_TRUE(obstacle.starts_with("aten::round at ")) << obstacle;
  EXPECT_TRUE(obstacle.ends_with(" has no gradient of use")) << obstacle;
}

TEST(Gradient, RefusesABudgetThatHoldsNotOneSample) {
  Estimated net(one_hidden_layer, of_one_hidden_layer(3), uniform({40, 4}, 5));
  net.params.memory = 8;
  const Error error = test::error_of([&] { net.by(Scoring::gradient); });
  EXPECT_EQ(error.code(), ExitCode::device);
  EXPECT_TRUE(std::string(error.what()).starts_with("a memory budget of 8 bytes is too small to score one sample"));
}

TEST(Gradient, NamesASampleForWhichTheModelGivesNaN) {
  Estimated net(one_hidden_layer, of_one_hidden_layer(3), uniform({40, 4}, 5));
  net.data.input.inputs[0][17] = 3e38F;
  test::expect_error([&] { net.by(Scoring::gradient); }, ExitCode::data_mismatch,
                     "the model's output for sample 17 is NaN or infinite; check the data and --input-scale");
}

// ---- Random networks ------------------------------------------------------------------------------------------------

/// Whether all that a group's mutants change behind the frontier is linear in what they change there.
bool is_linear_behind(const Estimated& net, size_t g) {
  static const std::set<std::string> linear = {"aten::linear",     "aten::conv1d",
                                               "aten::conv2d",     "aten::conv3d",
                                               "aten::mean",       "aten::sum",
                                               "aten::flatten",    "aten::view",
                                               "aten::reshape",    "aten::permute",
                                               "aten::transpose",  "aten::add",
                                               "aten::avg_pool2d", "aten::adaptive_avg_pool2d",
                                               "aten::batch_norm", "prim::ListConstruct",
                                               "aten::cat",        "aten::unsqueeze",
                                               "aten::squeeze",    "aten::lstm"};
  std::vector<bool> mutated(net.map.units.size(), false);
  for (const int32_t unit : net.map.groups[g].units)
    mutated[at_index(unit)] = !net.map.unit(unit).pinned;
  const Sample sample = sample_values(net.program, net.data.batch(0, 2, at::kCPU));
  const Frontier frontier = find_frontier(net.program, net.map, sample, mutated);
  if (!frontier.obstacle.empty() || frontier.places.empty()) return false;
  std::vector<bool> place(net.program.values.size(), false), depends(net.program.values.size(), false);
  for (const Frontier::Place& each : frontier.places) {
    if (each.own) return false;
    place[at_index(each.value)] = true;
  }
  for (size_t n = 0; n < net.program.nodes.size(); ++n) {
    const Node& node = net.program.nodes[n];
    int64_t changed = 0;
    bool of_frontier = false, further = false;
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const auto input = at_index(node.inputs[i]);
      const bool reads = !frontier.passes[n] && place[input];
      of_frontier = of_frontier || reads;
      further = further || depends[input];
      changed += reads || depends[input] ? 1 : 0;
    }
    if (!of_frontier && !further) continue;
    if (further && (frontier.passes[n] || !frontier.layers[n].empty())) return false;
    const bool sums = node.op == "aten::add" || node.op == "prim::ListConstruct";
    if (!linear.contains(node.op) || node.op == "aten::lstm" || (changed > 1 && !sums)) return false;
    if (!frontier.layers[n].empty()) return false;
    for (const ValueId output : node.outputs)
      depends[at_index(output)] = true;
  }
  return true;
}

TEST(Gradient, EqualsMutationInRandomNetworksWhereAllBehindTheFrontierIsLinear) {
  int64_t groups = 0, estimated = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const test::RandomNetwork network = test::random_network(seed);
    SCOPED_TRACE(::testing::Message() << "seed " << seed << "\n" << network.source);
    const test::TempDir folder;
    network.module().save((folder / "model.pt").string());
    const at::Tensor input = network.input(9, seed + 4000);
    Estimated net(load_program(folder / "model.pt", input), input, network.vocabulary > 0);
    if (net.clusters.empty()) continue;
    if (!obstacle_to_gradients(net.program, net.map, OutputKind::other, net.data, Metric::absolute).empty()) continue;
    ++estimated;
    net.params.factors = {1.1, 0};
    net.clusters = cluster_units(net.program, net.map, {.cluster_size = 2, .seed = seed});
    const at::Tensor found = net.by(Scoring::gradient).scores;
    EXPECT_TRUE(found.isfinite().all().item<bool>());
    const at::Tensor exact = net.by(Scoring::mutation).scores;
    for (size_t g = 0; g < net.map.groups.size(); ++g) {
      if (!is_linear_behind(net, g)) continue;
      for (size_t c = 0; c < net.clusters.size(); ++c) {
        if (net.clusters[c].group != static_cast<int32_t>(g)) continue;
        const auto row = static_cast<int64_t>(c);
        EXPECT_TRUE(at::allclose(found[row], exact[row], 1e-3, 1e-5)) << g << found[row] << exact[row];
      }
      ++groups;
    }
  }
  EXPECT_GE(estimated, 270);
  EXPECT_GE(groups, 45);
}

}  // namespace
}  // namespace incite
