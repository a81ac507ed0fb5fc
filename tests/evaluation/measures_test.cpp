#include "evaluation/measures.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/output_sets.hpp"
#include "support/random_normal.hpp"

namespace incite {
namespace {

using test::random_normal;

at::Tensor yes_or_no(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong).to(at::kBool);
}

/// The definition: of all pairs of a sample of the class and one of the others, the share that is in order, ties by
/// half.
double auc_by_pairs(const at::Tensor& scores, const at::Tensor& positive) {
  const at::Tensor own = scores.masked_select(positive).unsqueeze(1);
  const at::Tensor others = scores.masked_select(positive.logical_not()).unsqueeze(0);
  const double in_order = (own > others).sum().item<double>() + (own == others).sum().item<double>() / 2;
  return in_order / static_cast<double>(own.numel() * others.numel());
}

TEST(RocAuc, IsTheShareOfPairsInOrder) {
  // 0.8 is above 0.3 and 0.5; 0.4 above 0.3 alone: 3 of 4.
  const at::Tensor scores = at::tensor({0.8, 0.3, 0.5, 0.4}, at::kDouble);
  EXPECT_DOUBLE_EQ(roc_auc(scores, yes_or_no({1, 0, 0, 1})), 0.75);
}

TEST(RocAuc, EqualsThePairwiseDefinitionOnRandomScoresWithTies) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const int64_t n = 2 + static_cast<int64_t>(seed * 7);
    const auto levels = static_cast<double>(1 + seed % 9);  // few levels: many ties
    const at::Tensor scores = (random_normal({n}, seed).to(at::kDouble) * levels).round();
    at::Tensor positive = random_normal({n}, 1000 + seed) > 0.5;
    positive[0] = true;
    positive[1] = false;
    const double found = roc_auc(scores, positive);
    EXPECT_NEAR(found, auc_by_pairs(scores, positive), 1e-14) << seed;
    EXPECT_NEAR(roc_auc(-scores, positive), 1 - found, 1e-14) << seed;
    EXPECT_EQ(roc_auc(scores.exp(), positive), found) << seed;  // the order is all that counts
  }
}

TEST(RocAuc, IsAHalfWhereAllScoresAreTheSame) {
  EXPECT_DOUBLE_EQ(roc_auc(at::ones({5}, at::kDouble), yes_or_no({1, 0, 0, 0, 1})), 0.5);
}

TEST(RocAuc, TakesInfiniteScores) {
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_DOUBLE_EQ(roc_auc(at::tensor({infinity, 0.0, -infinity}, at::kDouble), yes_or_no({1, 0, 0})), 1);
}

TEST(RocAuc, IsUndefinedWithoutBothSidesOrWithAScoreThatIsNoNumber) {
  const at::Tensor scores = at::tensor({1.0, 2.0}, at::kDouble);
  EXPECT_TRUE(std::isnan(roc_auc(scores, yes_or_no({1, 1}))));
  EXPECT_TRUE(std::isnan(roc_auc(scores, yes_or_no({0, 0}))));
  EXPECT_TRUE(std::isnan(roc_auc(at::tensor({1.0, undefined}, at::kDouble), yes_or_no({1, 0}))));
}

TEST(CalibrationError, IsTheMeanGapOfTheBins) {
  // 0.95 and 0.97 lie in the last of 15 bins, both right: 2 - 1.92. 0.55 and 0.62 lie in bins of their own, wrong and
  // right: 0.55 and 0.38. Together 1.01 over 4 samples.
  const at::Tensor confidence = at::tensor({0.95, 0.97, 0.55, 0.62}, at::kDouble);
  EXPECT_NEAR(calibration_error(confidence, yes_or_no({1, 1, 0, 1})), 1.01 / 4, 1e-15);
}

TEST(CalibrationError, IsZeroForPerfectCalibration) {
  EXPECT_DOUBLE_EQ(calibration_error(at::full({4}, 0.75, at::kDouble), yes_or_no({1, 1, 0, 1})), 0);
  EXPECT_DOUBLE_EQ(calibration_error(at::ones({3}, at::kDouble), yes_or_no({1, 1, 1})), 0);
  // Confidences from 0.5 up in steps of 1/64, each of them 64 times and right as often as it says.
  std::vector<double> confidence;
  std::vector<int64_t> right;
  for (int64_t often = 32; often <= 64; ++often) {
    for (int64_t i = 0; i < 64; ++i) {
      confidence.push_back(static_cast<double>(often) / 64);
      right.push_back(i < often ? 1 : 0);
    }
  }
  EXPECT_DOUBLE_EQ(calibration_error(at::tensor(confidence, at::kDouble), yes_or_no(right)), 0);
}

TEST(CalibrationError, IsOneForCertaintyThatIsAlwaysWrong) {
  EXPECT_DOUBLE_EQ(calibration_error(at::ones({3}, at::kDouble), yes_or_no({0, 0, 0})), 1);
}

TEST(CalibrationError, IsUndefinedWithoutSamplesOrWithAConfidenceThatIsNoNumber) {
  EXPECT_TRUE(std::isnan(calibration_error(at::zeros({0}, at::kDouble), yes_or_no({}))));
  EXPECT_TRUE(std::isnan(calibration_error(at::tensor({undefined}, at::kDouble), yes_or_no({1}))));
}

TEST(ConfusionMatrix, CountsTrueClassByClassDecidedFor) {
  const at::Tensor found =
      confusion_matrix(at::tensor({0, 0, 2, 2, 2}, at::kLong), at::tensor({0, 1, 2, 2, 0}, at::kLong), 3);
  EXPECT_TRUE(at::equal(found, at::tensor({1, 1, 0, 0, 0, 0, 1, 0, 2}, at::kLong).view({3, 3}))) << found;
}

TEST(ClassMeasures, AreUndefinedWhereThereIsNothingToDivideBy) {
  const ClassMeasures never = class_measures(at::tensor({-1.0, -2.0}, at::kDouble), yes_or_no({1, 0}));
  EXPECT_TRUE(std::isnan(never.precision));
  EXPECT_EQ(never.recall, 0);
  EXPECT_EQ(never.f1, 0);
  EXPECT_EQ(never.accuracy, 0.5);
  const ClassMeasures absent = class_measures(at::tensor({1.0, -2.0}, at::kDouble), yes_or_no({0, 0}));
  EXPECT_EQ(absent.precision, 0);
  EXPECT_TRUE(std::isnan(absent.recall));
  EXPECT_TRUE(std::isnan(absent.auc));
  EXPECT_EQ(absent.support, 0);
}

TEST(ClassMeasures, HaveF1AsTheHarmonicMeanOfPrecisionAndRecall) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const at::Tensor scores = random_normal({40}, seed).to(at::kDouble);
    const at::Tensor positive = random_normal({40}, 100 + seed) + scores > 0;
    const ClassMeasures found = class_measures(scores, positive);
    EXPECT_NEAR(found.f1, 2 / (1 / found.precision + 1 / found.recall), 1e-14);
    EXPECT_DOUBLE_EQ(found.accuracy, ((scores > 0) == positive).to(at::kDouble).mean().item<double>());
  }
}

TEST(ErrorMeasures, HaveNoShareOfAConstantTarget) {
  const at::Tensor truth = at::full({7}, 0.1);
  const ErrorMeasures found = error_measures(truth + 1, truth);
  EXPECT_NEAR(found.mae, 1, 1e-6);
  EXPECT_NEAR(found.rmse, 1, 1e-6);
  EXPECT_TRUE(std::isnan(found.r2));
}

TEST(ErrorMeasures, HaveAnR2OfZeroForTheMeanAndOneForTheTruth) {
  const at::Tensor truth = at::tensor({1.0, 2.0, 6.0}, at::kDouble);
  EXPECT_DOUBLE_EQ(error_measures(at::full({3}, 3.0, at::kDouble), truth).r2, 0);
  EXPECT_DOUBLE_EQ(error_measures(truth, truth).r2, 1);
}

/// Random outputs of a kind, [60, 4], and a truth that has something to do with them.
struct RandomClassifier {
  RandomClassifier(OutputKind kind, uint64_t seed) {
    const at::Tensor logits = random_normal({60, 4}, seed) * 3;
    truth = (logits + random_normal({60, 4}, 50 + seed) * 2).argmax(1);
    outputs = logits;
    if (kind == OutputKind::probabilities) outputs = at::softmax(logits, 1);
    if (kind == OutputKind::log_probabilities) outputs = at::log_softmax(logits, 1);
    if (kind == OutputKind::sigmoid) outputs = at::sigmoid(logits);
  }
  at::Tensor outputs, truth;
};

constexpr OutputKind kinds[] = {OutputKind::logits, OutputKind::probabilities, OutputKind::log_probabilities,
                                OutputKind::sigmoid, OutputKind::other};

TEST(MeasureClassifier, CountsEverySampleOnce) {
  for (const OutputKind kind : kinds) {
    const RandomClassifier random(kind, 1);
    const ModelMeasures found = measure_classifier(random.outputs, kind, random.truth);
    EXPECT_EQ(found.confusion.sum().item<int64_t>(), 60);
    EXPECT_DOUBLE_EQ(found.score, found.confusion.trace().item<double>() / 60);
    EXPECT_DOUBLE_EQ(found.score, (random.outputs.argmax(1) == random.truth).to(at::kDouble).mean().item<double>());
    int64_t support = 0;
    for (const ClassMeasures& measures : found.classes)
      support += measures.support;
    EXPECT_EQ(support, 60);
  }
}

TEST(MeasureClassifier, RanksByTheLogOddsOfEachClass) {
  for (const OutputKind kind : kinds) {
    for (uint64_t seed = 0; seed < 5; ++seed) {
      const RandomClassifier random(kind, seed);
      const ModelMeasures found = measure_classifier(random.outputs, kind, random.truth);
      for (int64_t k = 0; k < 4; ++k) {
        EXPECT_NEAR(found.classes[static_cast<size_t>(k)].auc,
                    auc_by_pairs(log_odds(random.outputs, kind, test::one(k), /*own_head=*/false).select(1, 0),
                                 random.truth == k),
                    1e-14)
            << to_string(kind) << " " << k;
      }
    }
  }
}

TEST(MeasureClassifier, TakesTheProbabilityOfTheLargestForItsConfidence) {
  for (const OutputKind kind : {OutputKind::logits, OutputKind::probabilities, OutputKind::log_probabilities}) {
    const RandomClassifier random(kind, 3);
    const auto [confidence, decided] = probabilities(random.outputs.to(at::kDouble), kind).max(1);
    const double expected = calibration_error(confidence, decided == random.truth);
    EXPECT_GT(expected, 0.01);
    EXPECT_NEAR(measure_classifier(random.outputs, kind, random.truth).ece, expected, 1e-6) << to_string(kind);
  }
  const RandomClassifier sigmoids(OutputKind::sigmoid, 3);  // which need not add up to 1
  const auto [confidence, decided] = sigmoids.outputs.max(1);
  EXPECT_NEAR(measure_classifier(sigmoids.outputs, OutputKind::sigmoid, sigmoids.truth).ece,
              calibration_error(confidence, decided == sigmoids.truth), 1e-6);
}

TEST(MeasureClassifier, GivesNoCalibrationOfOutputsThatAreNoProbabilities) {
  const RandomClassifier random(OutputKind::other, 3);
  EXPECT_TRUE(std::isnan(measure_classifier(random.outputs, OutputKind::other, random.truth).ece));
}

TEST(MeasureClassifier, RanksWhatASoftmaxRoundsToOne) {
  // exp(-50) and exp(-60) vanish beside 1; the log-odds of class 0 are 60 and 50 all the same.
  const at::Tensor outputs = at::tensor({60.0, 0.0, 50.0, 0.0}, at::kFloat).view({2, 2});
  const ModelMeasures found = measure_classifier(outputs, OutputKind::logits, at::tensor({0, 1}, at::kLong));
  EXPECT_EQ(found.classes[0].auc, 1);
  EXPECT_EQ(found.classes[1].auc, 1);
}

TEST(WilsonInterval, IsThatOfHisEquation) {
  // All of n: n / (n + z²) to 1.
  const Interval all = wilson_interval(1, 2);
  EXPECT_NEAR(all.low, 2 / (2 + 1.96 * 1.96), 1e-12);
  EXPECT_DOUBLE_EQ(all.high, 1);
  // Its ends are the shares p for which (share - p)² = z² p (1 - p) / n.
  for (const double end : {wilson_interval(0.3, 10).low, wilson_interval(0.3, 10).high})
    EXPECT_NEAR((0.3 - end) * (0.3 - end), 1.96 * 1.96 * end * (1 - end) / 10, 1e-12);
  EXPECT_LT(wilson_interval(0.3, 10).low, 0.3);
  EXPECT_GT(wilson_interval(0.3, 10).high, 0.3);
}

TEST(WilsonInterval, IsGivenForFewSamplesAlone) {
  EXPECT_TRUE(interval_of_few(0.5, 29));
  EXPECT_FALSE(interval_of_few(0.5, 30));
  EXPECT_FALSE(interval_of_few(undefined, 0));
  EXPECT_FALSE(interval_of_few(undefined, 10));
}

TEST(BalancedInterval, IsThatOfTwoShares) {
  // 2 of 2, and 9 of 10: Newcombe's squares of the distances to the ends of both.
  ClassMeasures measures;
  measures.support = 2;
  measures.samples = 12;
  measures.recall = 1;
  measures.balanced_accuracy = 0.95;
  const std::optional<Interval> found = balanced_interval(measures);
  ASSERT_TRUE(found);
  const Interval own = wilson_interval(1, 2), others = wilson_interval(0.9, 10);
  EXPECT_NEAR(found->low, 0.95 - std::sqrt(std::pow(1 - own.low, 2) + std::pow(0.9 - others.low, 2)) / 2, 1e-12);
  EXPECT_NEAR(found->high, 0.95 + (others.high - 0.9) / 2, 1e-12);
  measures.support = 30;
  measures.samples = 60;
  EXPECT_FALSE(balanced_interval(measures));
  measures.samples = 30;  // no others
  EXPECT_FALSE(balanced_interval(measures));
}

TEST(ClassMeasures, SayThatAlwaysNoIsRightByHalfWhenClassesAreBalanced) {
  const at::Tensor positive = yes_or_no({1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  const ClassMeasures found = class_measures(at::full({10}, -1.0, at::kDouble), positive);
  EXPECT_DOUBLE_EQ(found.accuracy, 0.9);
  EXPECT_DOUBLE_EQ(found.balanced_accuracy, 0.5);
  EXPECT_EQ(found.claims, 0);
  EXPECT_EQ(found.samples, 10);
}

TEST(ClassMeasures, HaveNoBalancedAccuracyWithoutBothSides) {
  const at::Tensor scores = at::tensor({1.0, -1.0}, at::kDouble);
  EXPECT_TRUE(std::isnan(class_measures(scores, yes_or_no({1, 1})).balanced_accuracy));
  EXPECT_TRUE(std::isnan(class_measures(scores, yes_or_no({0, 0})).balanced_accuracy));
}

TEST(MeasureClasses, AreThoseOfAClassifierOfWhichSomeClassesAreAskedFor) {
  for (const OutputKind kind : {OutputKind::logits, OutputKind::sigmoid}) {
    const RandomClassifier random(kind, 4);
    const ModelMeasures whole = measure_classifier(random.outputs, kind, random.truth);
    const std::vector<SetMeasures> some = measure_classes(random.outputs, kind, random.truth, test::each({2, 0}));
    ASSERT_EQ(some.size(), 2U);
    for (const auto& [found, expected] : {std::pair(some[0], whole.classes[2]), {some[1], whole.classes[0]}}) {
      EXPECT_EQ(found.support, expected.support);
      EXPECT_EQ(found.claims, expected.claims);
      EXPECT_EQ(found.accuracy, expected.accuracy);
      EXPECT_EQ(found.balanced_accuracy, expected.balanced_accuracy);
      EXPECT_EQ(found.f1, expected.f1);
      EXPECT_EQ(found.auc, expected.auc);
    }
  }
}

TEST(MeanConfidence, IsThatOfTheClassesDecidedFor) {
  const at::Tensor outputs = at::tensor({0.75, 0.25, 0.5, 0.5}, at::kFloat).view({2, 2});
  EXPECT_DOUBLE_EQ(mean_confidence(outputs, OutputKind::probabilities), 0.625);
  EXPECT_TRUE(std::isnan(mean_confidence(outputs, OutputKind::other)));
}

/// Eight samples of four classes, of which a module is for 1 and 3. In brackets what it decides, and - where it is
/// wrong; class 0 and 2 are one to it.
struct TwoOfFour {
  const OutputSet set = test::some({1, 3});
  const at::Tensor classes = at::tensor({1, 1, 3, 0, 2, 3, 0, 1}, at::kLong);
  const at::Tensor odds = at::tensor({2.0, -1.0,    // [1]
                                      -1.0, 3.0,    // [3] -
                                      0.5, 1.0,     // [3]
                                      -1.0, -2.0,   // [none]
                                      1.0, -3.0,    // [1] -
                                      -0.5, -0.25,  // [none] -
                                      -3.0, -4.0,   // [none]
                                      4.0, 2.0},    // [1]
                                     at::kDouble)
                              .view({8, 2});
};

/// All but the AUC: of those decisions.
void expect_measures_of_two_of_four(const SetMeasures& found) {
  EXPECT_DOUBLE_EQ(found.accuracy, 5.0 / 8);
  // The mean recall of class 1, of class 3 and of the others.
  EXPECT_DOUBLE_EQ(found.balanced_accuracy, (2.0 / 3 + 1.0 / 2 + 2.0 / 3) / 3);
  EXPECT_EQ(found.samples, 8);
  EXPECT_EQ(found.support, 0);
  EXPECT_EQ(found.claims, 0);
  ASSERT_EQ(found.classes.size(), 2U);
  const ClassMeasures &one = found.classes[0], &three = found.classes[1];
  EXPECT_EQ(one.support, 3);
  EXPECT_EQ(one.claims, 3);
  EXPECT_DOUBLE_EQ(one.accuracy, 6.0 / 8);
  EXPECT_DOUBLE_EQ(one.balanced_accuracy, (2.0 / 3 + 4.0 / 5) / 2);
  EXPECT_DOUBLE_EQ(one.precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(one.recall, 2.0 / 3);
  EXPECT_DOUBLE_EQ(one.f1, 2.0 / 3);
  EXPECT_EQ(three.support, 2);
  EXPECT_EQ(three.claims, 2);
  EXPECT_DOUBLE_EQ(three.accuracy, 6.0 / 8);
  EXPECT_DOUBLE_EQ(three.balanced_accuracy, (1.0 / 2 + 5.0 / 6) / 2);
  EXPECT_DOUBLE_EQ(three.precision, 1.0 / 2);
  EXPECT_DOUBLE_EQ(three.recall, 1.0 / 2);
  EXPECT_DOUBLE_EQ(three.f1, 1.0 / 2);
  EXPECT_DOUBLE_EQ(found.precision, 7.0 / 12);  // the means of both
  EXPECT_DOUBLE_EQ(found.recall, 7.0 / 12);
  EXPECT_DOUBLE_EQ(found.f1, 7.0 / 12);
}

TEST(MeasureSet, DecidesForTheLargestThatIsAboveZero) {
  const TwoOfFour example;
  const SetMeasures found = measure_set(example.odds, example.set, example.classes);
  expect_measures_of_two_of_four(found);
  // Class 1 has 2, -1 and 4; the others 0.5, -1, 1, -0.5 and -3: 5, 1.5 and 5 of 15 pairs are in order.
  EXPECT_DOUBLE_EQ(found.classes[0].auc, 11.5 / 15);
  // Class 3 has 1 and -0.25; the others -1, 3, -2, -3, -4 and 2: 4 and 4 of 12.
  EXPECT_DOUBLE_EQ(found.classes[1].auc, 8.0 / 12);
  EXPECT_DOUBLE_EQ(found.auc, (11.5 / 15 + 8.0 / 12) / 2);
}

TEST(MeasureSet, OfOneClassHasTheMeasuresOfItsYesAndNo) {
  const TwoOfFour example;
  const at::Tensor column = example.odds.select(1, 0);
  const ClassMeasures expected = class_measures(column, example.classes == 1);
  const SetMeasures found = measure_set(column.unsqueeze(1), test::one(1), example.classes);
  ASSERT_EQ(found.classes.size(), 1U);
  for (const ClassMeasures& measures : {static_cast<ClassMeasures>(found), found.classes[0]}) {
    EXPECT_EQ(measures.support, expected.support);
    EXPECT_EQ(measures.claims, expected.claims);
    EXPECT_EQ(measures.samples, expected.samples);
    EXPECT_EQ(measures.accuracy, expected.accuracy);
    EXPECT_EQ(measures.balanced_accuracy, expected.balanced_accuracy);
    EXPECT_EQ(measures.precision, expected.precision);
    EXPECT_EQ(measures.recall, expected.recall);
    EXPECT_EQ(measures.f1, expected.f1);
    EXPECT_EQ(measures.auc, expected.auc);
  }
}

TEST(MeasureSet, OfAllClassesDecidesForTheLargestThoughItIsBelowZero) {
  const at::Tensor odds = at::tensor({-1.0, -2.0, -3.0, -1.0, -4.0, -2.0}, at::kDouble).view({3, 2});
  const SetMeasures found = measure_set(odds, test::whole({0, 1}), at::tensor({0, 1, 0}, at::kLong));
  EXPECT_DOUBLE_EQ(found.accuracy, 2.0 / 3);
  EXPECT_DOUBLE_EQ(found.balanced_accuracy, 3.0 / 4);  // there are no others
  EXPECT_DOUBLE_EQ(found.classes[0].recall, 1.0 / 2);
  EXPECT_DOUBLE_EQ(found.classes[1].recall, 1);
}

TEST(MeasureSet, TakesTheMeanRecallOfClassesThatHaveSamples) {
  // Class 1 is right on one of two, the others on both; of class 3 there is no sample.
  const at::Tensor odds = at::tensor({1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0, -1.0}, at::kDouble).view({4, 2});
  const SetMeasures found = measure_set(odds, test::some({1, 3}), at::tensor({1, 1, 0, 2}, at::kLong));
  EXPECT_DOUBLE_EQ(found.balanced_accuracy, 3.0 / 4);
  EXPECT_DOUBLE_EQ(found.accuracy, 3.0 / 4);
  EXPECT_TRUE(std::isnan(found.classes[1].recall));
  // Without others: of class 1 alone.
  EXPECT_DOUBLE_EQ(
      measure_set(odds.narrow(0, 0, 2), test::some({1, 3}), at::tensor({1, 1}, at::kLong)).balanced_accuracy, 1.0 / 2);
}

TEST(MeasureClasses, OfASetTakeTheClassesThatAreNotInItForOne) {
  // The decisions of TwoOfFour, of a model of four outputs; where it says class 0 for class 2 and the other way round
  // that is none of the set.
  const TwoOfFour example;
  const at::Tensor decided = at::tensor({1, 3, 3, 0, 1, 2, 2, 1}, at::kLong);
  const at::Tensor outputs = at::one_hot(decided, 4).to(at::kFloat) * 5;
  const std::vector<SetMeasures> found =
      measure_classes(outputs, OutputKind::logits, example.classes, {test::one(2), example.set});
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].support, 1);
  EXPECT_DOUBLE_EQ(found[0].recall, 0);
  expect_measures_of_two_of_four(found[1]);
}

TEST(MeasureSet, RanksTheClassesOfASetOfAllByTheirLogOddsWhateverIsAddedToARow) {
  const at::Tensor logits = test::random_normal({200, 4}, 1).to(at::kDouble);
  const at::Tensor labels = at::arange(200, at::kLong).remainder(4);
  const OutputSet all{{0, 1, 2, 3}, "all", false};
  const SetMeasures original = measure_classes(logits, OutputKind::logits, labels, {all})[0];
  const at::Tensor shifted = logits + 5 * test::random_normal({200, 1}, 2).to(at::kDouble);
  const SetMeasures found = measure_set(shifted, all, labels);
  EXPECT_NEAR(found.auc, original.auc, 1e-12);
  EXPECT_EQ(found.accuracy, original.accuracy);
}

/// The definition: over thresholds from the highest on, what recall gains times precision.
double average_precision_by_thresholds(const at::Tensor& scores, const at::Tensor& positive) {
  double sum = 0, recall = 0;
  const at::Tensor levels = std::get<0>(at::_unique2(scores)).flip(0);
  for (int64_t i = 0; i < levels.size(0); ++i) {
    const at::Tensor chosen = scores >= levels[i];
    const auto hits = chosen.logical_and(positive).sum().item<double>();
    const double now = hits / positive.sum().item<double>();
    sum += (now - recall) * hits / chosen.sum().item<double>();
    recall = now;
  }
  return sum;
}

TEST(AveragePrecision, IsTheMeanPrecisionAtEachHit) {
  // Hits are the first, third and fourth: (1 + 2/3 + 3/4) / 3.
  const at::Tensor scores = at::tensor({0.9, 0.2, 0.8, 0.7, 0.5}, at::kDouble);
  EXPECT_DOUBLE_EQ(average_precision(scores, yes_or_no({1, 0, 0, 1, 1})), (1 + 2.0 / 3 + 3.0 / 4) / 3);
}

TEST(AveragePrecision, EqualsTheDefinitionOnRandomScoresWithTies) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const int64_t n = 2 + static_cast<int64_t>(seed * 7);
    const at::Tensor scores = (random_normal({n}, seed).to(at::kDouble) * static_cast<double>(1 + seed % 9)).round();
    const at::Tensor positive = random_normal({n}, 1000 + seed) > 0.5;
    if (!positive.any().item<bool>()) continue;
    EXPECT_NEAR(average_precision(scores, positive), average_precision_by_thresholds(scores, positive), 1e-12) << seed;
  }
}

TEST(AveragePrecision, IsTheShareOfPositivesWhereScoresTellNothing) {
  EXPECT_DOUBLE_EQ(average_precision(at::zeros({4}, at::kDouble), yes_or_no({1, 0, 0, 0})), 0.25);
}

TEST(AveragePrecision, IsUndefinedWithoutPositivesAndForNaN) {
  EXPECT_TRUE(std::isnan(average_precision(at::zeros({2}, at::kDouble), yes_or_no({0, 0}))));
  EXPECT_TRUE(std::isnan(average_precision(at::tensor({0.0, undefined}, at::kDouble), yes_or_no({0, 1}))));
}

TEST(MeasureLabels, TakesEachLabelByItself) {
  const at::Tensor odds = at::tensor({1.0, 2.0, -1.0, 3.0, 2.0, -4.0}, at::kDouble).view({3, 2});
  const at::Tensor truth = at::tensor({1.0, 1.0, 0.0, 0.0, 0.0, 0.0}).view({3, 2});
  const ModelMeasures found = measure_labels(odds, truth);
  ASSERT_EQ(found.classes.size(), 2U);
  EXPECT_DOUBLE_EQ(found.classes[0].average_precision, 0.5);  // behind the third sample
  EXPECT_DOUBLE_EQ(found.classes[0].precision, 0.5);          // says yes to the first and the third
  EXPECT_DOUBLE_EQ(found.classes[0].recall, 1);
  EXPECT_DOUBLE_EQ(found.classes[1].average_precision, 0.5);  // behind the second
  EXPECT_DOUBLE_EQ(found.classes[1].auc, 0.5);
  EXPECT_DOUBLE_EQ(found.score, 0.5);
}

TEST(MeasureLabels, LeavesLabelsThatNoSampleHasOutOfTheMean) {
  const ModelMeasures found = measure_labels(at::tensor({1.0, 2.0, -1.0, 3.0}, at::kDouble).view({2, 2}),
                                             at::tensor({1.0, 0.0, 0.0, 0.0}).view({2, 2}));
  EXPECT_TRUE(std::isnan(found.classes[1].average_precision));
  EXPECT_DOUBLE_EQ(found.score, 1);
}

TEST(MeanOfLabels, IsTheMeanOfDefinedMeasuresOrTheOnlyLabels) {
  ClassMeasures first, second;
  first.f1 = 0.5;
  first.average_precision = 0.25;
  first.support = 7;
  second.f1 = 1;
  const SetMeasures one = mean_of_labels({first});
  EXPECT_EQ(one.support, 7);
  EXPECT_DOUBLE_EQ(one.f1, 0.5);
  const SetMeasures both = mean_of_labels({first, second});
  EXPECT_DOUBLE_EQ(both.f1, 0.75);
  EXPECT_DOUBLE_EQ(both.average_precision, 0.25);
  EXPECT_EQ(both.classes.size(), 2U);
}

}  // namespace
}  // namespace incite
