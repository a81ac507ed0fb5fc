#include "slicing/side_by_side.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "slicing/shared_start.hpp"
#include "slicing/slice.hpp"
#include "support/parameters.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::parameter_named;
using test::Parameters;
using test::program_from;
using test::random_normal;

/// Two hidden layers of six units each.
struct Network {
  Network() {
    Parameters parameters;
    uint64_t seed = 0;
    for (const std::string name : {"a", "b", "head"}) {
      parameters[name + ".weight"] = random_normal({6, 6}, ++seed);
      parameters[name + ".bias"] = random_normal({6}, ++seed);
    }
    data.input = random_normal({20, 6}, 9);
    program = program_from(
        "def forward(self, x):\n    x = torch.relu(torch.linear(x, self.a.weight, self.a.bias))\n"
        "    x = torch.relu(torch.linear(x, self.b.weight, self.b.bias))\n"
        "    return torch.linear(x, self.head.weight, self.head.bias)\n",
        parameters, data.batch(0, 4, at::kCPU));
    map = analyse(program, sample_values(program, data.batch(0, 2, at::kCPU)));
  }

  /// All units but the first of a layer.
  Selection without_first_of(const std::string& layer) const {
    Selection keep(map.units.size(), true);
    for (const Layer& one : map.layers) {
      if (one.name == layer) keep[static_cast<size_t>(one.units.front())] = false;
    }
    return keep;
  }

  /// What a slice's output is on some samples, from a run side by side.
  at::Tensor outputs(const Program& module, const Selection& keep, const at::Tensor& samples, int64_t workers) const {
    const Progress progress;
    const SideBySide how{
        .program = program, .map = map, .data = data, .most = 3, .workers = workers, .progress = progress};
    const SliceRun run{&module, &keep, {module.output}, {}, [](const auto& values, const auto&) { return values; }};
    return run_side_by_side(how, {run}, samples).front().front();
  }

  Dataset data;
  Program program;
  UnitMap map;
};

TEST(SharedStart, EndsBeforeTheFirstLayerThatMissesAChannel) {
  const Network network;
  const auto start = [&](const Selection& keep) {
    return shared_start(network.program, network.map, keep, slice(network.program, network.map, keep));
  };
  const NodeId b = network.program.maker(network.map.layers[1].output);
  const NodeId head = network.program.maker(network.map.layers[2].output);
  EXPECT_EQ(start(network.without_first_of("a")).node, b);
  EXPECT_EQ(start(network.without_first_of("b")).node, head);
  const SharedStart none = start(Selection(network.map.units.size(), true));
  EXPECT_EQ(none.node, static_cast<NodeId>(network.program.nodes.size()));
}

TEST(SharedStart, EndsBeforeAWeightThatIsNotTheOriginals) {
  const Network network;
  const Selection keep = network.without_first_of("b");
  Program module = slice(network.program, network.map, keep);
  c10::IValue& weight = module.value(parameter_named(module, "a.weight")).content;
  weight = weight.toTensor() * 2;
  EXPECT_EQ(shared_start(network.program, network.map, keep, module).node, 0);
  const at::Tensor samples = at::arange(7, at::kLong);
  const at::Tensor expected = Executor(module)(network.data.batch(samples, at::kCPU));
  EXPECT_TRUE(at::allclose(network.outputs(module, keep, samples, 1), expected, 1e-5, 1e-6));
}

TEST(SideBySide, GivesWhatIsSharedWithTheOriginal) {
  const Network network;
  const Selection keep = network.without_first_of("b");
  const Program module = slice(network.program, network.map, keep);
  const ValueId first = network.map.layers[0].output;
  const Progress progress;
  const SideBySide how{.program = network.program,
                       .map = network.map,
                       .data = network.data,
                       .most = 3,
                       .workers = 1,
                       .progress = progress};
  const SliceRun run{&module, &keep, {first}, {}, [](const auto& values, const auto&) { return values; }};
  const at::Tensor samples = at::arange(5, at::kLong);
  const at::Tensor x = network.data.input[0].index_select(0, samples);
  const at::Tensor expected = at::linear(x, module.value(parameter_named(module, "a.weight")).content.toTensor(),
                                         module.value(parameter_named(module, "a.bias")).content.toTensor());
  EXPECT_TRUE(at::allclose(run_side_by_side(how, {run}, samples).front().front(), expected, 1e-5, 1e-6));
}

TEST(SideBySide, GivesTheSameBytesWithAnyNumberOfWorkers) {
  const Network network;
  const Selection keep = network.without_first_of("a");
  const Program module = slice(network.program, network.map, keep);
  const at::Tensor samples = at::tensor({19, 0, 7, 3, 3, 11, 12, 5}, at::kLong);
  const at::Tensor one = network.outputs(module, keep, samples, 1);
  EXPECT_TRUE(one.equal(network.outputs(module, keep, samples, 3)));
  EXPECT_TRUE(at::allclose(one, Executor(module)(network.data.batch(samples, at::kCPU)), 1e-5, 1e-6));
}

}  // namespace
}  // namespace incite
