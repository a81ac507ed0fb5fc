#include "selection/select.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/expect_error.hpp"
#include "support/unit_maps.hpp"

namespace incite {
namespace {

using test::expect_error;
using test::UnitMapBuilder;

/// [clusters, 1]: each cluster's worth to output 0.
at::Tensor worth(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble).unsqueeze(1);
}

/// One layer of `units` units, each a cluster of its own.
struct OneLayer {
  explicit OneLayer(int32_t units) {
    UnitMapBuilder builder(1);
    builder.add_layer(0, 0, units);
    map = builder.build();
    for (int32_t unit = 0; unit < units; ++unit)
      clusters.push_back({0, {unit}});
  }

  Selection keep(const std::vector<double>& values, double share) const {
    return select(map, clusters, worth(values), {0}, share);
  }

  UnitMap map;
  std::vector<Cluster> clusters;
};

int64_t kept(const Selection& selection) {
  return std::count(selection.begin(), selection.end(), true);
}

TEST(Select, KeepsTheClustersThatContributeMost) {
  // ceil(0.5 * 4) = 2 of 4: those worth 9 and 5.
  EXPECT_EQ(OneLayer(4).keep({1, 9, 0, 5}, 0.5), (Selection{false, true, false, true}));
}

TEST(Select, RoundsTheNumberOfClustersUp) {
  struct Case {
    int32_t clusters;
    double keep;
    int64_t expected;
  };
  for (const auto& [clusters, keep, expected] : std::initializer_list<Case>{
           {4, 0.26, 2},   // 1.04
           {4, 0.25, 1},   // 1
           {3, 0.5, 2},    // 1.5
           {7, 0.6, 5},    // 4.2
           {1, 0.01, 1},   // 0.01
           {10, 0.01, 1},  // 0.1
           {10, 0.91, 10}  // 9.1
       }) {
    const std::vector<double> values(static_cast<size_t>(clusters), 1.0);
    EXPECT_EQ(kept(OneLayer(clusters).keep(values, keep)), expected) << clusters << " clusters, keep " << keep;
  }
}

TEST(Select, DoesNotRoundUpWhatIsWholeButForBinaryFractions) {
  // In double precision 0.07 * 100 is 7.000000000000001 and 0.55 * 100 is 55.00000000000001; 7 and 55 are meant.
  ASSERT_GT(0.07 * 100, 7);
  ASSERT_GT(0.55 * 100, 55);
  EXPECT_EQ(kept(OneLayer(100).keep(std::vector<double>(100, 1.0), 0.07)), 7);
  EXPECT_EQ(kept(OneLayer(100).keep(std::vector<double>(100, 1.0), 0.55)), 55);
  EXPECT_EQ(kept(OneLayer(5).keep(std::vector<double>(5, 1.0), 0.6)), 3);
  EXPECT_EQ(kept(OneLayer(10).keep(std::vector<double>(10, 1.0), 0.7)), 7);
}

TEST(Select, KeepsAllClustersOfAShareOfOne) {
  EXPECT_EQ(OneLayer(3).keep({0, 0, 0}, 1), (Selection{true, true, true}));
}

TEST(Select, KeepsTheFirstOfEqualClusters) {
  EXPECT_EQ(OneLayer(6).keep({1, 2, 2, 2, 1, 2}, 0.5), (Selection{false, true, true, true, false, false}));
  EXPECT_EQ(OneLayer(4).keep({0, 0, 0, 0}, 0.5), (Selection{true, true, false, false}));
}

TEST(Select, TakesTheColumnOfTheOutput) {
  const OneLayer layer(2);
  const at::Tensor scores = at::tensor({1.0, 2.0, 2.0, 1.0}, at::kDouble).view({2, 2});
  EXPECT_EQ(select(layer.map, layer.clusters, scores, {0}, 0.5), (Selection{false, true}));
  EXPECT_EQ(select(layer.map, layer.clusters, scores, {1}, 0.5), (Selection{true, false}));
}

TEST(Select, KeepsOrRemovesAClusterWhole) {
  UnitMapBuilder builder(1);
  builder.add_layer(0, 0, 6);
  const std::vector<Cluster> clusters = {{0, {0, 3, 5}}, {0, {1}}, {0, {2, 4}}};
  // ceil(0.6 * 3) = 2 clusters, not 0.6 * 6 units.
  EXPECT_EQ(select(builder.build(), clusters, worth({3, 1, 2}), {0}, 0.6),
            (Selection{true, false, true, true, true, true}));
}

TEST(Select, RanksEachGroupByItself) {
  UnitMapBuilder builder(2);
  builder.add_layer(0, 0, 2);
  builder.add_layer(1, 1, 4);
  // Clusters of the two groups stand mixed; each of group 1's is worth more than any of group 0's.
  const std::vector<Cluster> clusters = {{1, {2}}, {0, {0}}, {1, {3}}, {1, {4}}, {0, {1}}, {1, {5}}};
  // Group 0 keeps 1 of 2: unit 1 (2 > 1). Group 1 keeps 2 of 4: units 3 and 5.
  EXPECT_EQ(select(builder.build(), clusters, worth({10, 1, 40, 20, 2, 30}), {0}, 0.5),
            (Selection{false, true, false, true, false, true}));
}

TEST(Select, KeepsPinnedUnits) {
  UnitMapBuilder builder(2);
  builder.add(0, {{0, 0}}, /*pinned=*/true);
  builder.add(0, {{0, 1}});
  builder.add(0, {{0, 2}});
  builder.add_layer(1, 1, 2, /*pinned=*/true);
  const std::vector<Cluster> clusters = {{0, {1}}, {0, {2}}};
  // Pinned units are in no cluster and do not count: ceil(0.5 * 2) = 1.
  EXPECT_EQ(select(builder.build(), clusters, worth({1, 2}), {0}, 0.5), (Selection{true, false, true, true, true}));
}

/// Layer 0 has all of the group's units; layer 1 (as in a sum with a narrower path) only the last two, layer 2 the
/// first two.
UnitMap layers_that_share_some_units() {
  UnitMapBuilder builder(3);
  builder.add(0, {{0, 0}, {2, 0}});
  builder.add(0, {{0, 1}, {2, 1}});
  builder.add(0, {{0, 2}});
  builder.add(0, {{0, 3}, {1, 0}});
  builder.add(0, {{0, 4}, {1, 1}});
  return builder.build();
}

TEST(Select, KeepsTheBestClusterOfALayerThatWouldBeLeftEmpty) {
  const std::vector<Cluster> clusters = {{0, {0}}, {0, {1}}, {0, {2}}, {0, {3}}, {0, {4}}};
  // ceil(0.4 * 5) = 2: units 0 and 1. Layer 1 is left with nothing, so it keeps unit 4, the better of its two.
  EXPECT_EQ(select(layers_that_share_some_units(), clusters, worth({9, 8, 7, 1, 2}), {0}, 0.4),
            (Selection{true, true, false, false, true}));
  // The first of equal ones.
  EXPECT_EQ(select(layers_that_share_some_units(), clusters, worth({9, 8, 7, 1, 1}), {0}, 0.4),
            (Selection{true, true, false, true, false}));
}

TEST(Select, FillsEveryLayerThatWouldBeLeftEmpty) {
  const std::vector<Cluster> clusters = {{0, {0}}, {0, {1}}, {0, {2}}, {0, {3}}, {0, {4}}};
  // ceil(0.2 * 5) = 1: unit 2, of neither layer 1 nor layer 2.
  EXPECT_EQ(select(layers_that_share_some_units(), clusters, worth({0, 1, 9, 0, 0}), {0}, 0.2),
            (Selection{false, true, true, true, false}));
}

TEST(Select, KeepsAClusterWholeThatFillsAnEmptyLayer) {
  const std::vector<Cluster> clusters = {{0, {0}}, {0, {1, 2}}, {0, {3, 4}}};
  EXPECT_EQ(select(layers_that_share_some_units(), clusters, worth({9, 2, 1}), {0}, 0.3),
            (Selection{true, false, false, true, true}));
}

TEST(Select, RefusesAShareThatIsNotAboveZeroAndUpToOne) {
  const OneLayer layer(2);
  const auto refuses = [&](double keep, const std::string& text) {
    expect_error(
        [&] {
          layer.keep({1, 2}, keep);
        },
        ExitCode::usage, "--keep " + text + ": expected a share above 0 and up to 1");
  };
  refuses(0, "0");
  refuses(1.5, "1.5");
  refuses(-0.1, "-0.1");
  refuses(NAN, "nan");
}

TEST(Select, CountsEachOfSeveralOutputsForAsMuchWhateverItsUnits) {
  // Shares of output 0: 9, 5, 1 and 1 of 16; of output 1: 1, 1, 1 and 5 of 8. Output 2 does not count.
  const OneLayer layer(4);
  const at::Tensor scores =
      at::tensor({9.0, 1.0, 0.0, 5.0, 1.0, 0.0, 1.0, 1.0, 99.0, 1.0, 5.0, 0.0}, at::kDouble).view({4, 3});
  const Selection expected = {true, false, false, true};
  for (const std::vector<double>& units : {std::vector<double>{1, 1, 1}, {1000, 1, 1}, {1, 1000, 1}, {1e-3, 1, 1000}})
    EXPECT_EQ(select(layer.map, layer.clusters, scores * at::tensor(units, at::kDouble), {0, 1}, 0.5), expected);
  EXPECT_EQ(select(layer.map, layer.clusters, scores, {1, 0}, 0.5), expected);
  EXPECT_EQ(select(layer.map, layer.clusters, scores, {0}, 0.5), (Selection{true, true, false, false}));
}

TEST(Select, TakesAnOutputThatNothingContributesTo) {
  const OneLayer layer(3);
  const at::Tensor scores = at::tensor({0.0, 1.0, 0.0, 3.0, 0.0, 2.0}, at::kDouble).view({3, 2});
  for (const std::vector<int64_t>& outputs : {std::vector<int64_t>{0, 1}, {1, 0}})
    EXPECT_EQ(select(layer.map, layer.clusters, scores, outputs, 0.6), (Selection{false, true, true}));
}

TEST(Select, TakesHugeTotalsBesideAnOutputThatNothingContributesTo) {
  const OneLayer layer(3);
  const at::Tensor scores = at::tensor({1e9, 0.0, 3e9, 0.0, 2e9, 0.0}, at::kDouble).view({3, 2});
  for (const std::vector<int64_t>& outputs : {std::vector<int64_t>{0, 1}, {1, 0}})
    EXPECT_EQ(select(layer.map, layer.clusters, scores, outputs, 0.6), (Selection{false, true, true}));
}

}  // namespace
}  // namespace incite
