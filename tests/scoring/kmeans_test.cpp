#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "scoring/clustering.hpp"
#include "support/expect_error.hpp"
#include "support/random_normal.hpp"

namespace incite {
namespace {

using test::expect_error;
using test::random_normal;

KMeansParams with_k(int64_t k, uint64_t seed = 0) {
  KMeansParams params;
  params.k = k;
  params.seed = seed;
  return params;
}

/// Means of the clusters, float64, straight from the definition.
at::Tensor means_of(const at::Tensor& points, const Clustering& clustering) {
  std::vector<at::Tensor> means;
  for (int64_t cluster = 0; cluster < clustering.k; ++cluster) {
    means.push_back(points.to(at::kDouble).index({clustering.assignment.eq(cluster)}).mean(0));
  }
  return at::stack(means);
}

int64_t non_empty(const Clustering& clustering) {
  return at::bincount(clustering.assignment).gt(0).sum().item<int64_t>();
}

/// Distances are computed in two ways; these shapes take one each (few points for their features, and many).
class KMeans : public testing::TestWithParam<std::pair<int64_t, int64_t>> {
 protected:
  at::Tensor points(uint64_t seed) const { return random_normal({GetParam().first, GetParam().second}, seed); }
};

INSTANTIATE_TEST_SUITE_P(Shapes, KMeans, testing::Values(std::pair(60, 80), std::pair(600, 2)));

TEST_P(KMeans, RecoversBlobsFarApart) {
  const at::Tensor blob = at::arange(GetParam().first).mul(7).remainder(5);
  const at::Tensor placed = points(1) + blob.unsqueeze(1) * 100;
  const Clustering clustering = kmeans(placed, with_k(5));
  const at::Tensor pairs = std::get<0>(at::_unique(clustering.assignment * 10 + blob));
  EXPECT_EQ(pairs.numel(), 5);
}

TEST_P(KMeans, GivesTheSameClustersForTheSameSeed) {
  const Clustering first = kmeans(points(2), with_k(6, 9));
  const Clustering second = kmeans(points(2), with_k(6, 9));
  EXPECT_TRUE(at::equal(first.assignment, second.assignment));
  EXPECT_EQ(first.inertia, second.inertia);
}

TEST_P(KMeans, StartsElsewhereForAnotherSeed) {
  KMeansParams params = with_k(6, 1);
  params.restarts = 1;
  const Clustering first = kmeans(points(2), params);
  params.seed = 2;
  EXPECT_FALSE(at::equal(first.assignment, kmeans(points(2), params).assignment));
}

TEST_P(KMeans, DrawsNothingFromTheGlobalGenerator) {
  at::manual_seed(7);
  const at::Tensor expected = at::rand({4});
  at::manual_seed(7);
  kmeans(points(3), with_k(4));
  EXPECT_TRUE(at::equal(at::rand({4}), expected));
}

TEST_P(KMeans, ReportsTheInertiaOfItsAssignment) {
  const at::Tensor values = points(4);
  const Clustering clustering = kmeans(values, with_k(7));
  const at::Tensor own = means_of(values, clustering).index_select(0, clustering.assignment);
  EXPECT_NEAR(clustering.inertia, (values.to(at::kDouble) - own).square().sum().item<double>(), 1e-8);
}

TEST_P(KMeans, EndsWhereEachPointIsNearestToItsOwnMean) {
  KMeansParams params = with_k(4);
  params.tolerance = 0;
  params.max_iterations = 1000;
  const at::Tensor values = points(5);
  const Clustering clustering = kmeans(values, params);
  EXPECT_TRUE(
      at::equal(at::cdist(values.to(at::kDouble), means_of(values, clustering)).argmin(1), clustering.assignment));
}

TEST_P(KMeans, NumbersClustersByFirstAppearance) {
  const at::Tensor assignment = kmeans(points(6), with_k(8)).assignment;
  int64_t next = 0;
  for (int64_t i = 0; i < assignment.numel(); ++i) {
    const auto cluster = assignment[i].item<int64_t>();
    ASSERT_LE(cluster, next);
    if (cluster == next) ++next;
  }
  EXPECT_EQ(next, 8);
}

TEST_P(KMeans, PutsAllPointsInOneCluster) {
  const at::Tensor values = points(7);
  const Clustering clustering = kmeans(values, with_k(1));
  EXPECT_TRUE(clustering.assignment.eq(0).all().item<bool>());
  const double expected = (values.to(at::kDouble) - values.to(at::kDouble).mean(0)).square().sum().item<double>();
  EXPECT_NEAR(clustering.inertia, expected, 1e-8);
}

TEST_P(KMeans, PutsEachPointInAClusterOfItsOwn) {
  const Clustering clustering = kmeans(points(8), with_k(GetParam().first));
  EXPECT_TRUE(at::equal(clustering.assignment, at::arange(GetParam().first)));
  EXPECT_NEAR(clustering.inertia, 0, 1e-12);
}

TEST_P(KMeans, LeavesNoClusterEmptyThoughPointsCoincide) {
  const at::Tensor three = points(9).narrow(0, 0, 3);
  const at::Tensor values = three.index_select(0, at::arange(GetParam().first).remainder(3));
  for (const int64_t k : {3, 4, 10, 59}) {
    const Clustering clustering = kmeans(values, with_k(k));
    EXPECT_EQ(non_empty(clustering), k);
    EXPECT_NEAR(clustering.inertia, 0, 1e-10);
  }
}

TEST_P(KMeans, LeavesNoClusterEmptyWhereAllPointsAreOne) {
  EXPECT_EQ(non_empty(kmeans(points(1).zero_() + 0.1, with_k(11))), 11);
}

TEST_P(KMeans, FindsTheSameClustersFarFromTheOrigin) {
  const at::Tensor values = points(10).to(at::kDouble);
  EXPECT_TRUE(at::equal(kmeans(values + 1e6, with_k(4)).assignment, kmeans(values, with_k(4)).assignment));
}

TEST_P(KMeans, GetsNoWorseByMoreRestarts) {
  KMeansParams params = with_k(9);
  double previous = INFINITY;
  for (params.restarts = 1; params.restarts <= 6; ++params.restarts) {
    const double inertia = kmeans(points(11), params).inertia;
    EXPECT_LE(inertia, previous);
    previous = inertia;
  }
}

TEST(KMeansLimits, StopsAfterTheIterationsAllowed) {
  const at::Tensor points = random_normal({500, 3}, 1);
  KMeansParams params = with_k(20);  // the same starts, whatever comes after them
  const double converged = kmeans(points, params).inertia;
  params.max_iterations = 2;
  const double after_two = kmeans(points, params).inertia;
  EXPECT_GT(after_two, converged);
  params.max_iterations = 1;
  EXPECT_GT(kmeans(points, params).inertia, after_two);
}

TEST(KMeansLimits, TakesHalfPrecisionPoints) {
  EXPECT_EQ(non_empty(kmeans(random_normal({30, 3}, 1).to(at::kHalf), with_k(5))), 5);
}

TEST(KMeansLimits, SaysWhichNumbersOfClustersArePossible) {
  const auto message = [](int k, int points) {
    return fmt::format(
        "k-means: {} clusters of {} points; expected at least 1, and at most one per point. Change the number "
        "of clusters.",
        k, points);
  };
  expect_error([] { kmeans(at::zeros({3, 2}), with_k(4)); }, ExitCode::usage, message(4, 3));
  expect_error([] { kmeans(at::zeros({3, 2}), with_k(0)); }, ExitCode::usage, message(0, 3));
  expect_error([] { kmeans(at::zeros({0, 2}), with_k(1)); }, ExitCode::usage, message(1, 0));
}

TEST(KMeansLimits, NamesAPointThatIsNotFinite) {
  at::Tensor points = at::zeros({3, 2});
  points[1][0] = NAN;
  expect_error([&] { kmeans(points, with_k(2)); }, ExitCode::unsupported,
               "k-means: point 1 holds NaN or an infinite value; expected finite values. Check the weights.");
}

}  // namespace
}  // namespace incite
