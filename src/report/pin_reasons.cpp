#include "report/pin_reasons.hpp"

#include <array>
#include <string_view>

namespace incite {
namespace {

constexpr std::array<PinWords, 20> pin_rows = {{
    {PinReason::attention, "attention", "they go into an attention whose shape is not known", nullptr},
    {PinReason::axes, "axes", "they meet units that lie along another dimension", nullptr},
    {PinReason::axis, "axis", "they lie along another dimension than the operation's channels", nullptr},
    {PinReason::broadcast, "broadcast", "one unit is spread over many positions", nullptr},
    {PinReason::computed, "computed", "they meet a weight that forward computes",
     "forward computes with them before a layer reads them"},
    {PinReason::contracted, "contracted", "they are multiplied and summed with other units, or with none", nullptr},
    {PinReason::directions, "directions", "a recurrent layer's two directions do not match", nullptr},
    {PinReason::gate, "gate", "they gate a value that belongs to no unit", nullptr},
    {PinReason::grouped, "grouped", "a convolution in groups ties them to values that belong to no unit", nullptr},
    {PinReason::layers, "layers", "they go into several recurrent layers in one operation", nullptr},
    {PinReason::layout, "layout", "they go into a layout operation that can't be cut", nullptr},
    {PinReason::none, "none", "they meet values that belong to no unit: the input, padding",
     "no removable unit uses a part of them"},
    {PinReason::output, "output", "they are the model's outputs", nullptr},
    {PinReason::projected, "projected", "they go into a recurrent layer with projections", nullptr},
    {PinReason::reduced, "reduced", "a softmax, or a mean, sum or pooling over channels, mixes them", nullptr},
    {PinReason::shared, "shared", "they meet a parameter that another operation reads in another way", nullptr},
    {PinReason::single, "single", "one unit makes up a whole value", nullptr},
    {PinReason::size, "size", "their number is read as a size while the model runs", nullptr},
    {PinReason::unbatched, "unbatched", "they go into a layer without a batch dimension", nullptr},
    {PinReason::unknown, "unknown", "they reach an operation that incite has no rule for",
     "they go into an operation that incite has no rule for"},
}};

/// Each reason has its row, in the enumeration's order, which is that of the words: pins stand in it in documents.
constexpr bool in_order() {
  for (size_t i = 0; i < pin_rows.size(); ++i) {
    if (static_cast<size_t>(pin_rows[i].reason) != i) return false;
    if (i > 0 && std::string_view(pin_rows[i - 1].word) >= pin_rows[i].word) return false;
  }
  return pin_rows.size() == static_cast<size_t>(PinReason::unknown) + 1;
}
static_assert(in_order());

const PinWords& words_of(PinReason reason) {
  return pin_rows[static_cast<size_t>(reason)];
}

}  // namespace

std::span<const PinWords> pin_words() {
  return pin_rows;
}

std::string word_of(PinReason reason) {
  return words_of(reason).word;
}

std::string explain_pin(PinReason reason) {
  return words_of(reason).units;
}

std::string explain_whole(PinReason reason) {
  const PinWords& words = words_of(reason);
  return words.whole != nullptr ? words.whole : "of the units that they meet: " + explain_pin(reason);
}

}  // namespace incite
