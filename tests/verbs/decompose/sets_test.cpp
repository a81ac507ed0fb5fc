#include "verbs/decompose/sets.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/expect_error.hpp"
#include "support/npz_forge.hpp"

namespace incite {
namespace {

using test::expect_error;
using testing::ElementsAre;
using testing::IsEmpty;

using Numbers64 = std::vector<int64_t>;

TEST(ParseOutputs, ReadsNumbersAndRanges) {
  EXPECT_EQ(parse_outputs("7"), (Numbers64{7}));
  EXPECT_EQ(parse_outputs("0,3-7"), (Numbers64{0, 3, 4, 5, 6, 7}));
  EXPECT_EQ(parse_outputs("2-2"), (Numbers64{2}));
  EXPECT_EQ(parse_outputs("999999999"), (Numbers64{999999999}));
}

TEST(ParseOutputs, SortsAndTakesEachOnce) {
  EXPECT_EQ(parse_outputs("5,1,5,0-1"), (Numbers64{0, 1, 5}));
  EXPECT_EQ(parse_outputs("3-5,0-4"), (Numbers64{0, 1, 2, 3, 4, 5}));
}

TEST(ParseOutputs, ReadsNoOtherText) {
  for (const char* text : {"", ",", "1,", ",1", "1,,2", "a", "1a", "-", "-1", "1-", "3-1", "1-2-3", "1 2", " 1", "1.5",
                           "0x1", "+1", "each", "1234567890"})
    EXPECT_EQ(parse_outputs(text), std::nullopt) << text;
}

TEST(ParseOutputs, ReadsNoRangeThatIsTooLong) {
  EXPECT_EQ(parse_outputs("0-1000000").value_or(Numbers64{}).size(), 1000001U);
  EXPECT_EQ(parse_outputs("0-1000001"), std::nullopt);
}

TEST(ParseSets, GivesNoSetsForEach) {
  EXPECT_THAT(parse_sets("each"), IsEmpty());
}

TEST(ParseSets, GivesASetWithoutOutputsForAll) {
  const std::vector<OutputSet> sets = parse_sets("all");
  ASSERT_EQ(sets.size(), 1U);
  EXPECT_EQ(sets[0].name, "all");
  EXPECT_THAT(sets[0].outputs, IsEmpty());
}

TEST(ParseSets, ReadsOneSet) {
  const std::vector<OutputSet> sets = parse_sets("digits=0-4");
  ASSERT_EQ(sets.size(), 1U);
  EXPECT_EQ(sets[0].name, "digits");
  EXPECT_THAT(sets[0].outputs, ElementsAre(0, 1, 2, 3, 4));
}

TEST(ParseSets, ReadsSeveralSetsInTheirOrder) {
  const std::vector<OutputSet> sets = parse_sets("rest=9,5-6,5  a_b-c.d=0\tÄ=2");
  ASSERT_EQ(sets.size(), 3U);
  EXPECT_EQ(sets[0].name, "rest");
  EXPECT_THAT(sets[0].outputs, ElementsAre(5, 6, 9));
  EXPECT_EQ(sets[1].name, "a_b-c.d");
  EXPECT_THAT(sets[1].outputs, ElementsAre(0));
  EXPECT_EQ(sets[2].name, "Ä");
  EXPECT_THAT(sets[2].outputs, ElementsAre(2));
}

TEST(ParseSets, RefusesWhatIsNoSet) {
  const auto refuses = [](const char* text, const std::string& message) {
    SCOPED_TRACE(text);
    expect_error([&] { parse_sets(text); }, ExitCode::usage, message);
  };
  const std::string rest = ": expected each, all, sets such as digits=0-4 rest=5,7-9, or a file of such sets";
  refuses("digits", "--modules digits" + rest);
  refuses("digits=0-4 each", "--modules each" + rest);
  refuses("no/such/file.txt", "--modules no/such/file.txt" + rest);
  const std::string name = ": expected a name of letters, digits, '-', '_' and '.', and not a number, before '='";
  refuses("=0-4", "--modules =0-4" + name);
  refuses("3=0-4", "--modules 3=0-4" + name);
  refuses("a/b=0", "--modules a/b=0" + name);
  const std::string numbers = ": expected numbers of outputs such as 0,3-7 after '='";
  refuses("digits=", "--modules digits=" + numbers);
  refuses("digits=4-0", "--modules digits=4-0" + numbers);
  refuses("a=1 b=x", "--modules b=x" + numbers);
  refuses("a=1=2", "--modules a=1=2" + numbers);
}

class ParseSetsOfAFile : public testing::Test {
 protected:
  std::vector<OutputSet> read(const std::string& text) const {
    test::write_file(file(), text);
    return parse_sets(file().string());
  }

  std::filesystem::path file() const { return folder_ / "sets.txt"; }

  /// Expects an error with this message after the file's name.
  void expect_refused(const std::string& text, const std::string& rest) const {
    SCOPED_TRACE(text);
    expect_error([&] { read(text); }, ExitCode::usage, "--modules " + file().string() + ": " + rest);
  }

  test::TempDir folder_;
};

TEST_F(ParseSetsOfAFile, ReadsOneFromEachLine) {
  const std::vector<OutputSet> sets = read("digits=0-4\nrest=5,7-9");
  ASSERT_EQ(sets.size(), 2U);
  EXPECT_EQ(sets[0].name, "digits");
  EXPECT_THAT(sets[0].outputs, ElementsAre(0, 1, 2, 3, 4));
  EXPECT_EQ(sets[1].name, "rest");
  EXPECT_THAT(sets[1].outputs, ElementsAre(5, 7, 8, 9));
}

TEST_F(ParseSetsOfAFile, PassesOverCommentsAndBlanks) {
  const std::vector<OutputSet> sets = read("# what there is\n\n  digits=0 # and no more\r\n\t\r\nrest=1#\n#last=2\n");
  ASSERT_EQ(sets.size(), 2U);
  EXPECT_EQ(sets[0].name, "digits");
  EXPECT_THAT(sets[0].outputs, ElementsAre(0));
  EXPECT_EQ(sets[1].name, "rest");
  EXPECT_THAT(sets[1].outputs, ElementsAre(1));
}

TEST_F(ParseSetsOfAFile, RefusesAFileWithoutSets) {
  const std::string rest = "holds no sets; expected lines such as digits=0-4";
  expect_refused("", rest);
  expect_refused("# a=1\n\n", rest);
}

TEST_F(ParseSetsOfAFile, NamesTheLineThatIsNoSet) {
  expect_refused("a=1\n\nrest\n",
                 "line 3: rest: expected each, all, sets such as digits=0-4 rest=5,7-9, or a file of such sets");
  expect_refused("a=1\n7=2\n",
                 "line 2: 7=2: expected a name of letters, digits, '-', '_' and '.', and not a number, before '='");
  expect_refused("a=x\n", "line 1: a=x: expected numbers of outputs such as 0,3-7 after '='");
  expect_refused("a=1 b=2\n", "line 1: 2 words; expected one set, such as digits=0-4");
}

TEST_F(ParseSetsOfAFile, RefusesAFileThatIsNoText) {
  expect_refused(std::string("a=1\n\0", 5),
                 "not a text file; expected each, all, sets such as digits=0-4 rest=5,7-9, or a file of such sets");
}

TEST(SetsText, IsReadAsTheSameSets) {
  const auto expect_text = [](const char* given, const std::string& expected) {
    const std::vector<OutputSet> sets = parse_sets(given);
    EXPECT_EQ(sets_text(sets), expected);
    const std::vector<OutputSet> again = parse_sets(sets_text(sets));
    ASSERT_EQ(again.size(), sets.size());
    for (size_t i = 0; i < sets.size(); ++i) {
      EXPECT_EQ(again[i].name, sets[i].name);
      EXPECT_EQ(again[i].outputs, sets[i].outputs);
    }
  };
  expect_text("each", "each");
  expect_text("all", "all");
  expect_text("one=3", "one=3");
  expect_text("rest=9,5-6  digits=0-2", "rest=5,6,9 digits=0,1,2");
}

}  // namespace
}  // namespace incite
