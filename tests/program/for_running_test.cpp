#include "program/for_running.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "program/executor.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

test::Parameters norm_of(const std::string& name, int64_t channels) {
  return {{name + ".weight", at::rand({channels}) + 0.5},
          {name + ".bias", at::randn({channels})},
          {name + ".mean", at::randn({channels})},
          {name + ".var", at::rand({channels}) + 0.5}};
}

std::string norm(const std::string& name) {
  return "torch.batch_norm(x, self." + name + ".weight, self." + name + ".bias, self." + name + ".mean, self." + name +
         ".var, False, 0.1, 1e-5, False)";
}

test::Parameters together(std::initializer_list<test::Parameters> all) {
  test::Parameters joined;
  for (const test::Parameters& one : all)
    joined.insert(one.begin(), one.end());
  return joined;
}

int64_t norms_in(const Program& program) {
  return std::count_if(program.nodes.begin(), program.nodes.end(),
                       [](const Node& node) { return node.op == "aten::batch_norm"; });
}

void expect_same(const Program& program, const Program& fast, const at::Tensor& x) {
  const at::Tensor expected = Executor(program)(x), found = Executor(fast)(x);
  EXPECT_TRUE(at::allclose(expected, found, 1e-4, 1e-5)) << (expected - found).abs().max();
}

class ForRunning : public testing::Test {
 protected:
  void SetUp() override { at::manual_seed(1); }
};

TEST_F(ForRunning, MakesBatchNormsPartOfTheConvolutionsBeforeThem) {
  const std::string source =
      "def forward(self, x):\n    x = torch.conv2d(x, self.a.weight, None)\n    x = torch.relu(" + norm("na") +
      ")\n    x = torch.conv_transpose2d(x, self.b.weight, self.b.bias, [2, 2])\n" + "    x = " + norm("nb") +
      "\n    return x.mean([2, 3])\n";
  const at::Tensor x = at::randn({3, 2, 8, 8});
  const Program program = test::program_from(
      source,
      together(
          {{{"a.weight", at::randn({5, 2, 3, 3})}, {"b.weight", at::randn({5, 4, 2, 2})}, {"b.bias", at::randn({4})}},
           norm_of("na", 5),
           norm_of("nb", 4)}),
      x);
  const Program fast = for_running(program);
  EXPECT_EQ(norms_in(program), 2);
  EXPECT_EQ(norms_in(fast), 0);
  expect_same(program, fast, x);
}

TEST_F(ForRunning, KeepsValuesThatAreWantedOrReadTwice) {
  const std::string source =
      "def forward(self, x):\n    x = torch.conv2d(x, self.a.weight, None)\n    y = " + norm("na") +
      "\n    x = torch.conv2d(y, self.b.weight, None)\n    y = x\n    x = " + norm("nb") +
      "\n    return (x + y).mean([2, 3])\n";
  const at::Tensor x = at::randn({3, 2, 8, 8});
  const Program program =
      test::program_from(source,
                         together({{{"a.weight", at::randn({5, 2, 3, 3})}, {"b.weight", at::randn({5, 5, 1, 1})}},
                                   norm_of("na", 5),
                                   norm_of("nb", 5)}),
                         x);
  EXPECT_EQ(norms_in(for_running(program)), 1);  // the second one's input is added to its output
  const auto first = std::find_if(program.nodes.begin(), program.nodes.end(),
                                  [](const Node& node) { return node.op == "aten::conv2d"; });
  std::vector<bool> keep(program.values.size(), false);
  keep[at_index(first->outputs[0])] = true;
  EXPECT_EQ(norms_in(for_running(program, keep)), 2);
  EXPECT_EQ(norms_in(for_running(program, {}, static_cast<NodeId>(first - program.nodes.begin()) + 1)), 2);
  expect_same(program, for_running(program), x);
}

TEST_F(ForRunning, HoldsChannelsLastWhereAConvolutionTakesEachChannelByItself) {
  const std::string source =
      "def forward(self, x):\n    x = torch.conv2d(x, self.a.weight, None)\n"
      "    x = torch.conv2d(x, self.b.weight, None, [1, 1], [1, 1], [1, 1], 6)\n    y = x\n"
      "    x = torch.relu(x).view([x.size(0), -1])\n    return torch.linear(x, self.fc.weight)\n";
  const at::Tensor x = at::randn({3, 2, 8, 8});
  const Program program = test::program_from(source,
                                             {{"a.weight", at::randn({6, 2, 3, 3})},
                                              {"b.weight", at::randn({6, 1, 3, 3})},
                                              {"fc.weight", at::randn({4, 216})}},
                                             x);
  const Program fast = for_running(program);
  const auto layout_of_convolutions = [&](const Program& one) {
    std::vector<bool> last;
    Executor executor(one);
    Environment environment = executor.start(x);
    for (size_t n = 0; n < one.nodes.size(); ++n) {
      executor.run_node(environment, static_cast<NodeId>(n));
      if (one.nodes[n].op == "aten::conv2d")
        last.push_back(
            environment[at_index(one.nodes[n].outputs[0])].toTensor().is_contiguous(at::MemoryFormat::ChannelsLast));
    }
    return last;
  };
  EXPECT_EQ(layout_of_convolutions(program), (std::vector<bool>{false, false}));
  EXPECT_EQ(layout_of_convolutions(fast), (std::vector<bool>{true, true}));
  expect_same(program, fast, x);
}

}  // namespace
}  // namespace incite
