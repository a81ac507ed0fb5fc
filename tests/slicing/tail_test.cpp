#include "slicing/tail.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/parameters.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"
#include "units/unit_map.hpp"

namespace incite {
namespace {

using test::parameter_named;
using test::Parameters;
using test::program_from;
using test::random_normal;

Parameters linear_layers(std::initializer_list<std::string> names) {
  Parameters parameters;
  uint64_t seed = 0;
  for (const std::string& name : names) {
    parameters[name + ".weight"] = random_normal({6, 6}, ++seed) * 0.4;
    parameters[name + ".bias"] = random_normal({6}, ++seed);
  }
  return parameters;
}

std::string layer(const std::string& name) {
  return "torch.linear(x, self." + name + ".weight, self." + name + ".bias)";
}

/// A hidden layer whose output goes around the next one.
const std::string around = "def forward(self, x):\n    x = torch.relu(" + layer("a") + ")\n    skipped = x * 2\n" +
                           "    x = torch.tanh(" + layer("b") + ") + skipped\n    return " + layer("head") + "\n";

struct Model {
  explicit Model(const std::string& source, std::initializer_list<std::string> layers = {"a", "b", "head"},
                 std::vector<int64_t> sample = {6}) {
    sample.insert(sample.begin(), 50);
    data.input = random_normal(sample, 9);
    program = program_from(source, linear_layers(layers), first());
  }

  Batch first() const { return data.batch(0, 4, at::kCPU); }

  Dataset data;
  Program program;
};

void expect_the_same_outputs(const Model& model, const std::string& from, size_t reads) {
  const std::optional<Tail> tail = find_tail(model.program, parameter_named(model.program, from), model.first());
  ASSERT_TRUE(tail);
  EXPECT_EQ(tail->reads.size(), reads);
  EXPECT_LT(tail->nodes.size(), model.program.nodes.size());
  const at::Tensor samples = at::tensor({3, 49, 12, 7, 30, 31, 0}, at::kLong);
  const TailInputs inputs = run_up_to(model.program, *tail, model.data, samples, 3);
  const at::Tensor rows = at::tensor({6, 1, 1, 4}, at::kLong);
  const Executor executor(model.program);
  const at::Tensor found = run_tail(executor, *tail, select_rows(*tail, inputs, rows), model.program.output);
  const at::Tensor expected = executor(model.data.batch(samples.index_select(0, rows), at::kCPU));
  EXPECT_TRUE(at::allclose(found, expected, 1e-5, 1e-6));
}

TEST(Tail, GivesWhatTheWholeProgramDoes) {
  const Model model(around);
  expect_the_same_outputs(model, "b.weight", 2);
  expect_the_same_outputs(model, "head.weight", 1);
}

TEST(Tail, ReadsWhatIsMadeAfterItsFirstNode) {
  expect_the_same_outputs(Model("def forward(self, x):\n    y = torch.tanh(" + layer("b") + ")\n    x = torch.relu(" +
                                layer("a") + ")\n    x = x + y\n    return " + layer("head") + "\n"),
                          "b.weight", 2);
}

TEST(Tail, FindsSamplesAlongAnotherAxis) {
  expect_the_same_outputs(
      Model("def forward(self, x):\n    x = torch.relu(" + layer("a") + ").transpose(0, 1)\n    x = torch.tanh(" +
                layer("b") + ").mean([0])\n    return " + layer("head") + "\n",
            {"a", "b", "head"}, {5, 6}),
      "b.weight", 1);
}

TEST(Tail, RefusesWhatHasNoRowForEachSample) {
  const Model folded("def forward(self, x):\n    n = x.size(0)\n    x = x.reshape(-1, 6)\n    x = torch.relu(" +
                         layer("a") + ")\n    x = x.reshape(n, -1, 6).mean([1])\n    return " + layer("head") + "\n",
                     {"a", "head"}, {5, 6});
  EXPECT_FALSE(find_tail(folded.program, parameter_named(folded.program, "a.weight"), folded.first()));
  EXPECT_TRUE(find_tail(folded.program, parameter_named(folded.program, "head.weight"), folded.first()));
}

TEST(Tail, BeginsWithTheLastHiddenLayers) {
  const Model model(around);
  const UnitMap map = analyse(model.program, sample_values(model.program, model.first()));
  EXPECT_EQ(last_layers(model.program, map, 1), parameter_named(model.program, "b.weight"));
  EXPECT_EQ(last_layers(model.program, map, 2), parameter_named(model.program, "a.weight"));
  EXPECT_EQ(last_layers(model.program, map, 3), parameter_named(model.program, "a.weight"));
}

TEST(Tail, BeginsWithAConvolutionWhereNoLinearLayerIsHidden) {
  Dataset data;
  data.input = random_normal({4, 3, 5, 5}, 1);
  const Program program = program_from(
      "def forward(self, x):\n    x = torch.relu(torch.conv2d(x, self.a.weight))\n"
      "    x = torch.relu(torch.conv2d(x, self.b.weight)).mean([2, 3])\n"
      "    return torch.linear(x, self.head.weight)\n",
      {{"a.weight", random_normal({4, 3, 2, 2}, 2)},
       {"b.weight", random_normal({4, 4, 2, 2}, 3)},
       {"head.weight", random_normal({3, 4}, 4)}},
      data.batch(0, 4, at::kCPU));
  const UnitMap map = analyse(program, sample_values(program, data.batch(0, 4, at::kCPU)));
  EXPECT_EQ(last_layers(program, map, 2), parameter_named(program, "b.weight"));
}

}  // namespace
}  // namespace incite
