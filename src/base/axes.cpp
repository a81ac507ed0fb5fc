#include "base/axes.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace incite {
namespace {

constexpr int64_t least_axes = 3, most_axes = 6;

AxisOrder as_they_are(int64_t rank) {
  AxisOrder order(static_cast<size_t>(rank));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

}  // namespace

std::vector<AxisOrder> axis_orders(int64_t rank) {
  if (rank < least_axes || rank > most_axes) return {};
  std::vector<AxisOrder> orders;
  AxisOrder order = as_they_are(rank);
  while (std::next_permutation(order.begin() + 1, order.end()))
    orders.push_back(order);
  std::stable_partition(orders.begin(), orders.end(), moves_last_axis);
  return orders;
}

bool moves_last_axis(const AxisOrder& order) {
  AxisOrder moved = as_they_are(static_cast<int64_t>(order.size()));
  if (moved.size() < 3) return false;
  std::rotate(moved.begin() + 1, moved.end() - 1, moved.end());
  return order == moved;
}

std::vector<int64_t> in_order(const std::vector<int64_t>& sizes, const AxisOrder& order) {
  std::vector<int64_t> moved;
  for (const int64_t axis : order)
    moved.push_back(sizes[static_cast<size_t>(axis)]);
  return moved;
}

std::string transpose_text(const AxisOrder& order) {
  return fmt::format("x.transpose({})", fmt::join(order, ", "));
}

}  // namespace incite
