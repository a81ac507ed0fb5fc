#include "scoring/clusters.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "program/executor.hpp"
#include "support/expect_error.hpp"
#include "support/random_network.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

constexpr const char* mlp_without_last_bias = R"(
def forward(self, x):
    return torch.linear(torch.relu(torch.linear(x, self.fc1.weight, self.fc1.bias)), self.fc2.weight, None)
)";

struct TwoLayers {
  TwoLayers(const at::Tensor& weight, const at::Tensor& bias)
      : program(test::program_from(
            mlp_without_last_bias,
            {{"fc1.weight", weight}, {"fc1.bias", bias}, {"fc2.weight", test::normal({2, weight.size(0)}, 1)}},
            at::ones({2, weight.size(1)}))),
        map(analyse(program, sample_values(program, at::ones({2, weight.size(1)})))) {}
  Program program;
  UnitMap map;
};

TEST(Clusters, PutUnitsWithLikeWeightsAndBiasesTogether) {
  // Units 0 and 2 are alike but for their scale of 1 %, so are 1 and 3; the bias alone tells 0 from 1.
  const at::Tensor weight = at::tensor({1.0F, 0.0F, 1.0F, 0.0F, 1.01F, 0.0F, 1.01F, 0.0F}).view({4, 2});
  const TwoLayers mlp(weight, at::tensor({0.0F, 5.0F, 0.01F, 5.02F}));
  for (const ClusteringMethod method : {ClusteringMethod::kmeans, ClusteringMethod::agglomerative}) {
    const std::vector<Cluster> clusters = cluster_units(mlp.program, mlp.map, {.method = method, .cluster_size = 2});
    ASSERT_EQ(clusters.size(), 2U) << to_string(method);
  }
  const std::vector<Cluster> ward =
      cluster_units(mlp.program, mlp.map, {.method = ClusteringMethod::agglomerative, .cluster_size = 2});
  // Scaled to [0, 1], weight 1 and bias 0 make the rows (0, 0), (0, 1), (1, 0), (1, 1): a tie that 0.002 of bias
  // breaks.
  EXPECT_EQ(ward[0].units.size() + ward[1].units.size(), 4U);
}

TEST(Clusters, AreAsManyAsTheSizeSays) {
  const TwoLayers mlp(test::normal({13, 4}, 2), test::normal({13}, 3));
  for (const auto& [size, expected] : {std::pair<int64_t, size_t>{1, 13}, {2, 7}, {5, 3}, {13, 1}, {100, 1}}) {
    EXPECT_EQ(cluster_units(mlp.program, mlp.map, {.cluster_size = size}).size(), expected) << size;
  }
}

TEST(Clusters, AutoTakesSingleUnitsInSmallGroupsAndTensInLargeOnes) {
  EXPECT_EQ(cluster_units(TwoLayers(test::normal({100, 3}, 4), test::normal({100}, 5)).program,
                          TwoLayers(test::normal({100, 3}, 4), test::normal({100}, 5)).map, {})
                .size(),
            100U);
  const TwoLayers wide(test::normal({700, 3}, 4), test::normal({700}, 5));
  EXPECT_EQ(cluster_units(wide.program, wide.map, {}).size(), 70U);
}

TEST(Clusters, HoldEveryRemovableUnitOnceAndNoPinnedOne) {
  const TwoLayers mlp(test::normal({30, 4}, 6), test::normal({30}, 7));
  std::vector<int> seen(mlp.map.units.size(), 0);
  for (const Cluster& cluster : cluster_units(mlp.program, mlp.map, {.cluster_size = 4})) {
    EXPECT_TRUE(std::is_sorted(cluster.units.begin(), cluster.units.end()));
    for (const int32_t unit : cluster.units)
      ++seen[static_cast<size_t>(unit)];
  }
  for (size_t u = 0; u < seen.size(); ++u)
    EXPECT_EQ(seen[u], mlp.map.units[u].pinned ? 0 : 1) << u;
}

TEST(Clusters, RefuseANegativeSize) {
  const TwoLayers mlp(test::normal({4, 2}, 8), test::normal({4}, 9));
  test::expect_error([&] { cluster_units(mlp.program, mlp.map, {.cluster_size = -1}); }, ExitCode::usage,
                     "cluster size -1: expected 1 or more");
}

}  // namespace
}  // namespace incite
