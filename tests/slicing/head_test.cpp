#include "slicing/head.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/expect_error.hpp"
#include "support/parameters.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::expect_error;
using test::program_from;
using test::random_normal;

/// Two overlapping clouds in four dimensions: the first `positives` of `samples` are the class.
HeadData clouds(int64_t samples, int64_t positives, double apart, uint64_t seed = 1) {
  HeadData data;
  data.positive = at::arange(samples) < positives;
  data.features = random_normal({samples, 4}, seed) + data.positive.unsqueeze(1) * apart;
  return data;
}

/// Features [samples, 1], and which samples are of the class.
HeadData one_feature(const std::vector<double>& features, const std::vector<int64_t>& positive) {
  HeadData data;
  data.features = at::tensor(features, at::kFloat).unsqueeze(1);
  data.positive = at::tensor(positive, at::kLong).to(at::kBool);
  return data;
}

at::Tensor outputs_of(const Head& head, const at::Tensor& features) {
  return at::linear(features, head.weight, head.bias.defined() ? head.bias : at::Tensor());
}

/// The log-odds that the rows [others, class] of a head mean.
at::Tensor margins(const Head& head, const at::Tensor& features) {
  return log_odds(outputs_of(head, features), OutputKind::logits, std::nullopt);
}

Head fit(const HeadData& data, const HeadParams& params = {}) {
  return fit_classification_head(data, {}, 0, params);
}

double accuracy(const Head& head, const HeadData& data) {
  return ((margins(head, data.features) > 0) == data.positive).to(at::kDouble).mean().item<double>();
}

TEST(LogisticHead, SeparatesWhatCanBeSeparated) {
  const HeadData data = clouds(300, 100, 8);
  EXPECT_EQ(accuracy(fit(data), data), 1);
}

TEST(LogisticHead, HasARowForTheOthersAndOneForTheClassThatMirrorEachOther) {
  const Head head = fit(clouds(300, 100, 1));
  ASSERT_EQ(head.weight.sizes(), at::IntArrayRef({2, 4}));
  ASSERT_EQ(head.bias.sizes(), at::IntArrayRef({2}));
  EXPECT_EQ(head.weight.scalar_type(), at::kFloat);
  EXPECT_EQ(head.bias.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(head.weight[0], -head.weight[1]));
  EXPECT_TRUE(at::equal(head.bias[0], -head.bias[1]));
  EXPECT_GT(head.weight.abs().min().item<double>(), 0.01);
}

/// The largest gradient of the stated loss at a head: the mean over the two classes of the mean logistic loss of each,
/// and l2 times the squared weights of features brought to mean 0 (with a bias) and root mean square 1. Float64, from
/// the definition.
double largest_gradient(const Head& head, const HeadData& data, double l2) {
  const at::Tensor x = data.features.to(at::kDouble);
  const at::Tensor mean = data.has_bias ? x.mean(0) : at::zeros({x.size(1)}, at::kDouble);
  const at::Tensor deviation = (x - mean).square().mean(0).sqrt();
  const at::Tensor standardised = (x - mean) / deviation;
  const at::Tensor weight = (head.weight[1] - head.weight[0]).to(at::kDouble) * deviation;
  at::Tensor margin = at::mv(x, (head.weight[1] - head.weight[0]).to(at::kDouble));
  if (data.has_bias) margin = margin + (head.bias[1] - head.bias[0]).to(at::kDouble);
  const at::Tensor own = data.positive.to(at::kDouble);
  const at::Tensor share = own / own.sum() / 2 + (1 - own) / (1 - own).sum() / 2;
  const at::Tensor slope = share * (at::sigmoid(margin) - own);  // d loss / d margin
  const double largest = (at::mv(standardised.t(), slope) + 2 * l2 * weight).abs().max().item<double>();
  return data.has_bias ? std::max(largest, std::abs(slope.sum().item<double>())) : largest;
}

TEST(LogisticHead, IsTheOptimumOfTheStatedLoss) {
  // Nine times as many others as of the class. A float32 head is off by some 1e-7 of each weight.
  HeadData data = clouds(500, 50, 1);
  data.features = data.features * at::tensor({1.0, 3.0, 0.2, 1.0}, at::kFloat) + 0.5;
  for (const bool has_bias : {true, false}) {
    for (const double l2 : {1e-5, 1e-2}) {
      data.has_bias = has_bias;
      HeadParams params;
      params.l2 = {l2};
      EXPECT_LT(largest_gradient(fit(data, params), data, l2), 1e-6) << "bias " << has_bias << ", l2 " << l2;
    }
  }
}

TEST(LogisticHead, WeightsBothClassesAlike) {
  // One sample of the class at 1, nine others at -1. Weighted alike, the problem is symmetric: the bias is 0
  // (unweighted it would lean to the others by log 9). With the variance 1 - 0.8² = 0.36 of the feature the loss of
  // weight w is log(1 + exp(-w)) + l2 0.36 w², so 1 / (1 + exp(w)) = 2 l2 0.36 w: for l2 = 0.01, w = 3.62.
  HeadParams params;
  params.l2 = {0.01};
  const Head head = fit(one_feature({1, -1, -1, -1, -1, -1, -1, -1, -1, -1}, {1, 0, 0, 0, 0, 0, 0, 0, 0, 0}), params);
  const double weight = (head.weight[1] - head.weight[0]).item<double>();
  EXPECT_NEAR(head.bias[1].item<double>(), 0, 1e-5);
  EXPECT_NEAR(weight, 3.62, 0.01);
  EXPECT_NEAR(1 / (1 + std::exp(weight)), 2 * 0.01 * 0.36 * weight, 1e-6);
}

TEST(LogisticHead, SaysEvenOddsWhereFeaturesTellNothing) {
  HeadData data = one_feature({5, 5, 5, 5, 5, 5, 5, 5, 5, 5}, {1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  EXPECT_NEAR(margins(fit(data), data.features).abs().max().item<double>(), 0, 1e-6);
}

TEST(LogisticHead, DoesNotChangeWithTheScaleAndPlaceOfFeatures) {
  const HeadData data = clouds(400, 80, 1);
  const at::Tensor expected = margins(fit(data), data.features);
  HeadData moved = data;
  moved.features = data.features * at::tensor({64.0, 0.015625, 1024.0, 1.0}, at::kFloat) +
                   at::tensor({-8.0, 1.0, 0.0, 16.0}, at::kFloat);
  const at::Tensor found = margins(fit(moved), moved.features);
  EXPECT_GT(expected.abs().max().item<double>(), 1);
  EXPECT_LT((found - expected).abs().max().item<double>(), 1e-3);
}

TEST(LogisticHead, DoesNotChangeWithTheScaleOfFeaturesWithoutABias) {
  HeadData data = clouds(400, 80, 1);
  data.has_bias = false;
  HeadData moved = data;
  moved.features = data.features * at::tensor({64.0, 0.015625, 1024.0, 1.0}, at::kFloat);
  const at::Tensor expected = margins(fit(data), data.features);
  EXPECT_LT((margins(fit(moved), moved.features) - expected).abs().max().item<double>(), 1e-3);
}

TEST(LogisticHead, HasNoBiasWhereTheOriginalHasNone) {
  HeadData data = clouds(300, 100, 2);
  data.has_bias = false;
  const Head head = fit(data);
  EXPECT_FALSE(head.bias.defined());
  EXPECT_TRUE(at::equal(head.weight[0], -head.weight[1]));
}

TEST(LogisticHead, SaysTheSameThroughSigmoidsAsThroughASoftmax) {
  HeadData data = clouds(300, 100, 1);
  const at::Tensor expected = margins(fit(data), data.features);
  data.kind = OutputKind::sigmoid;
  const at::Tensor outputs = at::sigmoid(outputs_of(fit(data), data.features));
  // Each sigmoid by itself is a probability of the class, or of the others.
  EXPECT_LT((outputs.sum(1) - 1).abs().max().item<double>(), 1e-6);
  EXPECT_LT((log_odds(outputs, OutputKind::sigmoid, std::nullopt) - expected).abs().max().item<double>(), 1e-3);
}

TEST(LogisticHead, LeavesAloneAFeatureThatNeverChanges) {
  HeadData data = clouds(300, 100, 1);
  const at::Tensor expected = margins(fit(data), data.features);
  data.features = at::cat({data.features, at::full({300, 1}, 1234.5F)}, 1);
  const Head head = fit(data);
  EXPECT_NEAR(head.weight[1][4].item<double>(), 0, 1e-9);
  EXPECT_LT((margins(head, data.features) - expected).abs().max().item<double>(), 1e-3);
}

HeadParams with_adam(int64_t epochs, double learning_rate = 1e-2, uint64_t seed = 0) {
  HeadParams params;
  params.method = HeadMethod::adam;
  params.epochs = epochs;
  params.learning_rate = learning_rate;
  params.seed = seed;
  return params;
}

/// An output layer of three rows of zeros over four features.
Head zeros_of_three_rows() {
  return {at::zeros({3, 4}), at::zeros({3})};
}

/// What Adam makes of the samples that are chosen for it.
Head fit_by_adam(const HeadData& data, const Head& original, int64_t output, const HeadParams& params) {
  const at::Tensor rows = balanced_rows(data.positive, output, params.seed);
  HeadData chosen = data;
  chosen.features = data.features.index_select(0, rows);
  chosen.positive = data.positive.index_select(0, rows);
  return fit_classification_head(chosen, original, output, params);
}

TEST(AdamHead, StartsFromTheRowOfTheClassAndTheMeanOfTheOthers) {
  const Head original = {at::tensor({1.0, 2.0, 10.0, 20.0, 3.0, 6.0}, at::kFloat).view({3, 2}),
                         at::tensor({1.0, 5.0, 2.0}, at::kFloat)};
  HeadData data = clouds(20, 10, 1);
  data.features = data.features.narrow(1, 0, 2);
  const Head head = fit_by_adam(data, original, 1, with_adam(0));
  // Others: the mean of rows 0 and 2.
  EXPECT_TRUE(at::equal(head.weight, at::tensor({2.0, 4.0, 10.0, 20.0}, at::kFloat).view({2, 2}))) << head.weight;
  EXPECT_TRUE(at::equal(head.bias, at::tensor({1.5, 5.0}, at::kFloat))) << head.bias;
}

TEST(AdamHead, LearnsToTellTheClass) {
  for (const OutputKind kind : {OutputKind::logits, OutputKind::sigmoid}) {
    HeadData data = clouds(600, 300, 4);
    data.kind = kind;
    const Head head = fit_by_adam(data, zeros_of_three_rows(), 0, with_adam(100));
    EXPECT_GT(accuracy(head, data), 0.98) << to_string(kind);
  }
}

TEST(AdamHead, LearnsFromAsManyOthersAsOfTheClass) {
  // Features tell nothing; on all samples, one of ten of the class, the log-odds would go to log(1/9) = -2.2.
  HeadData data;
  data.features = at::zeros({1000, 4});
  data.positive = at::arange(1000) < 100;
  const Head head = fit_by_adam(data, zeros_of_three_rows(), 0, with_adam(100));
  EXPECT_LT(margins(head, data.features).abs().max().item<double>(), 0.3);
}

TEST(AdamHead, DependsOnTheSeedAlone) {
  const HeadData data = clouds(400, 100, 1);
  const auto weight = [&](uint64_t seed) {
    return fit_by_adam(data, zeros_of_three_rows(), 0, with_adam(5, 1e-2, seed)).weight;
  };
  EXPECT_TRUE(at::equal(weight(3), weight(3)));
  EXPECT_FALSE(at::equal(weight(3), weight(4)));
}

TEST(AdamHead, HasNoBiasWhereTheOriginalHasNone) {
  HeadData data = clouds(100, 50, 2);
  data.has_bias = false;
  const Head head = fit_by_adam(data, {at::zeros({3, 4}), {}}, 0, with_adam(2));
  EXPECT_FALSE(head.bias.defined());
  EXPECT_EQ(head.weight.sizes(), at::IntArrayRef({2, 4}));
}

TEST(ClassificationHead, RefusesDataWithoutTheClassOrWithoutOthers) {
  for (const HeadMethod method : {HeadMethod::lbfgs, HeadMethod::adam}) {
    HeadParams params;
    params.method = method;
    const auto fit_to = [&](int64_t positives) {
      fit_classification_head(clouds(10, positives, 1), zeros_of_three_rows(), 2, params);
    };
    expect_error(
        [&] { fit_to(0); }, ExitCode::data_mismatch,
        "no sample is of class 2, so no head can be fitted for it; give samples of this class and of other classes");
    expect_error(
        [&] { fit_to(10); }, ExitCode::data_mismatch,
        "every sample is of class 2, so no head can be fitted for it; give samples of this class and of other classes");
  }
}

/// Features -1 and 1 in turn, values twice that: a weight w has the same error |w - 2| on every sample, held out or
/// not.
HeadData two_points() {
  HeadData data;
  data.features = (at::arange(20, at::kFloat).remainder(2) * 2 - 1).unsqueeze(1);
  data.values = data.features.select(1, 0) * 2;
  data.has_bias = false;
  return data;
}

double adam_weight(int64_t epochs, double learning_rate) {
  const Head original = {at::tensor({7.0, 0.0}, at::kFloat).view({2, 1}), {}};
  const Head head = fit_regression_head(two_points(), original, 1, with_adam(epochs, learning_rate));
  EXPECT_EQ(head.weight.sizes(), at::IntArrayRef({1, 1}));
  return head.weight.item<double>();
}

TEST(AdamHead, KeepsTheBestEpoch) {
  // One step an epoch; gradients are -1 below 2 and 1 above, so Adam's second moment is 1 and its steps 3 m with the
  // mean m of gradients, weighted 0.9^age. From the original's row, 0: 3; then m = (-0.09 + 0.1) / 0.19 and w = 2.842;
  // (0.009 + 0.1) / 0.271 and 1.635; (0.0981 - 0.1) / 0.3439 and 1.652; (-0.00171 - 0.1) / 0.40951 and 2.397. The error
  // falls up to 1.652 and then rises.
  EXPECT_EQ(adam_weight(0, 3), 0);
  EXPECT_NEAR(adam_weight(1, 3), 3, 1e-3);
  EXPECT_NEAR(adam_weight(2, 3), 2.842, 1e-3);
  EXPECT_NEAR(adam_weight(3, 3), 1.635, 1e-3);
  EXPECT_NEAR(adam_weight(4, 3), 1.652, 1e-3);
  EXPECT_EQ(adam_weight(5, 3), adam_weight(4, 3));
}

TEST(AdamHead, KeepsTheStartWhereNoEpochIsBetter) {
  // The first step goes from 0 to 5, whose error is 3, not 2; the second to 4.74.
  EXPECT_EQ(adam_weight(2, 5), 0);
}

TEST(AdamHead, RefusesTooFewSamplesToHoldOneOut) {
  HeadData data;
  data.features = at::ones({1, 1});
  data.values = at::ones({1});
  data.has_bias = false;
  expect_error(
      [&] {
        fit_regression_head(data, {at::zeros({1, 1}), {}}, 0, with_adam(1));
      },
      ExitCode::data_mismatch, "1 samples are too few to train a head with Adam; give more, or pass --head lbfgs");
}

/// The value that a regression head gives for one feature.
double predict(const Head& head, double feature) {
  return outputs_of(head, at::full({1, 1}, feature, at::kFloat)).item<double>();
}

Head fit_values(const at::Tensor& features, const at::Tensor& values, bool has_bias = true) {
  HeadData data;
  data.features = features;
  data.values = values;
  data.has_bias = has_bias;
  return fit_regression_head(data, {}, 0, {});
}

TEST(RegressionHead, RecoversAnExactLine) {
  const at::Tensor x = at::linspace(-3, 5, 50).unsqueeze(1);
  const Head head = fit_values(x, 2 * x.select(1, 0) - 1);
  ASSERT_EQ(head.weight.sizes(), at::IntArrayRef({1, 1}));
  ASSERT_EQ(head.bias.sizes(), at::IntArrayRef({1}));
  EXPECT_EQ(head.weight.scalar_type(), at::kFloat);
  EXPECT_NEAR(head.weight.item<double>(), 2, 1e-5);
  EXPECT_NEAR(head.bias.item<double>(), -1, 1e-5);
}

TEST(RegressionHead, RecoversALineThoughOneValueOfFiveIsFarOff) {
  // y = 2 x - 1, and every fifth value 50 too high, so least squares is 10 too high. |r| is smoothed to
  // sqrt(r² + width²), where width is a hundredth of the mean residual of least squares, 0.8 * 10 + 0.2 * 40 = 16: the
  // 20 outliers pull the 80 others off by d with 80 d / sqrt(d² + width²) = 20, so d = 0.041.
  const at::Tensor x = at::linspace(-3, 5, 100).unsqueeze(1);
  const at::Tensor wrong = (at::arange(100).remainder(5) == 2).to(at::kFloat);
  const at::Tensor values = 2 * x.select(1, 0) - 1 + 50 * wrong;
  const Head head = fit_values(x, values);
  for (const double place : {-3.0, 0.0, 5.0})
    EXPECT_NEAR(predict(head, place), 2 * place - 1, 0.1) << place;

  const at::Tensor columns = at::cat({x, at::ones_like(x)}, 1);
  const at::Tensor squares = std::get<0>(at::linalg_lstsq(columns, values.unsqueeze(1)));
  EXPECT_NEAR(squares[1].item<double>(), 9, 0.5);
}

TEST(RegressionHead, GivesTheMedianWhereFeaturesTellNothing) {
  // Of 0, 1, 2, 10, 100: the mean is 22.6. The smoothed |r| pulls it by about 0.02.
  const at::Tensor values = at::tensor({10.0, 0.0, 100.0, 1.0, 2.0}, at::kFloat);
  EXPECT_NEAR(predict(fit_values(at::full({5, 1}, 3.0F), values), 3), 2, 0.05);
  EXPECT_NEAR(predict(fit_values(at::full({5, 1}, 3.0F), values, /*has_bias=*/false), 3), 2, 0.05);
}

TEST(RegressionHead, HasNoBiasWhereTheOriginalHasNone) {
  const at::Tensor x = at::linspace(1, 5, 50).unsqueeze(1);
  const Head head = fit_values(x, 3 * x.select(1, 0), /*has_bias=*/false);
  EXPECT_FALSE(head.bias.defined());
  EXPECT_NEAR(head.weight.item<double>(), 3, 1e-5);
}

TEST(RegressionHead, DoesNotChangeWithTheScaleAndPlaceOfFeatures) {
  const at::Tensor x = random_normal({200, 3}, 5);
  const at::Tensor noise = random_normal({200}, 6);
  const at::Tensor values = at::mv(x, at::tensor({1.0, -2.0, 0.5}, at::kFloat)) + noise.pow(3);
  const at::Tensor moved = x * at::tensor({64.0, 0.015625, 1.0}, at::kFloat) + at::tensor({8.0, 1.0, -4.0}, at::kFloat);
  const at::Tensor expected = outputs_of(fit_values(x, values), x);
  const at::Tensor found = outputs_of(fit_values(moved, values), moved);
  EXPECT_LT((found - expected).abs().max().item<double>(), 1e-2);
}

TEST(RegressionHead, HasAboutAsManyValuesAboveAsBelow) {
  // The mark of the least absolute deviation: residuals' signs balance, also where the errors are skewed.
  const at::Tensor x = random_normal({1000, 2}, 7);
  const at::Tensor values = x.sum(1) + random_normal({1000}, 8).exp();
  const at::Tensor above = values > outputs_of(fit_values(x, values), x).select(1, 0);
  EXPECT_NEAR(above.sum().item<double>(), 500, 15);  // least squares: about 310, P(log-normal > its mean)
}

TEST(RegressionHead, IsExactWhereARectifiedOneCanBe) {
  // Most values are 0, so that without the relu in mind the best is near 0 everywhere.
  const at::Tensor x = random_normal({600, 3}, 5);
  HeadData data;
  data.features = x;
  data.values = (at::mv(x, at::tensor({1.0, -2.0, 0.5}, at::kFloat)) - 1.5).relu();
  data.rectified = true;
  EXPECT_GT((data.values == 0).sum().item<int64_t>(), 400);
  for (const HeadParams& params : {HeadParams(), with_adam(400, 1e-2)}) {
    const Head head = fit_regression_head(data, {at::zeros({1, 3}), at::ones({1})}, 0, params);
    const at::Tensor found = outputs_of(head, x).select(1, 0).relu();
    EXPECT_LT((found - data.values).abs().mean().item<double>(), 2e-2) << to_string(params.method);
  }
}

TEST(HeadMethod, HasTheNamesOfTheCommandLine) {
  EXPECT_STREQ(to_string(HeadMethod::lbfgs), "lbfgs");
  EXPECT_STREQ(to_string(HeadMethod::adam), "adam");
  EXPECT_STREQ(to_string(HeadMethod::original), "original");
}

TEST(LogisticHead, TakesThePenaltyThatDoesBestOnTheValidatingRows) {
  // Eighty features of noise for sixty samples: without a penalty the head learns the noise.
  HeadData data;
  data.positive = at::arange(460).remainder(2) == 0;
  data.features = random_normal({460, 80}, 3);
  data.features.select(1, 0).add_(data.positive.to(at::kFloat) * 2);
  data.validating = 400;
  HeadParams weak, strong, both;
  weak.l2 = {1e-9};
  strong.l2 = {0.1};
  both.l2 = {1e-9, 0.1};
  const auto log_loss = [&](const HeadParams& params) {  // of the validating rows
    const at::Tensor odds = margins(fit(data, params), data.features).narrow(0, 60, 400);
    const at::Tensor wrong = at::where(data.positive.narrow(0, 60, 400), -odds, odds);
    return at::softplus(wrong).mean().item<double>();
  };
  EXPECT_LT(log_loss(strong), 0.7 * log_loss(weak));
  EXPECT_TRUE(at::allclose(fit(data, both).weight, fit(data, strong).weight, 1e-3, 1e-5));
}

}  // namespace
}  // namespace incite
