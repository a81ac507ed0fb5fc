#include "slicing/calibration.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "program/executor.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::random_normal;

/// Log-odds of three modules for samples of three classes: right, but on different scales.
at::Tensor odds_of(const at::Tensor& classes, uint64_t seed) {
  const at::Tensor right = (at::one_hot(classes, 3) * 2 - 1).to(at::kDouble) * 2;
  const at::Tensor noisy = right + random_normal({classes.size(0), 3}, seed).to(at::kDouble) * 1.5;
  return noisy * at::tensor({1.0, 8.0, 0.2}, at::kDouble) + at::tensor({0.0, 4.0, 1.0}, at::kDouble);
}

double combined_accuracy(const at::Tensor& odds, const at::Tensor& classes) {
  return (odds.argmax(1) == classes).to(at::kDouble).mean().item<double>();
}

TEST(Calibration, MakesLogOddsOnDifferentScalesComparable) {
  const at::Tensor classes = at::arange(3000, at::kLong).remainder(3);
  const at::Tensor odds = odds_of(classes, 5);
  const std::vector<Calibration> calibrations = calibrate(odds, classes);
  const at::Tensor others = odds_of(classes, 6);
  EXPECT_LT(combined_accuracy(others, classes), 0.85);
  EXPECT_GT(combined_accuracy(calibrated(others, calibrations), classes), 0.93);
}

TEST(Calibration, LeavesAModulesOwnThresholdWhereItIsRight) {
  const at::Tensor classes = at::arange(3000, at::kLong).remainder(3);
  const at::Tensor odds =
      (at::one_hot(classes, 3) * 2 - 1).to(at::kDouble) * 2 + random_normal({3000, 3}, 5).to(at::kDouble);
  const at::Tensor own = at::one_hot(classes, 3).to(at::kBool);
  const auto accuracy = [&](const at::Tensor& scores) {
    return ((scores > 0) == own).to(at::kDouble).mean().item<double>();
  };
  EXPECT_GT(accuracy(calibrated(odds, calibrate(odds, classes))), accuracy(odds) - 0.01);
}

TEST(Calibration, KeepsTheSignOfAModuleThatSaysTheOpposite) {
  const at::Tensor classes = at::arange(3000, at::kLong).remainder(3);
  at::Tensor odds = odds_of(classes, 5);
  odds.select(1, 2).neg_();
  for (const Calibration& calibration : calibrate(odds, classes))
    EXPECT_GT(calibration.scale, 0);
}

TEST(Calibration, TakesSamplesOfOtherClassesForOthers) {
  // A quarter of the samples has no module. All modules take them for their own.
  const at::Tensor classes = at::arange(4000, at::kLong).remainder(4);
  const at::Tensor modules = at::where(classes == 3, at::full({}, -1, at::kLong), classes);
  at::Tensor odds = odds_of(classes.clamp_max(2), 5);
  odds.masked_fill_((classes == 3).unsqueeze(1), 1.0);
  const auto yes = [&](const std::vector<Calibration>& calibrations) {
    return (calibrated(odds, calibrations) > 0).masked_select((classes == 3).unsqueeze(1)).sum().item<int64_t>();
  };
  const auto known = (modules >= 0).nonzero().flatten();
  EXPECT_LT(yes(calibrate(odds, modules)), yes(calibrate(odds.index_select(0, known), modules.index_select(0, known))));
}

TEST(Calibration, LeavesAllAsTheyAreWhereAModuleHasNoSample) {
  const at::Tensor classes = at::arange(3000, at::kLong).remainder(2);
  const at::Tensor odds = odds_of(classes, 5);
  EXPECT_TRUE(at::equal(calibrated(odds, calibrate(odds, classes)), odds));
}

TEST(Calibration, NumbersModulesByTheirClass) {
  const at::Tensor classes = at::tensor({0, 7, 2, 4, 7}, at::kLong);
  EXPECT_TRUE(at::equal(places_of(classes, {7, 2, 9}), at::tensor({-1, 0, 1, -1, 0}, at::kLong)));
}

/// Heads of two rows that say nothing yet.
std::vector<Head> blank(int64_t modules, int64_t features, bool has_bias = true) {
  const Head head{at::zeros({2, features}), has_bias ? at::zeros({2}) : at::Tensor()};
  return std::vector<Head>(static_cast<size_t>(modules), head);
}

/// What three heads read of samples of three classes: noise, and, each on a feature of its own, their class.
JointHeadData data_of(int64_t samples, int64_t validating, double signal, uint64_t seed) {
  JointHeadData data;
  data.modules = at::arange(samples, at::kLong).remainder(3);
  data.validating = validating;
  for (int64_t m = 0; m < 3; ++m) {
    at::Tensor features = random_normal({samples, 5}, seed + static_cast<uint64_t>(m)) * 3 + 2;
    features.select(1, 0).add_((data.modules == m).to(at::kFloat) * signal);
    data.features.push_back(features);
  }
  return data;
}

at::Tensor odds(const JointHeadData& data, const std::vector<Head>& heads, OutputKind kind) {
  std::vector<at::Tensor> columns;
  for (size_t m = 0; m < heads.size(); ++m) {
    const Head row = log_odds_row(heads[m], kind);
    const at::Tensor column = at::mv(data.features[m].to(at::kDouble), row.weight);
    columns.push_back(row.bias.defined() ? column + row.bias : column);
  }
  return at::stack(columns, 1);
}

TEST(JointHeads, LearnWhatTheClassesAre) {
  for (const OutputKind kind : {OutputKind::logits, OutputKind::sigmoid}) {
    const JointHeadData data = data_of(3000, 600, 12, 1), others = data_of(3000, 600, 12, 7);
    const JointHeads joint = fit_heads_together(data, blank(3, 5), kind);
    ASSERT_EQ(joint.heads.size(), 3U);
    ASSERT_EQ(joint.losses.size(), 2U);
    EXPECT_LT(joint.losses[1], 0.5 * joint.losses[0]);
    EXPECT_GT(combined_accuracy(odds(others, joint.heads, kind), others.modules), 0.9);
  }
}

TEST(JointHeads, MirrorTheirTwoRows) {
  const JointHeads joint = fit_heads_together(data_of(900, 300, 12, 1), blank(3, 5), OutputKind::logits);
  for (const Head& head : joint.heads) {
    EXPECT_EQ(head.weight.sizes(), at::IntArrayRef({2, 5}));
    EXPECT_TRUE(head.weight[0].equal(-head.weight[1]));
    EXPECT_TRUE(head.bias[0].equal(-head.bias[1]));
  }
}

TEST(JointHeads, HaveNoBiasWhereTheOriginalHasNone) {
  const JointHeads joint = fit_heads_together(data_of(900, 300, 12, 1), blank(3, 5, false), OutputKind::logits);
  ASSERT_EQ(joint.heads.size(), 3U);
  for (const Head& head : joint.heads)
    EXPECT_FALSE(head.bias.defined());
}

TEST(JointHeads, StayAsTheyWereWhereNothingIsBetter) {
  // Sixty features of noise for a hundred samples: what can be learnt is worse than saying nothing.
  JointHeadData data;
  data.modules = at::arange(700, at::kLong).remainder(3);
  data.validating = 600;
  for (uint64_t m = 0; m < 3; ++m)
    data.features.push_back(random_normal({700, 60}, m));
  const JointHeads joint = fit_heads_together(data, blank(3, 60), OutputKind::logits);
  EXPECT_TRUE(joint.heads.empty());
  EXPECT_EQ(joint.losses.size(), 1U);
}

TEST(JointHeads, KeepOutSamplesOfClassesWithoutAModule) {
  // Samples of a fourth class look like none of the three.
  JointHeadData data = data_of(4000, 800, 12, 1);
  const at::Tensor classes = at::arange(4000, at::kLong).remainder(4);
  data.modules = at::where(classes == 3, at::full({}, -1, at::kLong), classes);
  for (int64_t m = 0; m < 3; ++m) {
    at::Tensor& features = data.features[static_cast<size_t>(m)];
    features = random_normal({4000, 5}, static_cast<uint64_t>(m)) * 3 + 2;
    features.select(1, 0).add_((data.modules == m).to(at::kFloat) * 12);
  }
  const JointHeads joint = fit_heads_together(data, blank(3, 5), OutputKind::logits);
  ASSERT_EQ(joint.heads.size(), 3U);
  const at::Tensor said = odds(data, joint.heads, OutputKind::logits);
  const at::Tensor strangers = (said > 0).to(at::kDouble).masked_select((data.modules < 0).unsqueeze(1));
  EXPECT_LT(strangers.mean().item<double>(), 0.1);
}

TEST(CalibratedHead, SaysTheLogOddsTimesTheScalePlusTheOffset) {
  for (const OutputKind kind : {OutputKind::logits, OutputKind::sigmoid}) {
    const double share = kind == OutputKind::sigmoid ? 1 : 0.5;
    const at::Tensor row = random_normal({6}, 1), bias = at::full({}, 0.7);
    const Head head{at::stack({-share * row, share * row}), at::stack({-share * bias, share * bias})};
    const Head before = log_odds_row(head, kind), after = log_odds_row(calibrated(head, {3, -2}, kind), kind);
    EXPECT_TRUE(at::allclose(after.weight, before.weight * 3));
    EXPECT_NEAR(after.bias.item<double>(), 0.7 * 3 - 2, 1e-6);
  }
}

TEST(CalibrationMethod, HasTheNamesOfTheCommandLine) {
  EXPECT_STREQ(to_string(CalibrationMethod::none), "none");
  EXPECT_STREQ(to_string(CalibrationMethod::scales), "scales");
  EXPECT_STREQ(to_string(CalibrationMethod::heads), "heads");
}

}  // namespace
}  // namespace incite
