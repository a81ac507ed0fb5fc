#include "base/disjoint_sets.hpp"

#include <gtest/gtest.h>

namespace incite {
namespace {

TEST(DisjointSets, AreKnownByTheirLeastNumber) {
  DisjointSets sets(6);
  sets.join(5, 3);
  sets.join(4, 5);
  sets.join(1, 3);
  for (const int32_t number : {1, 3, 4, 5})
    EXPECT_EQ(sets.root(number), 1) << number;
  EXPECT_EQ(sets.root(0), 0);
  EXPECT_EQ(sets.root(2), 2);
}

TEST(DisjointSets, AreCounted) {
  DisjointSets sets(2);
  EXPECT_EQ(sets.add(), 2);
  EXPECT_EQ(sets.sets(), 3U);
  sets.join(0, 2);
  sets.join(2, 0);
  EXPECT_EQ(sets.sets(), 2U);
  EXPECT_EQ(sets.numbers(), 3U);
}

}  // namespace
}  // namespace incite
