#include "slicing/head.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "support/expect_error.hpp"
#include "support/output_sets.hpp"
#include "support/parameters.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::expect_error;
using test::one;
using test::one_value;
using test::program_from;
using test::random_normal;

/// Two overlapping clouds in four dimensions: the first `positives` of `samples` are the class.
HeadData clouds(int64_t samples, int64_t positives, double apart, uint64_t seed = 1) {
  HeadData data;
  data.rows = (at::arange(samples) < positives).to(at::kLong);
  data.features = random_normal({samples, 4}, seed) + data.rows.unsqueeze(1) * apart;
  return data;
}

/// Features [samples, 1], and which samples are of the class.
HeadData one_feature(const std::vector<double>& features, const std::vector<int64_t>& positive) {
  HeadData data;
  data.features = at::tensor(features, at::kFloat).unsqueeze(1);
  data.rows = at::tensor(positive, at::kLong);
  return data;
}

at::Tensor outputs_of(const Head& head, const at::Tensor& features) {
  return at::linear(features, head.weight, head.bias.defined() ? head.bias : at::Tensor());
}

/// The log-odds that the rows [others, class] of a head mean.
at::Tensor margins(const Head& head, const at::Tensor& features) {
  return log_odds(outputs_of(head, features), OutputKind::logits, one(0), /*own_head=*/true).select(1, 0);
}

Head fit(const HeadData& data, const HeadParams& params = {}) {
  return fit_classification_head(data, {}, one(0), params);
}

double accuracy(const Head& head, const HeadData& data) {
  return ((margins(head, data.features) > 0) == (data.rows == 1)).to(at::kDouble).mean().item<double>();
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
  const at::Tensor own = data.rows.to(at::kDouble);
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
  const at::Tensor found = log_odds(outputs, OutputKind::sigmoid, one(0), /*own_head=*/true).select(1, 0);
  EXPECT_LT((found - expected).abs().max().item<double>(), 1e-3);
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
  const at::Tensor rows = balanced_rows(data.rows, one(output), params.seed);
  HeadData chosen = data;
  chosen.features = data.features.index_select(0, rows);
  chosen.rows = data.rows.index_select(0, rows);
  return fit_classification_head(chosen, original, one(output), params);
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
  data.rows = (at::arange(1000) < 100).to(at::kLong);
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
      fit_classification_head(clouds(10, positives, 1), zeros_of_three_rows(), one(2), params);
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
  data.values = data.features * 2;
  data.has_bias = false;
  return data;
}

double adam_weight(int64_t epochs, double learning_rate) {
  const Head original = {at::tensor({7.0, 0.0}, at::kFloat).view({2, 1}), {}};
  const Head head = fit_regression_head(two_points(), original, one_value(1), with_adam(epochs, learning_rate));
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
  data.values = at::ones({1, 1});
  data.has_bias = false;
  expect_error(
      [&] {
        fit_regression_head(data, {at::zeros({1, 1}), {}}, one_value(0), with_adam(1));
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
  data.values = values.unsqueeze(1);
  data.has_bias = has_bias;
  return fit_regression_head(data, {}, one_value(0), {});
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
  data.values = (at::mv(x, at::tensor({1.0, -2.0, 0.5}, at::kFloat)) - 1.5).relu().unsqueeze(1);
  data.rectified = true;
  EXPECT_GT((data.values == 0).sum().item<int64_t>(), 400);
  for (const HeadParams& params : {HeadParams(), with_adam(400, 1e-2)}) {
    const Head head = fit_regression_head(data, {at::zeros({1, 3}), at::ones({1})}, one_value(0), params);
    const at::Tensor found = outputs_of(head, x).relu();
    ASSERT_EQ(found.sizes(), data.values.sizes());
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
  data.rows = (at::arange(460).remainder(2) == 0).to(at::kLong);
  data.features = random_normal({460, 80}, 3);
  data.features.select(1, 0).add_(data.rows.to(at::kFloat) * 2);
  data.validating = 400;
  HeadParams weak, strong, both;
  weak.l2 = {1e-9};
  strong.l2 = {0.1};
  both.l2 = {1e-9, 0.1};
  const auto log_loss = [&](const HeadParams& params) {  // of the validating rows
    const at::Tensor odds = margins(fit(data, params), data.features).narrow(0, 60, 400);
    const at::Tensor wrong = at::where(data.rows.narrow(0, 60, 400) == 1, -odds, odds);
    return at::softplus(wrong).mean().item<double>();
  };
  EXPECT_LT(log_loss(strong), 0.7 * log_loss(weak));
  EXPECT_TRUE(at::allclose(fit(data, both).weight, fit(data, strong).weight, 1e-3, 1e-5));
}

/// Samples of four classes, in turn, that lie in different directions of six dimensions.
struct FourClouds {
  explicit FourClouds(double apart) : classes(at::arange(400, at::kLong).remainder(4)) {
    features = random_normal({400, 6}, 3);
    features.narrow(1, 0, 4).add_(at::one_hot(classes, 4).to(at::kFloat) * apart);
  }

  HeadData data(const OutputSet& set, OutputKind kind = OutputKind::logits) const {
    HeadData result;
    result.features = features;
    result.rows = rows_of_head(classes, set);
    result.kind = kind;
    return result;
  }

  at::Tensor classes, features;
};

/// How many of the samples are put into the row of their class. Without a row for others, `odds` are all.
double share_of_right_rows(const at::Tensor& odds, const at::Tensor& rows, const OutputSet& set) {
  const at::Tensor all = set.others ? at::cat({at::zeros_like(odds.narrow(1, 0, 1)), odds}, 1) : odds;
  return (all.argmax(1) == rows).to(at::kDouble).mean().item<double>();
}

const OutputSet one_and_three = test::some({1, 3});

TEST(RowsOfHead, BeginWithTheOthersIfThereAreSome) {
  const at::Tensor classes = at::tensor({0, 1, 2, 3}, at::kLong);
  EXPECT_TRUE(at::equal(rows_of_head(classes, one(2)), at::tensor({0, 0, 1, 0}, at::kLong)));
  EXPECT_TRUE(at::equal(rows_of_head(classes, one_and_three), at::tensor({0, 1, 0, 2}, at::kLong)));
  EXPECT_TRUE(at::equal(rows_of_head(classes, test::whole({0, 1, 2, 3})), classes));
}

TEST(HeadRows, AreThoseOfTheSetOrAsManyAsTheOriginals) {
  for (const HeadMethod method : {HeadMethod::lbfgs, HeadMethod::adam}) {
    EXPECT_EQ(head_rows(method, one(2)), 2);
    EXPECT_EQ(head_rows(method, one_value(2)), 1);
    EXPECT_EQ(head_rows(method, one_and_three), 3);
    EXPECT_EQ(head_rows(method, test::whole({0, 1, 2, 3})), 4);
  }
  EXPECT_EQ(head_rows(HeadMethod::original, one_and_three), 0);  // all
}

TEST(SetHead, SeparatesItsClassesAndTheOthers) {
  for (const OutputKind kind : {OutputKind::logits, OutputKind::sigmoid}) {
    const FourClouds clouds(9);
    const HeadData data = clouds.data(one_and_three, kind);
    const Head head = fit_classification_head(data, {}, one_and_three, {});
    ASSERT_EQ(head.weight.sizes(), at::IntArrayRef({3, 6}));
    const at::Tensor logits = outputs_of(head, clouds.features);
    const at::Tensor outputs = kind == OutputKind::sigmoid ? at::sigmoid(logits.to(at::kDouble)) : logits;
    const at::Tensor odds = log_odds(outputs, kind, one_and_three, /*own_head=*/true);
    EXPECT_EQ(share_of_right_rows(odds, data.rows, one_and_three), 1) << to_string(kind);
  }
}

TEST(SetHead, HasRowsWhoseSumIsZero) {
  const Head head = fit_classification_head(FourClouds(2).data(one_and_three), {}, one_and_three, {});
  ASSERT_EQ(head.bias.sizes(), at::IntArrayRef({3}));
  EXPECT_GT(head.weight.abs().max().item<double>(), 0.1);
  EXPECT_LT(head.weight.sum(0).abs().max().item<double>(), 1e-6);
  EXPECT_LT(head.bias.sum().abs().item<double>(), 1e-6);
}

TEST(SetHead, SaysTheSameThroughSigmoidsAsThroughASoftmax) {
  const FourClouds clouds(2);
  const auto odds = [&](OutputKind kind) {
    const Head head = fit_classification_head(clouds.data(one_and_three, kind), {}, one_and_three, {});
    const at::Tensor logits = outputs_of(head, clouds.features).to(at::kDouble);
    return log_odds(kind == OutputKind::sigmoid ? at::sigmoid(logits) : logits, kind, one_and_three, true);
  };
  const at::Tensor expected = odds(OutputKind::logits);
  EXPECT_GT(expected.abs().max().item<double>(), 1);
  EXPECT_LT((odds(OutputKind::sigmoid) - expected).abs().max().item<double>(), 1e-3);
}

TEST(SetHead, WeightsItsClassesAndTheOthersAlike) {
  // Features tell nothing; by counts, the log-odds would be those of 1 and 9 to 90.
  HeadData data;
  data.features = at::full({100, 1}, 5.0);
  const at::Tensor place = at::arange(100, at::kLong);
  data.rows = (place < 10).to(at::kLong) + (place < 1).to(at::kLong);
  const Head head = fit_classification_head(data, {}, one_and_three, {});
  const at::Tensor odds = log_odds(outputs_of(head, data.features), OutputKind::logits, one_and_three, true);
  EXPECT_LT(odds.abs().max().item<double>(), 1e-5);
}

TEST(SetHead, HasNoBiasWhereTheOriginalHasNone) {
  HeadData data = FourClouds(9).data(one_and_three);
  data.has_bias = false;
  const Head head = fit_classification_head(data, {}, one_and_three, {});
  EXPECT_FALSE(head.bias.defined());
  EXPECT_EQ(head.weight.sizes(), at::IntArrayRef({3, 6}));
}

TEST(SetHead, OfAllClassesHasNoRowForOthersAndComesNearTheLabels) {
  const FourClouds clouds(9);
  const OutputSet all = test::whole({0, 1, 2, 3});
  const Head head = fit_classification_head(clouds.data(all), {}, all, {});
  ASSERT_EQ(head.weight.sizes(), at::IntArrayRef({4, 6}));
  ASSERT_EQ(head.bias.sizes(), at::IntArrayRef({4}));
  const at::Tensor logits = outputs_of(head, clouds.features);
  const at::Tensor own = at::softmax(logits, 1).gather(1, clouds.classes.unsqueeze(1));
  EXPECT_GT(own.min().item<double>(), 0.9);
  EXPECT_EQ(share_of_right_rows(logits, clouds.classes, all), 1);
}

TEST(SetHead, OfAllClassesComesNearTheTeacherAndTheLabels) {
  // Features tell nothing, and labels are even: the probabilities are 0.8 of the teacher's and 0.2 of a quarter each.
  const FourClouds clouds(9);
  const OutputSet all = test::whole({0, 1, 2, 3});
  HeadData data = clouds.data(all);
  data.features = at::ones_like(data.features);
  data.teacher = at::tensor({0.7, 0.2, 0.1, 0.0}, at::kFloat).repeat({400, 1});
  const Head head = fit_classification_head(data, {}, all, {});
  const at::Tensor found = at::softmax(outputs_of(head, data.features.narrow(0, 0, 1)), 1)[0];
  const at::Tensor expected = at::tensor({0.61, 0.21, 0.13, 0.05}, at::kFloat);
  EXPECT_TRUE(at::allclose(found, expected, 0, 1e-4)) << found;
}

TEST(SetHead, RefusesDataWithoutOneOfItsClassesOrWithoutOthers) {
  HeadData data = FourClouds(1).data(one_and_three);
  const at::Tensor rows = data.rows;
  const auto fit_to = [&](int64_t row) {
    const at::Tensor chosen = (rows != row).nonzero().flatten();
    data.features = FourClouds(1).features.index_select(0, chosen);
    data.rows = rows.index_select(0, chosen);
    fit_classification_head(data, {}, one_and_three, {});
  };
  expect_error(
      [&] { fit_to(2); }, ExitCode::data_mismatch,
      "no sample is of class 3, so no head can be fitted for it; give samples of this class and of other classes");
  expect_error([&] { fit_to(0); }, ExitCode::data_mismatch,
               "every sample is of class 1 or 3, so no head can be fitted for it; give samples of this class and of "
               "other classes");
}

TEST(BalancedRows, AreAsManyOfEachClassOfASetAsOfTheRarest) {
  // 3 of one class, 20 of the other, 77 of the others.
  const at::Tensor place = at::arange(100, at::kLong);
  const at::Tensor rows = (place < 23).to(at::kLong) + (place < 3).to(at::kLong);
  const at::Tensor chosen = balanced_rows(rows, one_and_three, 1);
  EXPECT_TRUE(at::equal(at::bincount(rows.index_select(0, chosen), {}, 3), at::full({3}, 3, at::kLong)));
  EXPECT_EQ(std::get<0>(at::_unique(chosen)).size(0), 9);
  EXPECT_TRUE(at::equal(chosen, balanced_rows(rows, one_and_three, 1)));
  EXPECT_FALSE(at::equal(chosen, balanced_rows(rows, one_and_three, 2)));
}

TEST(BalancedRows, AreAllOfASetOfAllClasses) {
  const at::Tensor rows = at::tensor({0, 0, 1, 0, 2}, at::kLong);
  const at::Tensor chosen = balanced_rows(rows, test::whole({0, 1, 2}), 1);
  EXPECT_TRUE(at::equal(std::get<0>(chosen.sort()), at::arange(5, at::kLong))) << chosen;
}

TEST(AdamHead, OfASetStartsFromItsRowsAndTheMeanOfTheOthers) {
  const Head original = {at::tensor({1.0, 2.0, 3.0, 40.0}, at::kFloat).view({4, 1}),
                         at::tensor({10.0, 20.0, 30.0, 0.0}, at::kFloat)};
  HeadData data = FourClouds(1).data(test::some({1, 2}));
  data.features = data.features.narrow(1, 0, 1);
  const Head head = fit_classification_head(data, original, test::some({1, 2}), with_adam(0));
  // Others: the mean of rows 0 and 3.
  EXPECT_TRUE(at::equal(head.weight, at::tensor({20.5, 2.0, 3.0}, at::kFloat).view({3, 1}))) << head.weight;
  EXPECT_TRUE(at::equal(head.bias, at::tensor({5.0, 20.0, 30.0}, at::kFloat))) << head.bias;
  const OutputSet all = test::whole({0, 1, 2, 3});
  data.rows = rows_of_head(FourClouds(1).classes, all);
  EXPECT_TRUE(at::equal(fit_classification_head(data, original, all, with_adam(0)).weight, original.weight));
}

TEST(AdamHead, OfASetLearnsToTellItsClasses) {
  const FourClouds clouds(5);
  for (const OutputSet& set : {one_and_three, test::whole({0, 1, 2, 3})}) {
    const HeadData data = clouds.data(set);
    const Head head = fit_classification_head(data, {at::zeros({4, 6}), at::zeros({4})}, set, with_adam(60));
    const at::Tensor odds = log_odds(outputs_of(head, clouds.features), OutputKind::logits, set, /*own_head=*/true);
    EXPECT_GT(share_of_right_rows(odds, data.rows, set), 0.95) << set.name;
  }
}

TEST(RegressionHead, OfASetHasTheRowsOfHeadsForEachOutputAlone) {
  const at::Tensor x = random_normal({200, 3}, 5);
  HeadData data;
  data.features = x;
  const at::Tensor values = x.matmul(random_normal({3, 4}, 6)) + random_normal({200, 4}, 7).pow(3);
  for (const bool has_bias : {true, false}) {
    data.has_bias = has_bias;
    data.values = values.index_select(1, at::tensor({0, 3}, at::kLong));
    const Head both = fit_regression_head(data, {}, test::whole({0, 3}), {});
    ASSERT_EQ(both.weight.sizes(), at::IntArrayRef({2, 3}));
    ASSERT_EQ(both.bias.defined(), has_bias);
    for (const int64_t row : {0, 1}) {
      data.values = values.narrow(1, 3 * row, 1);
      const Head alone = fit_regression_head(data, {}, one_value(3 * row), {});
      EXPECT_TRUE(at::equal(both.weight[row], alone.weight[0])) << row;
      if (has_bias) {
        EXPECT_TRUE(at::equal(both.bias[row], alone.bias[0])) << row;
      }
    }
  }
}

TEST(AdamHead, OfASetOfValuesStartsFromItsRows) {
  const Head original = {at::arange(8, at::kFloat).view({4, 2}), at::arange(4, at::kFloat)};
  HeadData data;
  data.features = random_normal({20, 2}, 1);
  data.values = random_normal({20, 2}, 2);
  const Head head = fit_regression_head(data, original, test::whole({1, 3}), with_adam(0));
  EXPECT_TRUE(at::equal(head.weight, at::tensor({2.0, 3.0, 6.0, 7.0}, at::kFloat).view({2, 2}))) << head.weight;
  EXPECT_TRUE(at::equal(head.bias, at::tensor({1.0, 3.0}, at::kFloat))) << head.bias;
}

/// Six features, of which labels 0 and 2 depend on one each, and may hold at once.
HeadData two_labels(int64_t count) {
  HeadData data;
  data.features = random_normal({count, 6}, 21);
  data.values = (data.features.index_select(1, at::tensor({0, 2}, at::kLong)) > 0.5).to(at::kFloat);
  data.kind = OutputKind::label_logits;
  return data;
}

TEST(LabelHead, TellsOfEachLabelByItself) {
  for (const HeadMethod method : {HeadMethod::lbfgs, HeadMethod::adam}) {
    const HeadData data = two_labels(2000);
    HeadParams params;
    params.method = method;
    params.learning_rate = 1e-2;
    const Head start{random_normal({3, 6}, 1), at::zeros({3})};
    const Head head = fit_multilabel_head(data, start, test::whole({0, 2}), params);
    ASSERT_EQ(head.weight.sizes(), at::IntArrayRef({2, 6}));
    const at::Tensor right = (outputs_of(head, data.features) > 0) == (data.values > 0);
    EXPECT_GT(right.to(at::kDouble).mean().item<double>(), 0.97) << to_string(method);
  }
}

TEST(LabelHead, ComesNearTheTeacherAndTheShareOfSamples) {
  // Features tell nothing; a tenth of the samples has the label, and the teacher gives it 0.6.
  HeadData data;
  data.features = at::ones({100, 1});
  data.values = (at::arange(100, at::kLong) < 10).to(at::kFloat).unsqueeze(1);
  data.teacher = at::full({100, 1}, 0.6);
  const Head head = fit_multilabel_head(data, {}, one_value(3), {});
  EXPECT_NEAR(outputs_of(head, data.features).sigmoid()[0].item<double>(), 0.2 * 0.1 + 0.8 * 0.6, 1e-3);
}

}  // namespace
}  // namespace incite
