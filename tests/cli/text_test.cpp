#include "cli/text.hpp"

#include <gtest/gtest.h>

namespace incite::cli {
namespace {

TEST(Wrapped, BreaksLinesBetweenWords) {
  EXPECT_EQ(wrapped("Accuracy on 91 of 450 samples: original\nnext\n", 20),
            "Accuracy on 91 of\n"
            "  450 samples:\n"
            "  original\n"
            "next\n");
}

TEST(Wrapped, LeavesLinesThatFit) {
  EXPECT_EQ(wrapped("exactly ten\n", 11), "exactly ten\n");
  EXPECT_EQ(wrapped("any width is fine\n", 0), "any width is fine\n");
  EXPECT_EQ(wrapped("", 10), "");
}

TEST(Wrapped, GivesALineToAWordThatIsTooLong) {
  EXPECT_EQ(wrapped("see /a/very/long/path/model.pt for that", 12),
            "see\n"
            "  /a/very/long/path/model.pt\n"
            "  for that");
}

TEST(Wrapped, KeepsTheBlanksThatALineBeginsWith) {
  EXPECT_EQ(wrapped("      one two three", 13, 6),
            "      one two\n"
            "      three");
}

TEST(Wrapped, CountsCharactersNotBytes) {
  EXPECT_EQ(wrapped("\u00e9\u00e9\u00e9\u00e9 \u00e9\u00e9\u00e9\u00e9", 9),
            "\u00e9\u00e9\u00e9\u00e9 \u00e9\u00e9\u00e9\u00e9");
}

}  // namespace
}  // namespace incite::cli
