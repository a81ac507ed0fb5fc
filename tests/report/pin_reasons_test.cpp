#include "report/pin_reasons.hpp"

#include <gtest/gtest.h>

#include "store/files.hpp"

namespace incite {
namespace {

TEST(PinReasons, AreAllExplained) {
  for (const PinWords& words : pin_words()) {
    EXPECT_EQ(word_of(words.reason), words.word);
    EXPECT_NE(explain_pin(words.reason), "") << words.word;
    EXPECT_LE(word_of(words.reason).size() + explain_pin(words.reason).size(), 76U)
        << words.word << ": longer than a terminal's line";
  }
}

TEST(PinReasons, AreAllDocumented) {
  const std::string document = read_text(INCITE_SOURCE_DIR "/docs/inspect-json.md");
  for (const PinWords& words : pin_words())
    EXPECT_NE(document.find("\n| `" + word_of(words.reason) + "` | "), std::string::npos) << words.word;
}

TEST(PinReasons, OfWholeLayersTellOfWeightsOrOfTheUnitsThatTheyMeet) {
  EXPECT_EQ(explain_whole(PinReason::none), "no removable unit uses a part of them");
  EXPECT_EQ(explain_whole(PinReason::output), "of the units that they meet: they are the model's outputs");
}

}  // namespace
}  // namespace incite
