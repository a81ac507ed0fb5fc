#include "verbs/decompose/choose.hpp"

#include <gtest/gtest.h>

#include <set>

namespace incite {
namespace {

TEST(LargestGoodStep, IsFoundWhereverItLies) {
  for (int64_t last = 0; last < 64; ++last) {
    std::set<int64_t> tried;
    const int64_t found = largest_good_step([&](int64_t step) {
      EXPECT_TRUE(step > 0 && step < 64) << step;
      EXPECT_TRUE(tried.insert(step).second) << step << " is tried twice";
      return step <= last;
    });
    EXPECT_EQ(found, last);
    EXPECT_LE(tried.size(), 10U) << last;
  }
}

TEST(LargestGoodStep, IsGoodWhateverTheStepsSay) {
  // Noise: every third step is bad.
  std::set<int64_t> good;
  const int64_t found = largest_good_step([&](int64_t step) {
    if (step % 3 == 0) return false;
    good.insert(step);
    return true;
  });
  EXPECT_TRUE(found == 0 || good.contains(found)) << found;
}

TEST(LargestGoodStep, StartsAtFourTimes) {
  int64_t first = 0;
  largest_good_step([&](int64_t step) {
    if (first == 0) first = step;
    return false;
  });
  EXPECT_EQ(first, 2 * search_steps_per_octave);
}

}  // namespace
}  // namespace incite
