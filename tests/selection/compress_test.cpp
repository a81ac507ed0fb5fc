#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "program/executor.hpp"
#include "selection/select.hpp"
#include "slicing/slice.hpp"
#include "support/random_network.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::program_from;
using test::random_normal;

/// Two linear layers and a head: a of 4 inputs and 8 units, b of 6, 3 outputs. Weights 32 + 48 + 18, biases 8 + 6 + 3.
struct Mlp {
  Mlp() {
    const std::string forward =
        "def forward(self, x):\n"
        "    x = torch.relu(torch.linear(x, self.a.weight, self.a.bias))\n"
        "    x = torch.relu(torch.linear(x, self.b.weight, self.b.bias))\n"
        "    return torch.linear(x, self.head.weight, self.head.bias)\n";
    const at::Tensor input = random_normal({4, 4}, 1);
    program = program_from(forward,
                           {{"a.weight", random_normal({8, 4}, 2)},
                            {"a.bias", random_normal({8}, 3)},
                            {"b.weight", random_normal({6, 8}, 4)},
                            {"b.bias", random_normal({6}, 5)},
                            {"head.weight", random_normal({3, 6}, 6)},
                            {"head.bias", random_normal({3}, 7)}},
                           input);
    map = analyse(program, sample_values(program, input.narrow(0, 0, 2)));
    clusters = cluster_units(program, map, {.method = ClusteringMethod::none});
  }

  at::Tensor scores(const std::vector<double>& values) const { return at::tensor(values, at::kDouble).unsqueeze(1); }

  Selection compressed(const std::vector<double>& values, int64_t parameters, CompressParams params = {}) const {
    params.parameters = parameters;
    return compress(ParameterCount(program, map, 0), map, clusters, scores(values), {0}, params);
  }

  /// How many units of layers a and b stay.
  std::pair<int64_t, int64_t> kept(const Selection& keep) const {
    const auto count = [&](size_t layer) {
      const auto& units = map.layers[layer].units;
      return std::count_if(units.begin(), units.end(), [&](int32_t unit) { return keep[static_cast<size_t>(unit)]; });
    };
    return {count(0), count(1)};
  }

  Program program;
  UnitMap map;
  std::vector<Cluster> clusters;
};

std::vector<double> equal_worth(size_t count) {
  return std::vector<double>(count, 1.0);
}

TEST(ParameterCount, IsThatOfTheSlice) {
  for (uint64_t seed = 0; seed < 30; ++seed) {
    const test::RandomNetwork network = test::random_network(seed);
    const test::TempDir folder;
    network.module().save((folder / "model.pt").string());
    const at::Tensor input = network.input(4, 1);
    const Program program = load_program(folder / "model.pt", input);
    const UnitMap map = analyse(program, sample_values(program, input.narrow(0, 0, 2)));
    const ParameterCount count(program, map, 0);
    Selection keep(map.units.size(), true);
    EXPECT_EQ(count(keep), slice(program, map, keep).parameter_count()) << seed;
    for (size_t unit = 0; unit < keep.size(); ++unit)
      keep[unit] = map.units[unit].pinned || unit % 3 != 0;
    for (const size_t span : empty_spans(map, keep))
      keep[static_cast<size_t>(map.spans[span].front())] = true;
    EXPECT_EQ(count(keep), slice(program, map, keep).parameter_count()) << seed;
  }
}

TEST(ParameterCount, CountsAsManyOfTheHeadsRowsAsItIsTold) {
  const Mlp mlp;
  const Selection all(mlp.map.units.size(), true);
  EXPECT_EQ(ParameterCount(mlp.program, mlp.map, 0)(all), 115);
  EXPECT_EQ(ParameterCount(mlp.program, mlp.map, 2)(all), 108);  // 6 weights and a bias less
  EXPECT_EQ(ParameterCount(mlp.program, mlp.map, 1)(all), 101);
}

TEST(Compress, KeepsAllWhereAllFits) {
  const Mlp mlp;
  const Selection keep = mlp.compressed(equal_worth(14), 115);
  EXPECT_EQ(std::count(keep.begin(), keep.end(), false), 0);
}

TEST(Compress, IsAsSmallAsAskedForAndNotMuchSmaller) {
  const Mlp mlp;
  const ParameterCount count(mlp.program, mlp.map, 0);
  for (const Allocation allocation : {Allocation::global, Allocation::uniform}) {
    for (const int64_t parameters : {110, 90, 70, 50, 30}) {
      CompressParams params;
      params.allocation = allocation;
      const Selection keep = mlp.compressed({8, 1, 7, 2, 6, 3, 5, 4, 1, 6, 2, 5, 3, 4}, parameters, params);
      EXPECT_LE(count(keep), parameters);
      // A unit of a and one of b have at most 13 and 12 parameters; uniform steps take one of each.
      EXPECT_GT(count(keep), parameters - 26) << to_string(allocation) << " " << parameters;
    }
  }
}

TEST(Compress, IsAsSmallAsCanBeWhereAskedForTheImpossible) {
  const Mlp mlp;
  for (const Allocation allocation : {Allocation::global, Allocation::uniform}) {
    CompressParams params;
    params.allocation = allocation;
    const Selection keep = mlp.compressed({8, 1, 7, 2, 6, 3, 5, 4, 1, 6, 2, 5, 3, 4}, 1, params);
    EXPECT_EQ(mlp.kept(keep), (std::pair<int64_t, int64_t>{1, 1}));
    EXPECT_TRUE(keep[0]);  // the best of a
    EXPECT_TRUE(keep[9]);  // the best of b
  }
}

TEST(Compress, TakesFirstWhatIsTheLeastShareOfItsGroupForEachParameter) {
  // A unit of a has 4 weights, a bias and 6 weights that read it: 11. One of b has 8, 1 and 3: 12. Shares of 1 / 701
  // and 0.74 / 500.74 do damage in proportion to their squares: 1.851e-7 and 1.820e-7 for a parameter.
  const Mlp mlp;
  CompressParams params;
  params.even = 0;
  std::vector<double> values(14, 100.0);
  values[3] = 1.0;    // of a
  values[10] = 0.74;  // of b
  const Selection keep = mlp.compressed(values, 114, params);
  EXPECT_EQ(mlp.kept(keep), (std::pair<int64_t, int64_t>{8, 5}));
  EXPECT_FALSE(keep[10]);
  values[10] = 0.76;  // 1.919e-7
  EXPECT_EQ(mlp.kept(mlp.compressed(values, 114, params)), (std::pair<int64_t, int64_t>{7, 6}));
}

TEST(Compress, DoesNotCompareContributionsOfDifferentGroups) {
  const Mlp mlp;
  std::vector<double> values = {8, 1, 7, 2, 6, 3, 5, 4, 1, 6, 2, 5, 3, 4};
  const Selection keep = mlp.compressed(values, 50);
  std::for_each(values.begin(), values.begin() + 8, [](double& value) { value *= 1000; });
  EXPECT_EQ(mlp.compressed(values, 50), keep);
}

TEST(Compress, AsksMoreOfAGroupFromWhichNothingHasGone) {
  // Units of a are cheaper to lose than those of b. If each counted for itself, a would lose all but one of its units
  // before b loses any.
  const Mlp mlp;
  for (const int64_t parameters : {70, 50, 35}) {
    const auto [a, b] = mlp.kept(mlp.compressed(equal_worth(14), parameters));
    EXPECT_TRUE(a > 1 && a < 8 && b > 1 && b < 6) << parameters << ": " << a << ", " << b;
  }
}

TEST(Compress, CountsAGroupsLossInEachLayerThatMakesIt) {
  // A residual unit frees 4 + 8 + 8 + 3 weights and is made by two layers, a hidden one frees 8 + 8 and is made by one.
  const at::Tensor input = random_normal({4, 4}, 1);
  const Program program = program_from(
      "def forward(self, x):\n"
      "    x = torch.linear(x, self.stem)\n"
      "    x = x + torch.linear(torch.relu(torch.linear(x, self.up)), self.down)\n"
      "    return torch.linear(torch.relu(x), self.head)\n",
      {{"stem", random_normal({8, 4}, 2)},
       {"up", random_normal({8, 8}, 3)},
       {"down", random_normal({8, 8}, 4)},
       {"head", random_normal({3, 8}, 5)}},
      input);
  const UnitMap map = analyse(program, sample_values(program, input.narrow(0, 0, 2)));
  const std::vector<Cluster> clusters = cluster_units(program, map, {.method = ClusteringMethod::none});
  ASSERT_EQ(clusters.size(), 16u);
  CompressParams params;
  params.parameters = 183;  // of 184: one unit has to go
  const Selection keep =
      compress(ParameterCount(program, map, 0), map, clusters, at::ones({16, 1}, at::kDouble), {0}, params);
  const auto gone = std::find(keep.begin(), keep.end(), false) - keep.begin();
  ASSERT_EQ(std::count(keep.begin(), keep.end(), false), 1);
  EXPECT_EQ(map.units[static_cast<size_t>(gone)].members.size(), 1u);  // a hidden one
}

TEST(Compress, CountsAClusterForItselfToo) {
  // One unit of a contributes nearly everything. By contributions alone the other seven are nothing: they go, but for
  // the two that fit into 60 parameters beside all of b, 3 · (4 + 1 + 6) + 6 + 21. Where each counts for itself alone,
  // a layer loses as many as with equal contributions.
  const Mlp mlp;
  std::vector<double> values(14, 1.0);
  values[0] = 1e6;
  CompressParams params;
  params.even = 0;
  EXPECT_EQ(mlp.kept(mlp.compressed(values, 60, params)), (std::pair<int64_t, int64_t>{3, 6}));
  params.even = 1;
  const std::pair<int64_t, int64_t> equal = mlp.kept(mlp.compressed(equal_worth(14), 60, params));
  EXPECT_EQ(mlp.kept(mlp.compressed(values, 60, params)), equal);
  EXPECT_GT(equal.first, 3);
}

TEST(Compress, RemovesWhatIsDeadThoughThereIsRoom) {
  const Mlp mlp;
  CompressParams params;
  params.dead.assign(14, false);
  params.dead[2] = params.dead[11] = true;
  const Selection keep = mlp.compressed(equal_worth(14), 115, params);
  EXPECT_EQ(std::count(keep.begin(), keep.end(), false), 2);
  EXPECT_FALSE(keep[2]);
  EXPECT_FALSE(keep[11]);
}

TEST(RemoveDead, LeavesALayerItsLastUnit) {
  const Mlp mlp;
  Selection keep(mlp.map.units.size(), true);
  std::vector<bool> dead(14, false);
  std::fill(dead.begin(), dead.begin() + 8, true);
  remove_dead(mlp.map, mlp.clusters, dead, keep);
  EXPECT_EQ(mlp.kept(keep), (std::pair<int64_t, int64_t>{1, 6}));
}

TEST(Compress, PrefersWhatIsAnOutputsOwn) {
  const Mlp mlp;
  const auto values = equal_worth(mlp.clusters.size());
  at::Tensor scores = mlp.scores(values).repeat({1, 2});
  const auto of_a = [&](size_t c) { return mlp.clusters[c].group == mlp.clusters.front().group; };
  std::vector<size_t> shared;  // the first four of layer a do three times as much for the other output
  for (size_t c = 0; c < mlp.clusters.size() && shared.size() < 4; ++c) {
    if (!of_a(c)) continue;
    shared.push_back(c);
    scores[static_cast<int64_t>(c)][1] *= 3;
  }
  CompressParams params;
  params.parameters = mlp.program.parameter_count() * 3 / 4;
  const auto compressed = [&](const at::Tensor& by_output) {
    return compress(ParameterCount(mlp.program, mlp.map, 0), mlp.map, mlp.clusters, by_output, {0}, params);
  };
  const auto kept_of = [&](const Selection& keep, bool others) {
    int64_t count = 0;
    for (size_t c = 0; c < mlp.clusters.size(); ++c) {
      const bool is_shared = std::find(shared.begin(), shared.end(), c) != shared.end();
      if (of_a(c) && is_shared != others) count += keep[static_cast<size_t>(mlp.clusters[c].units.front())] ? 1 : 0;
    }
    return count;
  };
  const Selection keep = compressed(scores);
  EXPECT_LT(kept_of(keep, false), kept_of(keep, true));
  EXPECT_EQ(kept_of(keep, true), 4);
  // The scale of an output's values does not matter.
  EXPECT_EQ(compressed(scores * at::tensor({1.0, 1000.0}, at::kDouble)), keep);
  params.own = 0;
  EXPECT_EQ(compressed(scores), compressed(mlp.scores(values)));
}

TEST(SmallestSelection, KeepsOneUnitOfEachLayerAndWhatIsPinned) {
  const Mlp mlp;
  const Selection least = smallest_selection(mlp.map);
  EXPECT_EQ(mlp.kept(least), (std::pair<int64_t, int64_t>{1, 1}));
  // a: 4 + 1; b: 1 + 1; a head of two rows of one weight and a bias.
  EXPECT_EQ(ParameterCount(mlp.program, mlp.map, 2)(least), 5 + 2 + 4);
}

TEST(Compress, MakesModulesAsSmallAsOneUnitALayerThoughClustersAreLarger) {
  Mlp mlp;
  mlp.clusters = cluster_units(mlp.program, mlp.map, {.cluster_size = 4});
  const Selection smallest = mlp.compressed(equal_worth(mlp.clusters.size()), 1);
  EXPECT_EQ(mlp.kept(smallest), (std::pair<int64_t, int64_t>{1, 1}));
}

TEST(Compress, LeavesClustersWholeWhereThatIsSmallEnough) {
  Mlp mlp;
  mlp.clusters = cluster_units(mlp.program, mlp.map, {.cluster_size = 4});
  const ParameterCount count(mlp.program, mlp.map, 0);
  const std::vector<double> worth = equal_worth(mlp.clusters.size());
  const Selection kept = mlp.compressed(worth, 70);
  ASSERT_LE(count(kept), 70);
  for (const Cluster& cluster : mlp.clusters) {
    for (const int32_t unit : cluster.units)
      EXPECT_EQ(kept[static_cast<size_t>(unit)], kept[static_cast<size_t>(cluster.units[0])]);
  }
}

TEST(Compress, CountsEachOfSeveralOutputsForAsMuchWhateverItsUnits) {
  const Mlp mlp;
  const at::Tensor scores = random_normal({14, 3}, 9).abs().to(at::kDouble);
  for (const Allocation allocation : {Allocation::global, Allocation::uniform}) {
    CompressParams params;
    params.allocation = allocation;
    params.parameters = 60;
    const auto compressed = [&](const at::Tensor& by_output, const std::vector<int64_t>& outputs) {
      return compress(ParameterCount(mlp.program, mlp.map, 0), mlp.map, mlp.clusters, by_output, outputs, params);
    };
    const Selection keep = compressed(scores, {0, 2});
    for (const std::vector<double>& units : {std::vector<double>{1000, 1, 1}, {1, 1, 1000}, {1, 1000, 1}}) {
      EXPECT_EQ(compressed(scores * at::tensor(units, at::kDouble), {0, 2}), keep) << to_string(allocation);
    }
    EXPECT_EQ(compressed(scores, {2, 0}), keep) << to_string(allocation);
    EXPECT_NE(compressed(scores, {0}), keep) << to_string(allocation);
    EXPECT_NE(compressed(scores, {2}), keep) << to_string(allocation);
  }
}

}  // namespace
}  // namespace incite
