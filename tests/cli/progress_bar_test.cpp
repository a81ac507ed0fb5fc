#include "cli/progress_bar.hpp"

#include <gtest/gtest.h>

namespace incite::cli {
namespace {

ProgressEvent event(int64_t done, int64_t total) {
  return {"scoring", done, total, "samples"};
}

TEST(ProgressLine, ShowsShareRateAndTimeLeft) {
  // 50 of 200 in 10 s: 25 %, 5 a second, 150 / 5 = 30 s left. The bar has as many cells as there is room for:
  // 80 - 8 ("scoring ") - 32 - 3 = 37, of which floor(37 / 4) = 9 are full.
  EXPECT_EQ(progress_line(event(50, 200), 10, 80),
            "scoring [" + std::string(9, '#') + std::string(28, '-') + "]  25 %  5.0 samples/s  0:30 left");
}

TEST(ProgressLine, MakesTheBarAtMostFortyCellsLong) {
  EXPECT_EQ(progress_line(event(50, 200), 10, 300),
            "scoring [" + std::string(10, '#') + std::string(30, '-') + "]  25 %  5.0 samples/s  0:30 left");
}

TEST(ProgressLine, LeavesTheLastColumnFree) {
  for (const int width : {10, 38, 39, 40, 44, 45, 60, 80, 82, 83})
    EXPECT_LE(progress_line(event(50, 200), 10, width).size(), static_cast<size_t>(width - 1)) << width;
}

TEST(ProgressLine, LeavesOutABarOfFewerThanFiveCells) {
  // "scoring " and the end take 40 columns, the brackets 2, and one is left free.
  EXPECT_EQ(progress_line(event(50, 200), 10, 47), "scoring   25 %  5.0 samples/s  0:30 left");
  EXPECT_EQ(progress_line(event(50, 200), 10, 48), "scoring [#----]  25 %  5.0 samples/s  0:30 left");
}

TEST(ProgressLine, IsCutWhereTheTerminalIsTooNarrow) {
  EXPECT_EQ(progress_line(event(50, 200), 10, 20), "scoring   25 %  5.0");
  EXPECT_EQ(progress_line(event(50, 200), 10, 1), "s");
  EXPECT_EQ(progress_line(event(50, 200), 10, 0), "s");
}

TEST(ProgressLine, ShowsNoRateAndNoTimeLeftAtZeroSeconds) {
  EXPECT_EQ(progress_line(event(50, 200), 0, 41), "scoring   25 %  0.0 samples/s  0:00 left");
}

TEST(ProgressLine, ShowsAnEmptyBarBeforeAnythingIsDone) {
  EXPECT_EQ(progress_line(event(0, 200), 10, 50), "scoring [-------]   0 %  0.0 samples/s  0:00 left");
}

TEST(ProgressLine, IsCompleteWhereThereIsNothingToDo) {
  EXPECT_EQ(progress_line(event(0, 0), 0, 50), "scoring [#######] 100 %  0.0 samples/s  0:00 left");
}

TEST(ProgressLine, IsCompleteWhereAllIsDone) {
  EXPECT_EQ(progress_line(event(200, 200), 10, 50), "scoring [########] 100 %  20 samples/s  0:00 left");
}

TEST(ProgressLine, RoundsTheShareDown) {
  // 99.9 % is not 100 %; 999 / 1000 of 7 cells are 6 full ones.
  EXPECT_EQ(progress_line(event(999, 1000), 10, 50), "scoring [######-]  99 %  100 samples/s  0:01 left");
}

TEST(ProgressLine, ShortensLargeRates) {
  const auto rate = [](int64_t done) {
    const std::string line = progress_line(event(done, done), 1, 40);
    return line.substr(16, line.find(" samples") - 16);
  };
  EXPECT_EQ(rate(9), "9.0");
  EXPECT_EQ(rate(10), "10");
  EXPECT_EQ(rate(9999), "9999");
  EXPECT_EQ(rate(10000), "10 k");
  EXPECT_EQ(rate(210900), "211 k");
  EXPECT_EQ(rate(1234567), "1.23 M");
}

TEST(ProgressLine, ShowsTheTimeLeftAsAClock) {
  const auto left = [](int64_t seconds) {
    const std::string line = progress_line(event(1, 1 + seconds), 1, 80);
    return line.substr(line.rfind("  ") + 2);
  };
  EXPECT_EQ(left(59), "0:59 left");
  EXPECT_EQ(left(60), "1:00 left");
  EXPECT_EQ(left(3599), "59:59 left");
  EXPECT_EQ(left(3600), "1:00:00 left");
  EXPECT_EQ(left(86399), "23:59:59 left");
}

TEST(ProgressLine, RoundsTheTimeLeftUp) {
  // 2 of 3 in 1 s: half a second is left.
  EXPECT_EQ(progress_line(event(2, 3), 1, 41), "scoring   66 %  2.0 samples/s  0:01 left");
}

}  // namespace
}  // namespace incite::cli
