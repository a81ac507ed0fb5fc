#include "slicing/repair.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/random.hpp"
#include "program/executor.hpp"
#include "slicing/slice.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::Parameters;
using test::program_from;
using test::random_normal;

/// A model's code, the shapes of its weights (each has a bias unless its name is in `without_bias`), and its samples.
struct Network {
  const char* name;
  const char* forward;
  std::vector<std::pair<std::string, std::vector<int64_t>>> weights;
  std::vector<int64_t> sample;
  std::vector<std::string> without_bias;
};

void PrintTo(const Network& network, std::ostream* stream) {
  *stream << network.name;
}

const Network mlp = {"Mlp",
                     "def forward(self, x):\n"
                     "    x = torch.relu(torch.linear(x, self.a.weight, self.a.bias))\n"
                     "    x = torch.relu(torch.linear(x, self.b.weight, self.b.bias))\n"
                     "    x = torch.tanh(torch.linear(x, self.c.weight, self.c.bias))\n"
                     "    return torch.linear(x, self.head.weight, self.head.bias)\n",
                     {{"a", {40, 12}}, {"b", {32, 40}}, {"c", {24, 32}}, {"head", {5, 24}}},
                     {12},
                     {}};

const Network convolutional = {"Convolutional",
                               "def forward(self, x):\n"
                               "    x = torch.relu(torch.conv2d(x, self.a.weight, self.a.bias, [1, 1], [1, 1]))\n"
                               "    x = torch.max_pool2d(x, [2, 2])\n"
                               "    x = torch.relu(torch.conv2d(x, self.b.weight, self.b.bias))\n"
                               "    x = torch.relu(torch.linear(torch.flatten(x, 1), self.c.weight, self.c.bias))\n"
                               "    return torch.linear(x, self.head.weight, self.head.bias)\n",
                               {{"a", {12, 2, 3, 3}}, {"b", {16, 12, 3, 3}}, {"c", {24, 144}}, {"head", {4, 24}}},
                               {2, 10, 10},
                               {}};

/// Every argument of a convolution's walk differs from its default, and height from width.
const Network strided = {
    "Strided",
    "def forward(self, x):\n"
    "    x = torch.relu(torch.conv2d(x, self.a.weight, None, [1, 2], [2, 0], [1, 1]))\n"
    "    x = torch.relu(torch.conv2d(x, self.b.weight, None, [2, 1], [1, 2], [1, 2]))\n"
    "    return torch.linear(torch.flatten(torch.adaptive_avg_pool2d(x, [2, 2]), 1), self.head.weight, None)\n",
    {{"a", {16, 3, 3, 2}}, {"b", {12, 16, 2, 3}}, {"head", {3, 48}}},
    {3, 8, 11},
    {"a", "b", "head"}};

const Network one_dimensional = {"OneDimensional",
                                 "def forward(self, x):\n"
                                 "    x = torch.relu(torch.conv1d(x, self.a.weight, self.a.bias, [1], [2]))\n"
                                 "    x = torch.relu(torch.conv1d(x, self.b.weight, self.b.bias, [2], [1], [2]))\n"
                                 "    return torch.linear(torch.mean(x, [2]), self.head.weight, self.head.bias)\n",
                                 {{"a", {16, 3, 5}}, {"b", {12, 16, 3}}, {"head", {3, 12}}},
                                 {3, 20},
                                 {}};

/// One with every argument other than its default, and one whose kernel is its stride, as decoders have them.
const Network transposed = {
    "Transposed",
    "def forward(self, x):\n"
    "    x = torch.relu(torch.conv2d(x, self.a.weight, self.a.bias))\n"
    "    x = torch.relu(torch.conv_transpose2d(x, self.b.weight, None, [2, 3], [1, 0], [1, 2], 1, [2, 1]))\n"
    "    x = torch.relu(torch.conv_transpose2d(x, self.c.weight, self.c.bias, [2, 2]))\n"
    "    return torch.linear(torch.mean(x, [2, 3]), self.head.weight, self.head.bias)\n",
    {{"a", {16, 3, 2, 2}}, {"b", {16, 12, 3, 2}}, {"c", {12, 12, 2, 2}}, {"head", {3, 12}}},
    {3, 4, 5},
    {"b"}};

const Network transposed_one_dimensional = {
    "TransposedOneDimensional",
    "def forward(self, x):\n"
    "    x = torch.relu(torch.conv1d(x, self.a.weight, self.a.bias, [1], [2]))\n"
    "    x = torch.relu(torch.conv_transpose1d(x, self.b.weight, None, [2], [1]))\n"
    "    return torch.linear(torch.mean(x, [2]), self.head.weight, self.head.bias)\n",
    {{"a", {16, 3, 5}}, {"b", {16, 12, 4}}, {"head", {3, 12}}},
    {3, 10},
    {"b"}};

at::Tensor samples_of(const Network& network, int64_t count, uint64_t seed) {
  std::vector<int64_t> shape = network.sample;
  shape.insert(shape.begin(), count);
  return random_normal(shape, seed);
}

Parameters random_parameters(const Network& network) {
  Parameters parameters;
  uint64_t seed = 100;
  for (const auto& [name, shape] : network.weights) {
    const at::Tensor weight = random_normal(shape, ++seed);
    parameters[name + ".weight"] = weight * std::sqrt(2.0 / static_cast<double>(weight[0].numel()));
    if (std::find(network.without_bias.begin(), network.without_bias.end(), name) == network.without_bias.end())
      parameters[name + ".bias"] = random_normal({shape[0]}, ++seed) * 0.3;
  }
  return parameters;
}

/// Keeps, at random, two of five of each group's units, all those that are pinned, and all of the head's.
Selection keep_some(const UnitMap& map, uint64_t seed) {
  Selection keep(map.units.size(), true);
  Random random(seed);
  for (const Group& group : map.groups) {
    std::vector<int32_t> units;
    for (const int32_t unit : group.units) {
      if (!map.units[static_cast<size_t>(unit)].pinned) units.push_back(unit);
    }
    random.shuffle(units);
    for (size_t i = (units.size() * 2 + 4) / 5; i < units.size(); ++i)
      keep[static_cast<size_t>(units[i])] = false;
  }
  return keep;
}

/// A network, data to repair on, and what is cut.
struct Cut {
  explicit Cut(const Network& network) : Cut(network, random_parameters(network)) {}
  Cut(const Network& network, const Parameters& parameters) {
    data.input = samples_of(network, 600, 1);
    samples = at::arange(600, at::kLong);
    program = program_from(network.forward, parameters, data.input.narrow(0, 4));
    map = analyse(program, sample_values(program, data.input.narrow(0, 2)));
    keep = keep_some(map, 2);
  }

  Program bare() const { return slice(program, map, keep); }

  void repair(Program& module, const RepairParams& params = {}) const {
    incite::repair(program, map, keep, data, samples, params, module);
  }

  const Layer& layer(const std::string& name) const {
    const auto found =
        std::find_if(map.layers.begin(), map.layers.end(), [&](const Layer& l) { return l.name == name; });
    if (found == map.layers.end()) throw std::out_of_range("no layer " + name);
    return *found;
  }

  Program program;
  UnitMap map;
  Selection keep;
  Dataset data;
  at::Tensor samples;
};

using Names = std::vector<std::string>;

at::Tensor parameter(const Program& program, ValueId id) {
  return program.value(id).content.toTensor();
}

at::Tensor run(const Program& program, const Batch& input) {
  const at::NoGradGuard no_grad;
  return Executor(program)(input);
}

double mean_square(const at::Tensor& tensor) {
  return tensor.to(at::kDouble).square().mean().item<double>();
}

/// Whether a layer's weight and bias are the same in both.
bool same_layer(const Program& a, const Program& b, const Layer& layer) {
  return at::equal(parameter(a, layer.weight), parameter(b, layer.weight)) &&
         (layer.bias < 0 || at::equal(parameter(a, layer.bias), parameter(b, layer.bias)));
}

/// The layers that were refitted.
std::vector<const Layer*> refitted(const Cut& cut, const Program& module) {
  const Program bare = cut.bare();
  std::vector<const Layer*> layers;
  for (const Layer& layer : cut.map.layers) {
    if (!same_layer(module, bare, layer)) layers.push_back(&layer);
  }
  return layers;
}

Names names_of(const std::vector<const Layer*>& layers) {
  Names names;
  for (const Layer* layer : layers)
    names.push_back(layer->name);
  return names;
}

/// What a layer gives on an input.
at::Tensor activation(const Program& program, const Layer& layer, const Batch& input) {
  const at::NoGradGuard no_grad;
  const Executor executor(program);
  Environment environment = executor.start(input);
  executor.run(environment, 0, layer.node + 1, std::vector<bool>(program.values.size(), true));
  return environment[static_cast<size_t>(layer.output)].toTensor().to(at::kDouble);
}

/// Mean square of (module's pre-activations - original's) over the original's variance, from the definition: channels
/// and positions together, each channel's variance about its own mean.
double layer_error(const Cut& cut, const Program& module, const Layer& layer, const Batch& input) {
  std::vector<int64_t> kept;
  for (size_t channel = 0; channel < layer.units.size(); ++channel) {
    if (cut.keep[static_cast<size_t>(layer.units[channel])]) kept.push_back(static_cast<int64_t>(channel));
  }
  const at::Tensor expected = activation(cut.program, layer, input)
                                  .index_select(layer.output_axis, at::tensor(kept, at::kLong))
                                  .transpose(0, layer.output_axis)
                                  .flatten(1);
  const at::Tensor found = activation(module, layer, input).transpose(0, layer.output_axis).flatten(1);
  const at::Tensor variance = (expected - expected.mean(1, /*keepdim=*/true)).square().mean(1);
  return ((found - expected).square().mean(1).sum() / variance.sum()).item<double>();
}

/// A refitted layer's error as a share of what it would be with the weights of the slice.
double share_of_error(const Cut& cut, const Program& module, const Layer& layer) {
  const Program bare = cut.bare();
  Program without = module;
  for (const ValueId id : {layer.weight, layer.bias}) {
    if (id >= 0) without.values[static_cast<size_t>(id)].content = bare.value(id).content;
  }
  return layer_error(cut, module, layer, cut.data.input) / layer_error(cut, without, layer, cut.data.input);
}

class Repair : public testing::TestWithParam<Network> {};

INSTANTIATE_TEST_SUITE_P(Networks, Repair,
                         testing::Values(mlp, convolutional, strided, one_dimensional, transposed,
                                         transposed_one_dimensional),
                         [](const auto& network) { return network.param.name; });

TEST_P(Repair, LessensEachLayersError) {
  const Cut cut(GetParam());
  Program module = cut.bare();
  cut.repair(module);
  const std::vector<const Layer*> layers = refitted(cut, module);
  ASSERT_FALSE(layers.empty());
  for (const Layer* layer : layers) {
    EXPECT_GT(share_of_error(cut, module, *layer), 0) << layer->name;
    EXPECT_LT(share_of_error(cut, module, *layer), 0.9) << layer->name;
  }
}

TEST_P(Repair, RepairsEveryLayerBetweenTheFirstAndTheHead) {
  const Cut cut(GetParam());
  Program module = cut.bare();
  Names expected;
  for (const auto& [name, shape] : GetParam().weights)
    expected.push_back(name);
  expected = Names(expected.begin() + 1, expected.end() - 1);
  cut.repair(module);
  EXPECT_EQ(names_of(refitted(cut, module)), expected);
}

TEST_P(Repair, BringsTheHeadsInputNearerToTheOriginalsOnOtherSamples) {
  const Cut cut(GetParam());
  Program module = cut.bare();
  cut.repair(module);
  const at::Tensor held_out = samples_of(GetParam(), 400, 77);
  const Layer& last = cut.layer(GetParam().weights[GetParam().weights.size() - 2].first);
  EXPECT_LT(layer_error(cut, module, last, held_out), 0.8 * layer_error(cut, cut.bare(), last, held_out));
}

TEST_P(Repair, BringsOutputsNearerToTheOriginalsOnOtherSamplesWhereTheHeadIsWhole) {
  // The head is not repaired: what it lacks when its own inputs are cut, it lacks.
  Cut cut(GetParam());
  for (const int32_t unit : cut.layer(GetParam().weights[GetParam().weights.size() - 2].first).units)
    cut.keep[static_cast<size_t>(unit)] = true;
  Program module = cut.bare();
  cut.repair(module);
  const at::Tensor held_out = samples_of(GetParam(), 400, 77);
  const at::Tensor expected = run(cut.program, held_out);
  EXPECT_LT(mean_square(run(module, held_out) - expected), 0.8 * mean_square(run(cut.bare(), held_out) - expected));
}

TEST_P(Repair, LeavesTheFirstLayerAndTheHeadAsTheyAre) {
  const Cut cut(GetParam());
  const Program bare = cut.bare();
  Program module = bare;
  cut.repair(module);
  for (const std::string& name : {GetParam().weights.front().first, GetParam().weights.back().first}) {
    const Layer& layer = cut.layer(name);
    EXPECT_TRUE(at::equal(parameter(module, layer.weight), parameter(bare, layer.weight))) << name;
    if (layer.bias < 0) continue;
    EXPECT_TRUE(at::equal(parameter(module, layer.bias), parameter(bare, layer.bias))) << name;
  }
}

TEST_P(Repair, KeepsShapesTypesAndTheOriginal) {
  const Cut cut(GetParam());
  const Cut same(GetParam());
  const Program bare = cut.bare();
  Program module = bare;
  cut.repair(module);
  for (const Layer& layer : cut.map.layers) {
    EXPECT_EQ(parameter(module, layer.weight).sizes(), parameter(bare, layer.weight).sizes()) << layer.name;
    EXPECT_EQ(parameter(module, layer.weight).scalar_type(), at::kFloat) << layer.name;
    EXPECT_TRUE(at::equal(parameter(cut.program, layer.weight), parameter(same.program, layer.weight))) << layer.name;
  }
}

TEST_P(Repair, DoesNothingWhereAllIsKept) {
  Cut cut(GetParam());
  cut.keep.assign(cut.keep.size(), true);
  Program module = cut.bare();
  cut.repair(module);
  for (const Layer& layer : cut.map.layers)
    EXPECT_TRUE(same_layer(module, cut.program, layer)) << layer.name;
}

TEST_P(Repair, DoesNotDependOnTheBytesThatItHolds) {
  const Cut cut(GetParam());
  Program module = cut.bare();
  Program in_blocks = cut.bare();
  cut.repair(module);
  RepairParams params;
  params.block_bytes = 1;
  cut.repair(in_blocks, params);
  const at::Tensor expected = run(module, cut.data.input);
  EXPECT_LT((run(in_blocks, cut.data.input) - expected).abs().max().item<double>(),
            1e-4 * expected.abs().max().item<double>());
}

TEST_P(Repair, GivesTheSameHoweverMuchOfItsRunsItKeeps) {
  const Cut cut(GetParam());
  Program kept = cut.bare();
  cut.repair(kept);
  for (const int64_t memory : {0, 200'000}) {
    RepairParams params;
    params.memory = memory;
    Program module = cut.bare();
    cut.repair(module, params);
    for (const Layer& layer : cut.map.layers)
      EXPECT_TRUE(at::equal(parameter(module, layer.weight), parameter(kept, layer.weight))) << layer.name;
  }
}

TEST_P(Repair, OfMeansMovesBiasesAloneAndBringsTheirMeansToTheOriginals) {
  const Cut cut(GetParam());
  const Program bare = cut.bare();
  Program module = bare;
  RepairParams params;
  params.method = RepairMethod::mean;
  params.least_rows = params.most_rows = 1'000'000;  // all positions
  cut.repair(module, params);
  for (const Layer& layer : cut.map.layers)
    EXPECT_TRUE(at::equal(parameter(module, layer.weight), parameter(bare, layer.weight))) << layer.name;
  const auto& weights = GetParam().weights;
  const bool biases = std::any_of(weights.begin() + 1, weights.end() - 1, [](const auto& weight) {
    return std::ranges::count(GetParam().without_bias, weight.first) == 0;
  });
  EXPECT_EQ(refitted(cut, module).empty(), !biases);
  for (const Layer* refit : refitted(cut, module)) {
    const Layer& layer = *refit;
    EXPECT_LT(share_of_error(cut, module, layer), 1) << layer.name;
    std::vector<int64_t> kept;
    for (size_t channel = 0; channel < layer.units.size(); ++channel) {
      if (cut.keep[static_cast<size_t>(layer.units[channel])]) kept.push_back(static_cast<int64_t>(channel));
    }
    const auto mean = [&](const at::Tensor& values) {
      return values.transpose(0, layer.output_axis).flatten(1).mean(1);
    };
    const at::Tensor expected =
        mean(activation(cut.program, layer, cut.data.input)).index_select(0, at::tensor(kept, at::kLong));
    EXPECT_TRUE(at::allclose(mean(activation(module, layer, cut.data.input)), expected, 1e-4, 1e-4)) << layer.name;
  }
}

TEST_P(Repair, KeepsNearerToTheCutWeightsTheLargerTheRidge) {
  const Cut cut(GetParam());
  const Program bare = cut.bare();
  const std::string name = GetParam().weights[1].first;
  double previous = INFINITY;
  for (const double ridge : {1e-5, 1.0, 1e6}) {
    Program module = bare;
    RepairParams params;
    params.ridges = {ridge};
    cut.repair(module, params);
    const ValueId weight = cut.layer(name).weight;
    const double moved = mean_square(parameter(module, weight) - parameter(bare, weight));
    EXPECT_LT(moved, 0.9 * previous) << ridge;
    previous = moved;
  }
  EXPECT_LT(previous, 1e-6);
}

TEST(RepairOfConvolutions, DrawsPositionsByTheSeedWhereThereAreTooMany) {
  const Cut cut(convolutional);
  const auto repaired = [&](uint64_t seed) {
    Program module = cut.bare();
    RepairParams params;
    params.least_rows = params.most_rows = 2000;  // of 600 * 9 in the second convolution
    params.seed = seed;
    cut.repair(module, params);
    EXPECT_EQ(names_of(refitted(cut, module)), (Names{"b", "c"}));
    return module;
  };
  const Program module = repaired(1);
  const ValueId weight = cut.layer("b").weight;
  EXPECT_TRUE(at::equal(parameter(module, weight), parameter(repaired(1), weight)));
  EXPECT_FALSE(at::equal(parameter(module, weight), parameter(repaired(2), weight)));
  const at::Tensor held_out = samples_of(convolutional, 400, 77);
  const Layer& layer = cut.layer("b");
  EXPECT_LT(layer_error(cut, module, layer, held_out), 0.8 * layer_error(cut, cut.bare(), layer, held_out));
}

TEST(RepairOfSomeSamples, FitsToTheSamplesThatAreNamed) {
  Cut cut(mlp);
  Cut other(mlp);
  other.data.input[0].narrow(0, 200, 400).zero_();
  Program module = cut.bare();
  Program same = other.bare();
  for (Cut* one : {&cut, &other})
    one->samples = at::arange(200, at::kLong);
  cut.repair(module);
  other.repair(same);
  EXPECT_FALSE(same_layer(module, cut.bare(), cut.layer("b")));
  for (const Layer& layer : cut.map.layers)
    EXPECT_TRUE(same_layer(module, same, layer)) << layer.name;
}

/// Removes one unit of a layer.
Selection without(const UnitMap& map, const Layer& layer, int64_t channel) {
  Selection keep(map.units.size(), true);
  keep[static_cast<size_t>(layer.units[static_cast<size_t>(channel)])] = false;
  return keep;
}

/// Output channel 3 of layer a becomes `factor` times channel 1: ReLU and pooling keep that for a factor above 0.
Parameters with_copy(const Network& network, double factor) {
  Parameters parameters = random_parameters(network);
  for (const char* name : {"a.weight", "a.bias"}) {
    if (parameters.contains(name)) parameters[name][3] = parameters[name][1] * factor;
  }
  return parameters;
}

class RepairOfACopy : public testing::TestWithParam<Network> {};

INSTANTIATE_TEST_SUITE_P(Networks, RepairOfACopy,
                         testing::Values(mlp, convolutional, strided, one_dimensional, transposed,
                                         transposed_one_dimensional),
                         [](const auto& network) { return network.param.name; });

TEST_P(RepairOfACopy, LosesNothing) {
  // What the removed unit gave, the kept one can give: with b₁ + 2 b₃ in place of b₁ the next layer is what it was.
  // A small ridge: the default gives up some 1e-5 of that for staying near the cut weights.
  Cut cut(GetParam(), with_copy(GetParam(), 2));
  cut.keep = without(cut.map, cut.layer("a"), 3);
  Program module = cut.bare();
  RepairParams params;
  params.ridges = {1e-10};
  cut.repair(module, params);
  const at::Tensor held_out = samples_of(GetParam(), 200, 77);
  const at::Tensor expected = run(cut.program, held_out);
  EXPECT_GT((run(cut.bare(), held_out) - expected).abs().max().item<double>(), 1e-2);
  EXPECT_LT((run(module, held_out) - expected).abs().max().item<double>(), 1e-5);

  const Layer& next = cut.layer("b");
  const at::Tensor before = parameter(cut.program, next.weight);
  const bool inputs_first = cut.program.node(next.node).op.find("transpose") != std::string::npos;
  const int64_t inputs = inputs_first ? 0 : 1;
  const at::Tensor sum = before.select(inputs, 1) + 2 * before.select(inputs, 3);
  EXPECT_LT((parameter(module, next.weight).select(inputs, 1) - sum).abs().max().item<double>(), 1e-4);
}

TEST_P(RepairOfACopy, LosesLittleWithTheDefaultRidge) {
  Cut cut(GetParam(), with_copy(GetParam(), 2));
  cut.keep = without(cut.map, cut.layer("a"), 3);
  Program module = cut.bare();
  cut.repair(module);
  const at::Tensor held_out = samples_of(GetParam(), 200, 77);
  const at::Tensor expected = run(cut.program, held_out);
  EXPECT_LT((run(module, held_out) - expected).abs().max().item<double>(),
            1e-2 * (run(cut.bare(), held_out) - expected).abs().max().item<double>());
}

TEST(RepairOfAConstantUnit, PutsItIntoTheBiasWhichIsNotHeldBack) {
  // Channel 3 gives 4 whatever the input: what the next layer lacks is a bias of 4 b₃. That leaves no error,
  // so a ridge that holds the weights, however strong, changes nothing.
  Parameters parameters = random_parameters(mlp);
  parameters["a.weight"][3] = 0;
  parameters["a.bias"][3] = 4;
  Cut cut(mlp, parameters);
  cut.keep = without(cut.map, cut.layer("a"), 3);
  Program module = cut.bare();
  RepairParams params;
  params.ridges = {10};
  cut.repair(module, params);
  const Layer& next = cut.layer("b");
  const at::Tensor expected = parameter(cut.program, next.bias) + 4 * parameter(cut.program, next.weight).select(1, 3);
  EXPECT_LT((parameter(module, next.bias) - expected).abs().max().item<double>(), 1e-3);
  EXPECT_LT((run(module, cut.data.input) - run(cut.program, cut.data.input)).abs().max().item<double>(), 1e-3);
}

/// Expects that repairing leaves the layer as it is in the bare slice, though its input is cut.
void expect_left_alone(const Network& network, const std::string& name) {
  const Cut cut(network);
  const Program bare = cut.bare();
  Program module = bare;
  cut.repair(module);
  const Layer& layer = cut.layer(name);
  EXPECT_LT(parameter(bare, layer.weight).numel(), parameter(cut.program, layer.weight).numel());
  EXPECT_TRUE(same_layer(module, bare, layer));
}

TEST(RepairLeavesAlone, GroupedConvolutions) {
  expect_left_alone({"Grouped",
                     "def forward(self, x):\n"
                     "    x = torch.relu(torch.conv2d(x, self.a.weight, self.a.bias))\n"
                     "    x = torch.relu(torch.conv2d(x, self.b.weight, self.b.bias, [1, 1], [0, 0], [1, 1], 10))\n"
                     "    return torch.linear(torch.flatten(x, 1), self.head.weight, self.head.bias)\n",
                     {{"a", {10, 2, 3, 3}}, {"b", {10, 1, 3, 3}}, {"head", {3, 160}}},
                     {2, 8, 8},
                     {}},
                    "b");
}

TEST(RepairLeavesAlone, LayersThatShareTheirWeights) {
  expect_left_alone({"Shared",
                     "def forward(self, x):\n"
                     "    x = torch.relu(torch.linear(x, self.a.weight, self.a.bias))\n"
                     "    x = torch.relu(torch.linear(x, self.b.weight, self.b.bias))\n"
                     "    x = torch.relu(torch.linear(x, self.b.weight, self.b.bias))\n"
                     "    return torch.linear(x, self.head.weight, self.head.bias)\n",
                     {{"a", {10, 6}}, {"b", {10, 10}}, {"head", {3, 10}}},
                     {6},
                     {}},
                    "b");
}

TEST(RepairMethod, HasTheNamesOfTheCommandLine) {
  EXPECT_STREQ(to_string(RepairMethod::none), "none");
  EXPECT_STREQ(to_string(RepairMethod::least_squares), "least-squares");
}

}  // namespace
}  // namespace incite
