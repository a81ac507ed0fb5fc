#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace incite {

/// An order of a batch's axes, as NumPy's transpose takes it: {0, 3, 1, 2} moves the last axis behind the samples.
using AxisOrder = std::vector<int64_t>;

/// The orders of `rank` axes, the samples' first, other than the one they are in: the last axis moved behind the
/// samples (channels that come last) before all others. None for fewer than three axes or more than six.
std::vector<AxisOrder> axis_orders(int64_t rank);

/// Whether an order moves the last axis behind the samples and leaves the others as they are.
bool moves_last_axis(const AxisOrder& order);

/// The sizes of axes in another order.
std::vector<int64_t> in_order(const std::vector<int64_t>& sizes, const AxisOrder& order);

/// "x.transpose(0, 3, 1, 2)": how to do that in NumPy.
std::string transpose_text(const AxisOrder& order);

}  // namespace incite
