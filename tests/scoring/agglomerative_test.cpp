#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "scoring/clustering.hpp"
#include "support/expect_error.hpp"
#include "support/random_normal.hpp"

namespace incite {
namespace {

using test::random_normal;

std::vector<int64_t> assignment_of(const Clustering& clustering) {
  const int64_t* const data = clustering.assignment.const_data_ptr<int64_t>();
  return {data, data + clustering.assignment.numel()};
}

/// Ward by the book: merges the pair that adds least to the inertia until k are left. O(points³).
std::vector<int64_t> naive_ward(const at::Tensor& points, int64_t k) {
  const at::Tensor values = points.to(at::kDouble);
  std::vector<std::vector<int64_t>> clusters;
  for (int64_t i = 0; i < values.size(0); ++i)
    clusters.push_back({i});
  const auto mean = [&](const std::vector<int64_t>& members) {
    return values.index_select(0, at::tensor(members, at::kLong)).mean(0);
  };
  while (static_cast<int64_t>(clusters.size()) > k) {
    std::vector<at::Tensor> means;
    for (const auto& members : clusters)
      means.push_back(mean(members));
    const at::Tensor squared = at::cdist(at::stack(means), at::stack(means), 2, 2).square();
    std::size_t best_a = 0;
    std::size_t best_b = 0;
    double least = std::numeric_limits<double>::infinity();
    const auto distance = squared.accessor<double, 2>();
    for (std::size_t a = 0; a < clusters.size(); ++a) {
      for (std::size_t b = a + 1; b < clusters.size(); ++b) {
        const auto size_a = static_cast<double>(clusters[a].size());
        const auto size_b = static_cast<double>(clusters[b].size());
        const double added =
            size_a * size_b / (size_a + size_b) * distance[static_cast<int64_t>(a)][static_cast<int64_t>(b)];
        if (added >= least) continue;
        least = added;
        best_a = a;
        best_b = b;
      }
    }
    clusters[best_a].insert(clusters[best_a].end(), clusters[best_b].begin(), clusters[best_b].end());
    clusters.erase(clusters.begin() + static_cast<std::ptrdiff_t>(best_b));
  }
  // A cluster's first member is its least, and the clusters are in the order of these: numbered by first appearance.
  std::vector<int64_t> assignment(static_cast<std::size_t>(values.size(0)));
  for (std::size_t i = 0; i < clusters.size(); ++i) {
    for (const int64_t member : clusters[i])
      assignment[static_cast<std::size_t>(member)] = static_cast<int64_t>(i);
  }
  return assignment;
}

/// Expected: scipy 1.17, Z = linkage(X, method='ward'), fcluster(Z, k, 'maxclust') renumbered by first appearance;
/// inertias by numpy 2.4.
TEST(Agglomerative, AgreesWithScipy) {
  const at::Tensor points = at::tensor({1,  9, 2, 8,  3, 7, 2, 8,  1, 25, 4,  6, 9,  2, 9, 24, 7, 3,  0, 7,  5,
                                        13, 1, 8, 27, 5, 9, 3, 30, 4, 5,  33, 1, 12, 4, 4, 22, 9, 11, 1, 36, 7},
                                       at::kFloat)
                                .view({14, 3});
  struct Expected {
    int64_t k;
    std::vector<int64_t> assignment;
    double inertia;
  };
  const Expected table[] = {
      {1, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 3288.0714285714284},
      {2, {0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 1}, 1243.4545454545455},
      {3, {0, 0, 0, 1, 0, 1, 0, 0, 1, 2, 2, 0, 1, 2}, 395.9285714285714},
      {4, {0, 1, 0, 2, 1, 2, 0, 1, 2, 3, 3, 1, 2, 3}, 157.16666666666669},
      {5, {0, 1, 0, 2, 1, 2, 0, 1, 2, 3, 3, 1, 4, 3}, 120.0},
      {6, {0, 1, 0, 2, 1, 2, 0, 1, 2, 3, 3, 1, 4, 5}, 87.0},
      {7, {0, 1, 0, 2, 1, 3, 0, 1, 2, 4, 4, 1, 5, 6}, 66.66666666666667},
      {8, {0, 1, 0, 2, 1, 3, 0, 4, 2, 5, 5, 4, 6, 7}, 46.66666666666667},
  };
  for (const Expected& expected : table) {
    const Clustering clustering = agglomerative(points, expected.k);
    EXPECT_EQ(assignment_of(clustering), expected.assignment) << expected.k;
    EXPECT_NEAR(clustering.inertia, expected.inertia, 1e-9) << expected.k;
    EXPECT_EQ(clustering.k, expected.k);
  }
}

TEST(Agglomerative, AgreesWithNaiveWardOnRandomPoints) {
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const at::Tensor points = random_normal({25, 1 + static_cast<int64_t>(seed) % 4}, seed);
    for (const int64_t k : {1, 2, 3, 7, 12, 24, 25}) {
      EXPECT_EQ(assignment_of(agglomerative(points, k)), naive_ward(points, k)) << "seed " << seed << ", k " << k;
    }
  }
}

TEST(Agglomerative, FindsTheSameClustersFarFromTheOrigin) {
  const at::Tensor points = random_normal({40, 3}, 1).to(at::kDouble);
  EXPECT_EQ(assignment_of(agglomerative(points + 1e6, 5)), assignment_of(agglomerative(points, 5)));
}

TEST(Agglomerative, NestsItsClusters) {
  const at::Tensor points = random_normal({60, 5}, 2);
  for (int64_t k = 2; k <= 60; ++k) {
    const at::Tensor coarse = agglomerative(points, k - 1).assignment;
    const at::Tensor fine = agglomerative(points, k).assignment;
    EXPECT_EQ(std::get<0>(at::_unique(fine * 100 + coarse)).numel(), k);  // each fine cluster lies in one coarse one
  }
}

TEST(Agglomerative, GivesKClustersOfDuplicates) {
  const at::Tensor points = at::full({9, 4}, 0.1);
  for (int64_t k = 1; k <= 9; ++k) {
    const Clustering clustering = agglomerative(points, k);
    EXPECT_EQ(at::bincount(clustering.assignment).gt(0).sum().item<int64_t>(), k);
    EXPECT_NEAR(clustering.inertia, 0, 1e-12);
  }
}

TEST(Agglomerative, SpansSeveralBlocks) {
  // 2^23 elements a block: 20 points of 10^6 features are three.
  const at::Tensor offsets = at::arange(20).remainder(2).to(at::kFloat).unsqueeze(1);
  const Clustering clustering = agglomerative(random_normal({20, 1000000}, 3) + offsets, 2);
  EXPECT_TRUE(at::equal(clustering.assignment, at::arange(20).remainder(2)));
}

TEST(Agglomerative, RefusesMoreClustersThanPoints) {
  test::expect_error(
      [] {
        agglomerative(at::zeros({3, 2}), 4);
      },
      ExitCode::usage,
      "agglomerative clustering: 4 clusters of 3 points; expected at least 1, and at most one per point. Change "
      "the number of clusters.");
}

}  // namespace
}  // namespace incite
