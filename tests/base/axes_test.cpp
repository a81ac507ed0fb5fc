#include "base/axes.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace incite {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(AxisOrders, BeginWithTheLastAxisBehindTheSamples) {
  EXPECT_THAT(axis_orders(3), ElementsAre(ElementsAre(0, 2, 1)));
  const std::vector<AxisOrder> orders = axis_orders(4);
  EXPECT_EQ(orders.size(), 5U);
  EXPECT_THAT(orders.front(), ElementsAre(0, 3, 1, 2));
  EXPECT_TRUE(moves_last_axis(orders.front()));
  EXPECT_FALSE(moves_last_axis(orders.back()));
}

TEST(AxisOrders, AreNoneForFewOrManyAxes) {
  EXPECT_THAT(axis_orders(2), IsEmpty());
  EXPECT_THAT(axis_orders(7), IsEmpty());
}

TEST(AxisOrders, AreWrittenAsNumPyTakesThem) {
  EXPECT_EQ(transpose_text({0, 3, 1, 2}), "x.transpose(0, 3, 1, 2)");
  EXPECT_THAT(in_order({9, 32, 30, 3}, {0, 3, 1, 2}), ElementsAre(9, 3, 32, 30));
}

}  // namespace
}  // namespace incite
