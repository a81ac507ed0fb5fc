#include "base/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

namespace incite {
namespace {

TEST(DeriveSeed, IsTheSameOnEveryMachineAndInEveryRelease) {
  // With no purpose, FNV-1a gives its offset basis. Computed from the definitions in Python:
  //   h = 0xcbf29ce484222325; for c in purpose: h = (h ^ c) * 0x100000001b3 mod 2^64
  //   z = seed + h + 0x9e3779b97f4a7c15; z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9; z = (z ^ z >> 27) * 0x94d049bb133111eb
  //   z ^ z >> 31, all mod 2^64
  EXPECT_EQ(derive_seed(0, ""), UINT64_C(0xc3817c016ba4ff30));
  EXPECT_EQ(derive_seed(0, "split"), UINT64_C(0xeb20f35369b6fe93));
  EXPECT_EQ(derive_seed(UINT64_MAX, "head 3"), UINT64_C(0xca982adc9d60bf15));
}

TEST(DeriveSeed, DiffersByPurposeAndSeed) {
  std::set<uint64_t> seeds;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    for (const char* purpose : {"", "split", "head 1", "head 2", "1 head"})
      seeds.insert(derive_seed(seed, purpose));
  }
  EXPECT_EQ(seeds.size(), 500U);
}

TEST(Random, DrawsTheSameForTheSameSeed) {
  Random one(7);
  Random same(7);
  Random other(8);
  int64_t differences = 0;
  for (int i = 0; i < 100; ++i) {
    const double draw = one.uniform();
    EXPECT_EQ(draw, same.uniform());
    differences += draw == other.uniform() ? 0 : 1;
  }
  EXPECT_GT(differences, 90);
}

TEST(Random, DrawsWhatTheStandardSaysOfTheEngine) {
  // The 10000th number of a default std::mt19937_64 (seed 5489) is 9981545732273789042 ([rand.predef] of the standard),
  // whose remainder by 1000 is 42.
  Random random(5489);
  for (int i = 1; i < 10000; ++i)
    random.uniform();
  EXPECT_EQ(random.below(1000), 42U);
}

TEST(Random, DrawsUniformNumbersFromZeroToBelowOne) {
  Random random(1);
  double sum = 0;
  double least = 1;
  double most = 0;
  constexpr int count = 10000;
  for (int i = 0; i < count; ++i) {
    const double draw = random.uniform();
    ASSERT_GE(draw, 0);
    ASSERT_LT(draw, 1);
    sum += draw;
    least = std::min(least, draw);
    most = std::max(most, draw);
  }
  EXPECT_NEAR(sum / count, 0.5, 0.015);  // five standard deviations of the mean: 5 / sqrt(12 * 10000) = 0.0144
  EXPECT_LT(least, 0.01);
  EXPECT_GT(most, 0.99);
}

TEST(Random, DrawsEachIntegerBelowTheCountAsOften) {
  Random random(2);
  std::map<uint64_t, int> seen;
  constexpr int count = 70000;
  for (int i = 0; i < count; ++i)
    ++seen[random.below(7)];
  ASSERT_EQ(seen.size(), 7U);
  EXPECT_EQ(seen.begin()->first, 0U);
  EXPECT_EQ(seen.rbegin()->first, 6U);
  for (const auto& [draw, times] : seen)
    EXPECT_NEAR(times, 10000, 463) << draw;  // five standard deviations: 5 * sqrt(70000 * 6 / 49) = 463
}

TEST(Random, DrawsEvenlyBelowACountThatHardlyFitsIntoTheEnginesRange) {
  // Of 2^64 draws, those from 3 * 2^62 on must be drawn again: taken as they are, a third of 3 * 2^62 would come twice
  // as often as the rest.
  Random random(3);
  constexpr uint64_t count = UINT64_C(3) << 62;
  int low = 0;
  constexpr int draws = 3000;
  for (int i = 0; i < draws; ++i) {
    const uint64_t draw = random.below(count);
    ASSERT_LT(draw, count);
    low += draw < count / 3 ? 1 : 0;
  }
  EXPECT_NEAR(low, 1000, 130);  // five standard deviations: 5 * sqrt(3000 * 2 / 9) = 129; unfair would be 1500
}

TEST(Random, DrawsZeroBelowOne) {
  Random random(4);
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(random.below(1), 0U);
}

TEST(Random, PutsValuesInAnotherOrderAndLosesNone) {
  std::vector<int> values(100);
  std::iota(values.begin(), values.end(), 0);
  const std::vector<int> sorted = values;
  std::vector<int> same = values;
  Random(5).shuffle(values);
  Random(5).shuffle(same);
  EXPECT_NE(values, sorted);
  EXPECT_EQ(values, same);
  std::sort(values.begin(), values.end());
  EXPECT_EQ(values, sorted);
}

TEST(Random, GivesEachOrderAsOften) {
  Random random(6);
  std::map<std::vector<int>, int> seen;
  for (int i = 0; i < 6000; ++i) {
    std::vector<int> values = {1, 2, 3};
    random.shuffle(values);
    ++seen[values];
  }
  ASSERT_EQ(seen.size(), 6U);
  for (const auto& [order, times] : seen)
    EXPECT_NEAR(times, 1000, 145);  // five standard deviations: 5 * sqrt(6000 * 5 / 36) = 144
}

TEST(Random, LeavesFewerThanTwoValuesAlone) {
  std::vector<int> none;
  std::vector<int> one = {3};
  Random(1).shuffle(none);
  Random(1).shuffle(one);
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(one, std::vector<int>{3});
}

}  // namespace
}  // namespace incite
