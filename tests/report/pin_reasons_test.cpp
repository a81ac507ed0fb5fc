#include "report/pin_reasons.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <regex>
#include <set>

#include "store/files.hpp"

namespace incite {
namespace {

/// The reasons in the source of the analysis: the last string of each call that pins or ties.
std::set<std::string> words_in_source() {
  const std::regex word("(?:pin|tie|pin_label|pin_inputs|labelled_along|labelled_beside)\\([^;\"]*\"([a-z-]+)\"\\)");
  std::set<std::string> words;
  for (const auto& entry : std::filesystem::directory_iterator(INCITE_SOURCE_DIR "/src/units")) {
    const std::string text = read_text(entry.path());
    for (std::sregex_iterator match(text.begin(), text.end(), word), end; match != end; ++match)
      words.insert((*match)[1]);
  }
  return words;
}

TEST(PinReasons, AreAllExplained) {
  const std::set<std::string> words = words_in_source();
  EXPECT_TRUE(words.contains("output") && words.contains("unknown")) << "the words were not found";
  for (const std::string& word : words) {
    EXPECT_NE(explain_pin(word), "") << word << " is not explained in src/report/pin_reasons.cpp";
    EXPECT_LE(word.size() + explain_pin(word).size(), 76U) << word << ": longer than a terminal's line";
  }
}

TEST(PinReasons, AreAllDocumented) {
  const std::string document = read_text(INCITE_SOURCE_DIR "/docs/inspect-json.md");
  for (const std::string& word : words_in_source())
    EXPECT_NE(document.find("\n| `" + word + "` | "), std::string::npos) << word;
}

TEST(PinReasons, AreUnexplainedWhereTheyAreNotKnown) {
  EXPECT_EQ(explain_pin("strange"), "");
}

}  // namespace
}  // namespace incite
