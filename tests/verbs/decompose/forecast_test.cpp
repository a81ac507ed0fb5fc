#include "verbs/decompose/forecast.hpp"

#include <gtest/gtest.h>

namespace incite {
namespace {

Plan plan_of(Scoring scoring, int64_t finetune = 0) {
  Plan plan;
  plan.scoring.scoring = scoring;
  plan.options.finetune = finetune;
  return plan;
}

TEST(Forecast, OfAShortRunIsInSeconds) {
  EXPECT_EQ(to_sentence({1, 2, 10.4}, plan_of(Scoring::mutation)), "This takes about 12 s.");
  EXPECT_EQ(to_sentence({0, 0, 0.1}, plan_of(Scoring::mutation)), "This takes about 1 s.");
}

TEST(Forecast, OfALongerRunIsInMinutes) {
  EXPECT_EQ(to_sentence({60, 180, 120}, plan_of(Scoring::mutation)),
            "This takes about 3 to 5 min: scoring 1 to 3, modules 2.");
  EXPECT_EQ(to_sentence({61, 61, 5}, plan_of(Scoring::mutation)), "This takes about 1 min: scoring 1, modules 1.");
}

TEST(Forecast, OfALongRunNamesWhatShortensItsLongerPart) {
  const auto ends_with = [](const std::string& text, const std::string& end) {
    return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
  };
  EXPECT_TRUE(ends_with(to_sentence({900, 900, 60}, plan_of(Scoring::mutation)),
                        " --scoring gradient or --samples 1000 take less."));
  EXPECT_TRUE(ends_with(to_sentence({900, 900, 60}, plan_of(Scoring::gradient)), " --samples 1000 takes less."));
  EXPECT_TRUE(ends_with(to_sentence({60, 60, 900}, plan_of(Scoring::gradient)),
                        " Fewer --modules, or fewer samples in --data, take less."));
  EXPECT_TRUE(ends_with(to_sentence({60, 60, 900}, plan_of(Scoring::gradient, 5)),
                        " A smaller --finetune or fewer --modules take less."));
}

}  // namespace
}  // namespace incite
