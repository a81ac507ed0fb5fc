#include "scoring/suffix_plan.hpp"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scoring/clusters.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using Kind = SuffixPlan::Step::Kind;
using testing::ElementsAre;

/// The kinds of the steps that mutants of a group take, each unit a cluster.
std::vector<Kind> steps(const std::string& source, const test::Parameters& parameters, const at::Tensor& input,
                        int32_t group) {
  const Program program = test::program_from(source, parameters, input);
  const Sample sample = sample_values(program, input);
  const UnitMap map = analyse(program, sample);
  const std::vector<Cluster> clusters = cluster_units(program, map, {.method = ClusteringMethod::none});
  std::vector<Kind> kinds;
  for (const SuffixPlan::Step& step : plan_suffix(program, map, group, sample, unit_clusters(map, clusters)).steps)
    kinds.push_back(step.kind);
  return kinds;
}

at::Tensor weight(const std::vector<int64_t>& shape) {
  return at::ones(shape);
}

TEST(SuffixPlan, CarriesChangedChannelsToTheNextConvolutionAndLinearLayer) {
  const std::string source = R"(
def forward(self, x):
    x = torch.conv2d(x, self.c1.weight, self.c1.bias)
    x = torch.batch_norm(x, self.n.weight, self.n.bias, self.running_mean, self.running_var, False, 0.1, 1e-5, False)
    x = torch.max_pool2d(torch.relu(x), [2, 2])
    x = torch.flatten(torch.conv2d(x, self.c2.weight, self.c2.bias), 1)
    return torch.linear(torch.tanh(x), self.head.weight, self.head.bias)
)";
  const test::Parameters parameters = {
      {"c1.weight", weight({4, 1, 3, 3})}, {"c1.bias", weight({4})},
      {"n.weight", weight({4})},           {"n.bias", weight({4})},
      {"running_mean", weight({4})},       {"running_var", weight({4})},
      {"c2.weight", weight({3, 4, 2, 2})}, {"c2.bias", weight({3})},
      {"head.weight", weight({2, 12})},    {"head.bias", weight({2})},
  };
  const at::Tensor input = at::rand({2, 1, 8, 8});
  // Convolution, batch norm, relu, pooling; then whole: flatten, tanh, linear.
  EXPECT_THAT(steps(source, parameters, input, 0),
              ElementsAre(Kind::seed, Kind::narrow, Kind::narrow, Kind::narrow, Kind::convolution, Kind::whole,
                          Kind::whole, Kind::whole));
  EXPECT_THAT(steps(source, parameters, input, 1), ElementsAre(Kind::seed, Kind::reshape, Kind::narrow, Kind::linear));
}

TEST(SuffixPlan, WidensWhereAnOperationMixesChannels) {
  const std::string source = R"(
def forward(self, x):
    x = torch.linear(x, self.fc.weight, self.fc.bias)
    return torch.linear(torch.cat([torch.relu(x), x], 1), self.head.weight, self.head.bias)
)";
  const test::Parameters parameters = {{"fc.weight", weight({4, 3})},
                                       {"fc.bias", weight({4})},
                                       {"head.weight", weight({2, 8})},
                                       {"head.bias", weight({2})}};
  EXPECT_THAT(steps(source, parameters, at::rand({2, 3}), 0),
              ElementsAre(Kind::seed, Kind::narrow, Kind::widen, Kind::widen, Kind::whole, Kind::whole, Kind::whole));
}

TEST(SuffixPlan, RunsADepthwiseConvolutionOnTheChannelsThatChange) {
  const std::string source = R"(
def forward(self, x):
    x = torch.conv2d(x, self.c.weight, self.c.bias)
    x = torch.conv2d(torch.relu(x), self.d.weight, self.d.bias, [1, 1], [1, 1], [1, 1], 4)
    return torch.linear(torch.mean(x, [2, 3]), self.head.weight, self.head.bias)
)";
  const test::Parameters parameters = {
      {"c.weight", weight({4, 1, 3, 3})}, {"c.bias", weight({4})},
      {"d.weight", weight({4, 1, 3, 3})}, {"d.bias", weight({4})},
      {"head.weight", weight({2, 4})},    {"head.bias", weight({2})},
  };
  EXPECT_THAT(steps(source, parameters, at::rand({2, 1, 6, 6}), 0),
              ElementsAre(Kind::seed, Kind::narrow, Kind::depthwise, Kind::narrow, Kind::linear));
}

TEST(SuffixPlan, RunsARecurrentLayerForEachOfItsMutants) {
  const std::string source = R"(
def forward(self, x):
    h = torch.zeros([1, x.size(0), 3])
    y, n = torch.gru(x, h, [self.r.wi, self.r.wh, self.r.bi, self.r.bh], True, 1, 0., False, False, True)
    return torch.linear(n[0], self.head.weight, self.head.bias)
)";
  const test::Parameters parameters = {{"r.wi", weight({9, 4})},        {"r.wh", weight({9, 3})},
                                       {"r.bi", weight({9})},           {"r.bh", weight({9})},
                                       {"head.weight", weight({2, 3})}, {"head.bias", weight({2})}};
  // The first state is stacked and the weights put into a list; then what it makes is scaled: outputs and last states.
  const std::vector<Kind> made = steps(source, parameters, at::rand({2, 5, 4}), 0);
  EXPECT_EQ(std::count(made.begin(), made.end(), Kind::recurrent), 1);
  EXPECT_EQ(std::count(made.begin(), made.end(), Kind::scale), 2);
  EXPECT_EQ(std::count(made.begin(), made.end(), Kind::seed), 0);
}

}  // namespace
}  // namespace incite
