#include "report/pin_reasons.hpp"

#include <gtest/gtest.h>

#include "store/files.hpp"

namespace incite {
namespace {

TEST(PinReasons, AreAllExplained) {
  for (const auto& [reason, name] : names_of(PinReason{})) {
    EXPECT_NE(explain_pin(reason), "") << name;
    EXPECT_LE(std::string(name).size() + explain_pin(reason).size(), 76U) << name << ": longer than a terminal's line";
  }
}

TEST(PinReasons, AreAllDocumented) {
  const std::string document = read_text(INCITE_SOURCE_DIR "/docs/inspect-json.md");
  for (const auto& [reason, name] : names_of(PinReason{}))
    EXPECT_NE(document.find("\n| `" + std::string(name) + "` | "), std::string::npos) << name;
}

TEST(PinReasons, OfWholeLayersTellOfWeightsOrOfTheUnitsThatTheyMeet) {
  EXPECT_EQ(explain_whole(PinReason::none), "no removable unit uses a part of them");
  EXPECT_EQ(explain_whole(PinReason::output), "of the units that they meet: they are the model's outputs");
}

}  // namespace
}  // namespace incite
