#include "report/pin_reasons.hpp"

#include <array>

namespace incite {
namespace {

/// What is said of a reason.
struct PinWords {
  PinReason reason;
  const char* units;  ///< a clause about the units that can't be removed: "they are the model's outputs"
  const char* whole;  ///< the same about weights that are kept whole; null: `units` says it of the units that they meet
};

constexpr std::array<PinWords, 20> pin_rows = {{
    {PinReason::attention, "they go into an attention whose shape is not known", nullptr},
    {PinReason::axes, "they meet units that lie along another dimension", nullptr},
    {PinReason::axis, "they lie along another dimension than the operation's channels", nullptr},
    {PinReason::broadcast, "one unit is spread over many positions", nullptr},
    {PinReason::computed, "they meet a weight that forward computes",
     "forward computes with them before a layer reads them"},
    {PinReason::contracted, "they are multiplied and summed with other units, or with none", nullptr},
    {PinReason::directions, "a recurrent layer's two directions do not match", nullptr},
    {PinReason::gate, "they gate a value that belongs to no unit", nullptr},
    {PinReason::grouped, "a convolution in groups ties them to values that belong to no unit", nullptr},
    {PinReason::layers, "they go into several recurrent layers in one operation", nullptr},
    {PinReason::layout, "they go into a layout operation that can't be cut", nullptr},
    {PinReason::none, "they meet values that belong to no unit: the input, padding",
     "no removable unit uses a part of them"},
    {PinReason::output, "they are the model's outputs", nullptr},
    {PinReason::projected, "they go into a recurrent layer with projections", nullptr},
    {PinReason::reduced, "a softmax, or a mean, sum or pooling over channels, mixes them", nullptr},
    {PinReason::shared, "they meet a parameter that another operation reads in another way", nullptr},
    {PinReason::single, "one unit makes up a whole value", nullptr},
    {PinReason::size, "their number is read as a size while the model runs", nullptr},
    {PinReason::unbatched, "they go into a layer without a batch dimension", nullptr},
    {PinReason::unknown, "they reach an operation that incite has no rule for",
     "they go into an operation that incite has no rule for"},
}};

/// Each reason has its row, in the enumeration's order.
constexpr bool in_order() {
  for (size_t i = 0; i < pin_rows.size(); ++i) {
    if (pin_rows[i].reason != names_of(PinReason{})[i].first || pin_rows[i].reason != static_cast<PinReason>(i))
      return false;
  }
  return true;
}
static_assert(in_order());

const PinWords& words_of(PinReason reason) {
  return pin_rows[static_cast<size_t>(reason)];
}

}  // namespace

std::string explain_pin(PinReason reason) {
  return words_of(reason).units;
}

std::string explain_whole(PinReason reason) {
  const PinWords& words = words_of(reason);
  return words.whole != nullptr ? words.whole : "of the units that they meet: " + explain_pin(reason);
}

}  // namespace incite
