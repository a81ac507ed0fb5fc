#include "base/human.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace incite {
namespace {

std::string classes_text(const std::vector<int64_t>& numbers) {
  return human_list(numbers, "class", "classes");
}

/// Of 0, 1, 2 and so on.
std::string first_classes_text(size_t count) {
  std::vector<int64_t> numbers(count);
  std::iota(numbers.begin(), numbers.end(), 0);
  return classes_text(numbers);
}

TEST(HumanList, SaysWhatASingleNumberIs) {
  EXPECT_EQ(classes_text({3}), "class 3");
}

TEST(HumanList, JoinsTheLastWithAnd) {
  EXPECT_EQ(classes_text({1, 2}), "classes 1 and 2");
  EXPECT_EQ(classes_text({5, 1, 2}), "classes 5, 1 and 2");
  EXPECT_EQ(first_classes_text(10), "classes 0, 1, 2, 3, 4, 5, 6, 7, 8 and 9");
}

TEST(HumanList, NamesTheFirstOfManyAndCountsTheOthers) {
  EXPECT_EQ(first_classes_text(11), "classes 0, 1, 2 and 8 more");
  EXPECT_EQ(first_classes_text(2003), "classes 0, 1, 2 and 2,000 more");
}

}  // namespace
}  // namespace incite
