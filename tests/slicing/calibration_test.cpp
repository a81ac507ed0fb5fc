#include "slicing/calibration.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "program/executor.hpp"
#include "slicing/convex.hpp"
#include "support/output_sets.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::each;
using test::random_normal;

/// A module for each of three classes.
const std::vector<OutputSet> three_modules = each({0, 1, 2});

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
  const std::vector<Calibration> calibrations = calibrate(odds, classes, three_modules);
  const at::Tensor others = odds_of(classes, 6);
  EXPECT_LT(combined_accuracy(others, classes), 0.85);
  EXPECT_GT(combined_accuracy(calibrated(others, calibrations, three_modules), classes), 0.93);
}

TEST(Calibration, LeavesAModulesOwnThresholdWhereItIsRight) {
  const at::Tensor classes = at::arange(3000, at::kLong).remainder(3);
  const at::Tensor odds =
      (at::one_hot(classes, 3) * 2 - 1).to(at::kDouble) * 2 + random_normal({3000, 3}, 5).to(at::kDouble);
  const at::Tensor own = at::one_hot(classes, 3).to(at::kBool);
  const auto accuracy = [&](const at::Tensor& scores) {
    return ((scores > 0) == own).to(at::kDouble).mean().item<double>();
  };
  EXPECT_GT(accuracy(calibrated(odds, calibrate(odds, classes, three_modules), three_modules)), accuracy(odds) - 0.01);
}

TEST(Calibration, KeepsTheSignOfAModuleThatSaysTheOpposite) {
  const at::Tensor classes = at::arange(3000, at::kLong).remainder(3);
  at::Tensor odds = odds_of(classes, 5);
  odds.select(1, 2).neg_();
  for (const Calibration& calibration : calibrate(odds, classes, three_modules))
    EXPECT_GT(calibration.scale, 0);
}

TEST(Calibration, TakesSamplesOfOtherClassesForOthers) {
  // A quarter of the samples has no module. All modules take them for their own.
  const at::Tensor classes = at::arange(4000, at::kLong).remainder(4);
  const at::Tensor columns = at::where(classes == 3, at::full({}, -1, at::kLong), classes);
  at::Tensor odds = odds_of(classes.clamp_max(2), 5);
  odds.masked_fill_((classes == 3).unsqueeze(1), 1.0);
  const auto yes = [&](const std::vector<Calibration>& calibrations) {
    return (calibrated(odds, calibrations, three_modules) > 0)
        .masked_select((classes == 3).unsqueeze(1))
        .sum()
        .item<int64_t>();
  };
  const auto known = (columns >= 0).nonzero().flatten();
  EXPECT_LT(yes(calibrate(odds, columns, three_modules)),
            yes(calibrate(odds.index_select(0, known), columns.index_select(0, known), three_modules)));
}

TEST(Calibration, LeavesAllAsTheyAreWhereAModuleHasNoSample) {
  const at::Tensor classes = at::arange(3000, at::kLong).remainder(2);
  const at::Tensor odds = odds_of(classes, 5);
  EXPECT_TRUE(at::equal(calibrated(odds, calibrate(odds, classes, three_modules), three_modules), odds));
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
  data.columns = at::arange(samples, at::kLong).remainder(3);
  data.validating = validating;
  for (int64_t m = 0; m < 3; ++m) {
    at::Tensor features = random_normal({samples, 5}, seed + static_cast<uint64_t>(m)) * 3 + 2;
    features.select(1, 0).add_((data.columns == m).to(at::kFloat) * signal);
    data.features.push_back(features);
  }
  return data;
}

at::Tensor odds(const JointHeadData& data, const std::vector<Head>& heads, OutputKind kind,
                const std::vector<OutputSet>& sets = three_modules) {
  std::vector<at::Tensor> columns;
  for (size_t m = 0; m < heads.size(); ++m) {
    const Head rows = log_odds_rows(heads[m], sets[m], kind);
    const at::Tensor own = data.features[m].to(at::kDouble).matmul(rows.weight.t());
    columns.push_back(rows.bias.defined() ? own + rows.bias : own);
  }
  return at::cat(columns, 1);
}

TEST(JointHeads, LearnWhatTheClassesAre) {
  for (const OutputKind kind : {OutputKind::logits, OutputKind::sigmoid}) {
    const JointHeadData data = data_of(3000, 600, 12, 1), others = data_of(3000, 600, 12, 7);
    const JointHeads joint = fit_heads_together(data, blank(3, 5), three_modules, kind);
    ASSERT_EQ(joint.heads.size(), 3U);
    ASSERT_EQ(joint.losses.size(), 2U);
    EXPECT_LT(joint.losses[1], 0.5 * joint.losses[0]);
    EXPECT_GT(combined_accuracy(odds(others, joint.heads, kind), others.columns), 0.9);
  }
}

TEST(JointHeads, MirrorTheirTwoRows) {
  const JointHeads joint = fit_heads_together(data_of(900, 300, 12, 1), blank(3, 5), three_modules, OutputKind::logits);
  for (const Head& head : joint.heads) {
    EXPECT_EQ(head.weight.sizes(), at::IntArrayRef({2, 5}));
    EXPECT_TRUE(head.weight[0].equal(-head.weight[1]));
    EXPECT_TRUE(head.bias[0].equal(-head.bias[1]));
  }
}

TEST(JointHeads, HaveNoBiasWhereTheOriginalHasNone) {
  const JointHeads joint =
      fit_heads_together(data_of(900, 300, 12, 1), blank(3, 5, false), three_modules, OutputKind::logits);
  ASSERT_EQ(joint.heads.size(), 3U);
  for (const Head& head : joint.heads)
    EXPECT_FALSE(head.bias.defined());
}

TEST(JointHeads, StayAsTheyWereWhereNothingIsBetter) {
  // Sixty features of noise for a hundred samples: what can be learnt is worse than saying nothing.
  JointHeadData data;
  data.columns = at::arange(700, at::kLong).remainder(3);
  data.validating = 600;
  for (uint64_t m = 0; m < 3; ++m)
    data.features.push_back(random_normal({700, 60}, m));
  const JointHeads joint = fit_heads_together(data, blank(3, 60), three_modules, OutputKind::logits);
  EXPECT_TRUE(joint.heads.empty());
  EXPECT_EQ(joint.losses.size(), 1U);
}

TEST(JointHeads, KeepOutSamplesOfClassesWithoutAModule) {
  // Samples of a fourth class look like none of the three.
  JointHeadData data = data_of(4000, 800, 12, 1);
  const at::Tensor classes = at::arange(4000, at::kLong).remainder(4);
  data.columns = at::where(classes == 3, at::full({}, -1, at::kLong), classes);
  for (int64_t m = 0; m < 3; ++m) {
    at::Tensor& features = data.features[static_cast<size_t>(m)];
    features = random_normal({4000, 5}, static_cast<uint64_t>(m)) * 3 + 2;
    features.select(1, 0).add_((data.columns == m).to(at::kFloat) * 12);
  }
  const JointHeads joint = fit_heads_together(data, blank(3, 5), three_modules, OutputKind::logits);
  ASSERT_EQ(joint.heads.size(), 3U);
  const at::Tensor said = odds(data, joint.heads, OutputKind::logits);
  const at::Tensor strangers = (said > 0).to(at::kDouble).masked_select((data.columns < 0).unsqueeze(1));
  EXPECT_LT(strangers.mean().item<double>(), 0.1);
}

TEST(CalibratedHead, SaysTheLogOddsTimesTheScalePlusTheOffset) {
  for (const OutputKind kind : {OutputKind::logits, OutputKind::sigmoid}) {
    const double share = kind == OutputKind::sigmoid ? 1 : 0.5;
    const at::Tensor row = random_normal({6}, 1), bias = at::full({}, 0.7);
    const Head head{at::stack({-share * row, share * row}), at::stack({-share * bias, share * bias})};
    const OutputSet set = test::one(0);
    const Head before = log_odds_rows(head, set, kind);
    const Head after = log_odds_rows(calibrated(head, {{3, -2}}, set, kind), set, kind);
    EXPECT_TRUE(at::allclose(after.weight, before.weight * 3));
    EXPECT_NEAR(after.bias.item<double>(), 0.7 * 3 - 2, 1e-6);
  }
}

TEST(CalibrationMethod, HasTheNamesOfTheCommandLine) {
  EXPECT_STREQ(to_string(CalibrationMethod::none), "none");
  EXPECT_STREQ(to_string(CalibrationMethod::scales), "scales");
  EXPECT_STREQ(to_string(CalibrationMethod::heads), "heads");
}

/// A module for two classes and one for the third.
const std::vector<OutputSet> two_and_one = {test::some({0, 1}), test::one(2)};

/// Heads that say nothing yet.
std::vector<Head> blank_of(const std::vector<OutputSet>& sets, int64_t features) {
  std::vector<Head> heads;
  for (const OutputSet& set : sets)
    heads.push_back({at::zeros({set.rows(), features}), at::zeros({set.rows()})});
  return heads;
}

/// What the heads of sets of three classes read: noise, and, each on features of its own, their classes.
JointHeadData data_of_sets(const std::vector<OutputSet>& sets, uint64_t seed) {
  JointHeadData data;
  data.columns = at::arange(3000, at::kLong).remainder(3);
  data.validating = 600;
  for (size_t m = 0; m < sets.size(); ++m) {
    at::Tensor features = random_normal({3000, 5}, seed + m) * 3 + 2;
    for (int64_t place = 0; place < sets[m].size(); ++place) {
      const at::Tensor own = data.columns == sets[m].outputs[static_cast<size_t>(place)];
      features.select(1, place).add_(own.to(at::kFloat) * 12);
    }
    data.features.push_back(features);
  }
  return data;
}

TEST(JointHeads, OfASetAndASingleClassLearnWhatTheClassesAre) {
  for (const OutputKind kind : {OutputKind::logits, OutputKind::sigmoid}) {
    const JointHeadData data = data_of_sets(two_and_one, 1), others = data_of_sets(two_and_one, 7);
    const JointHeads joint = fit_heads_together(data, blank_of(two_and_one, 5), two_and_one, kind);
    ASSERT_EQ(joint.heads.size(), 2U);
    ASSERT_EQ(joint.losses.size(), 2U);
    EXPECT_LT(joint.losses[1], 0.5 * joint.losses[0]);
    EXPECT_GT(combined_accuracy(odds(others, joint.heads, kind, two_and_one), others.columns), 0.9);
  }
}

TEST(JointHeads, OfASetHaveRowsWhoseSumIsZero) {
  const JointHeads joint =
      fit_heads_together(data_of_sets(two_and_one, 1), blank_of(two_and_one, 5), two_and_one, OutputKind::logits);
  ASSERT_EQ(joint.heads.size(), 2U);
  EXPECT_EQ(joint.heads[0].weight.sizes(), at::IntArrayRef({3, 5}));
  EXPECT_EQ(joint.heads[1].weight.sizes(), at::IntArrayRef({2, 5}));
  for (const Head& head : joint.heads) {
    EXPECT_LT(head.weight.sum(0).abs().max().item<double>(), 1e-5);
    EXPECT_LT(head.bias.sum().abs().item<double>(), 1e-5);
  }
}

TEST(JointHeads, OfASetKeepItsThresholdAgainstTheOthers) {
  // The loss by itself does not change when a constant is added to all columns; a module's own loss does.
  const JointHeadData data = data_of_sets(two_and_one, 1);
  const JointHeads joint = fit_heads_together(data, blank_of(two_and_one, 5), two_and_one, OutputKind::logits);
  ASSERT_EQ(joint.heads.size(), 2U);
  const at::Tensor said = odds(data, joint.heads, OutputKind::logits, two_and_one);
  const at::Tensor of_set = said.narrow(1, 0, 2).amax(1) > 0;
  const at::Tensor right = of_set == (data.columns < 2);
  EXPECT_GT(right.to(at::kDouble).mean().item<double>(), 0.9);
}

TEST(JointHeads, OfASetOfAllClassesComeNearTheTeacherAndTheLabels) {
  const std::vector<OutputSet> all = {test::whole({0, 1, 2})};
  JointHeadData data = data_of_sets(all, 1);
  // What tells the classes for certain.
  data.features = {at::one_hot(data.columns, 3).to(at::kFloat) + random_normal({3000, 3}, 1) * 0.01};
  // The mean probability of a sample's own class.
  const auto confidence = [&] {
    const JointHeads joint = fit_heads_together(data, blank_of(all, 3), all, OutputKind::logits);
    EXPECT_EQ(joint.heads.size(), 1U);
    if (joint.heads.empty()) return 0.0;
    const at::Tensor said = odds(data, joint.heads, OutputKind::logits, all);
    EXPECT_EQ(combined_accuracy(said, data.columns), 1);
    return at::softmax(said, 1).gather(1, data.columns.unsqueeze(1)).mean().item<double>();
  };
  EXPECT_GT(confidence(), 0.95);
  // 0.8 of the teacher's 0.7 and 0.2 of 1.
  data.teacher = (at::one_hot(data.columns, 3).to(at::kFloat) * 0.55 + 0.15).narrow(0, 0, 2400);
  EXPECT_NEAR(confidence(), 0.76, 0.01);
}

TEST(Calibration, MakesASetAndASingleClassComparable) {
  const at::Tensor classes = at::arange(3000, at::kLong).remainder(3);
  const at::Tensor skew = at::tensor({6.0, 6.0, 0.2}, at::kDouble);
  const auto skewed = [&](uint64_t seed) {
    const at::Tensor right = (at::one_hot(classes, 3) * 2 - 1).to(at::kDouble) * 2;
    const at::Tensor noisy = right + random_normal({3000, 3}, seed).to(at::kDouble) * 1.5;
    return noisy * skew + at::tensor({-8.0, -8.0, 1.0}, at::kDouble);
  };
  const std::vector<Calibration> found = calibrate(skewed(5), classes, two_and_one);
  ASSERT_EQ(found.size(), 2U);
  const at::Tensor others = skewed(6);
  EXPECT_LT(combined_accuracy(others, classes), 0.85);
  EXPECT_GT(combined_accuracy(calibrated(others, found, two_and_one), classes), 0.93);
}

TEST(Calibration, OfASetIsThatOfEachOfItsColumns) {
  const at::Tensor before = random_normal({4, 3}, 1).to(at::kDouble);
  const at::Tensor found = calibrated(before, {{2, 1}, {3, -4}}, two_and_one);
  const at::Tensor expected =
      at::stack({before.select(1, 0) * 2 + 1, before.select(1, 1) * 2 + 1, before.select(1, 2) * 3 - 4}, 1);
  EXPECT_TRUE(at::allclose(found, expected)) << found;
}

TEST(Calibration, LeavesAllAsTheyAreWhereASetHasNoSample) {
  const at::Tensor classes = at::full({3000}, 2, at::kLong);
  const at::Tensor columns = odds_of(at::arange(3000, at::kLong).remainder(3), 5);
  for (const Calibration& found : calibrate(columns, classes, two_and_one)) {
    EXPECT_EQ(found.scale, 1);
    EXPECT_EQ(found.offset, 0);
  }
}

TEST(LogOddsRows, OfAHeadAreWhatItWasMadeFrom) {
  for (const OutputKind kind : {OutputKind::logits, OutputKind::sigmoid}) {
    for (const OutputSet& set : {test::one(0), test::some({0, 2, 3}), test::whole({0, 1, 2})}) {
      const Head expected{random_normal({set.size(), 6}, 1), random_normal({set.size()}, 2)};
      const Head head = head_from_log_odds(expected, set, kind, /*has_bias=*/true);
      EXPECT_EQ(head.weight.size(0), set.rows());
      const Head found = log_odds_rows(head, set, kind);
      EXPECT_TRUE(at::allclose(found.weight, expected.weight.to(at::kDouble), 1e-5, 1e-6)) << set.label();
      EXPECT_TRUE(at::allclose(found.bias, expected.bias.to(at::kDouble), 1e-5, 1e-6)) << set.label();
      EXPECT_FALSE(head_from_log_odds(expected, set, kind, /*has_bias=*/false).bias.defined());
    }
  }
}

TEST(CalibratedHead, OfASetMovesTheLogOddsOfItsClassesByTheScaleAndTheOffset) {
  const at::Tensor features = random_normal({50, 6}, 3);
  for (const OutputKind kind : {OutputKind::logits, OutputKind::sigmoid}) {
    const OutputSet set = test::some({0, 2, 3});
    const Head head = head_from_log_odds({random_normal({3, 6}, 1), random_normal({3}, 2)}, set, kind, true);
    const auto odds_by = [&](const Head& by) {
      const at::Tensor logits =
          at::linear(features.to(at::kDouble), by.weight.to(at::kDouble), by.bias.to(at::kDouble));
      return log_odds(kind == OutputKind::sigmoid ? at::sigmoid(logits) : logits, kind, set, /*own_head=*/true);
    };
    const Head after = calibrated(head, {{0.75, -2}}, set, kind);
    EXPECT_TRUE(at::allclose(odds_by(after), odds_by(head) * 0.75 - 2, 1e-4, 1e-4)) << to_string(kind);
    EXPECT_LT(after.bias.sum().abs().item<double>(), 1e-5);
  }
}

TEST(CalibrateLabels, MakesProbabilitiesOfLogOddsOfAnyScale) {
  const at::Tensor truth = random_normal({4000, 2}, 3).to(at::kDouble) * 2 - 1;  // log-odds
  const at::Tensor uniform = (random_normal({4000, 2}, 5).to(at::kDouble) / std::sqrt(2)).erf() / 2 + 0.5;
  const at::Tensor labels = (uniform < truth.sigmoid()).to(at::kDouble);
  const at::Tensor odds = truth * at::tensor({10.0, 0.2}, at::kDouble) + at::tensor({3.0, -4.0}, at::kDouble);
  const std::vector<Calibration> found = calibrate_labels(odds, labels);
  EXPECT_NEAR(found[0].scale, 0.1, 0.02);
  EXPECT_NEAR(found[1].scale, 5, 0.5);
  EXPECT_LT((calibrated(odds, found) - truth).abs().mean().item<double>(), 0.2);
}

TEST(CalibrateLabels, LeavesALabelOfAllOrNoSamplesAsItIs) {
  const at::Tensor odds = random_normal({50, 2}, 3).to(at::kDouble);
  const at::Tensor labels = at::stack({at::ones({50}), at::zeros({50})}, 1);
  EXPECT_TRUE(at::allclose(calibrated(odds, calibrate_labels(odds, labels)), odds));
}

TEST(CalibratedHead, HasACalibrationForEachLabel) {
  const Head head{random_normal({2, 3}, 1), random_normal({2}, 2)};
  const at::Tensor features = random_normal({5, 3}, 3);
  const auto odds = [&](const Head& of) {
    return at::linear(features.to(at::kDouble), of.weight.to(at::kDouble), of.bias.to(at::kDouble));
  };
  const std::vector<Calibration> both = {{2, 1}, {0.5, -3}};
  const Head found = calibrated(head, both, test::whole({4, 7}), OutputKind::label_logits);
  EXPECT_TRUE(at::allclose(odds(found), calibrated(odds(head), both)));
}

}  // namespace
}  // namespace incite
