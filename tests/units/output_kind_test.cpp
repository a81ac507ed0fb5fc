#include "units/output_kind.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/output_sets.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::one;
using test::Parameters;
using test::program_from;

at::Tensor row(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble).unsqueeze(0);
}

/// The log-odds of one class: of a column of the original's, or of a fitted head; [samples, 1].
at::Tensor odds_of_one(const at::Tensor& outputs, OutputKind kind, std::optional<int64_t> column) {
  return log_odds(outputs, kind, one(column.value_or(0)), /*own_head=*/!column);
}

/// Of one sample.
double odds(const std::vector<double>& outputs, OutputKind kind, std::optional<int64_t> column) {
  const at::Tensor found = odds_of_one(row(outputs), kind, column);
  EXPECT_EQ(found.sizes(), at::IntArrayRef({1, 1}));
  EXPECT_EQ(found.scalar_type(), at::kDouble);
  return found.item<double>();
}

TEST(Probabilities, AreTheSoftmaxOfLogits) {
  // exp(0) : exp(log 3) = 1 : 3
  const at::Tensor found = probabilities(row({0, std::log(3.0)}), OutputKind::logits);
  EXPECT_TRUE(at::allclose(found, row({0.25, 0.75}))) << found;
}

TEST(Probabilities, AreTheExponentialOfLogProbabilities) {
  const at::Tensor found = probabilities(row({std::log(0.25), std::log(0.75)}), OutputKind::log_probabilities);
  EXPECT_TRUE(at::allclose(found, row({0.25, 0.75}))) << found;
}

TEST(Probabilities, AreTheOutputsOfAllOtherKinds) {
  const at::Tensor outputs = row({0.3, 0.9});
  for (const OutputKind kind : {OutputKind::probabilities, OutputKind::sigmoid, OutputKind::other})
    EXPECT_TRUE(at::equal(probabilities(outputs, kind), outputs)) << to_string(kind);
}

TEST(Probabilities, AreTakenOverTheLastDimension) {
  const at::Tensor found = probabilities(at::zeros({5, 3, 4}), OutputKind::logits);
  EXPECT_TRUE(at::allclose(found, at::full({5, 3, 4}, 0.25)));
}

TEST(LogOdds, OfAModulesOwnHeadAreTheClassAgainstTheOthers) {
  EXPECT_DOUBLE_EQ(odds({1, 3}, OutputKind::logits, std::nullopt), 2);
  EXPECT_DOUBLE_EQ(odds({1, 3}, OutputKind::other, std::nullopt), 2);
  EXPECT_DOUBLE_EQ(odds({-3, -1}, OutputKind::log_probabilities, std::nullopt), 2);
  EXPECT_DOUBLE_EQ(odds({0.2, 0.8}, OutputKind::probabilities, std::nullopt), std::log(4.0));
  EXPECT_DOUBLE_EQ(odds({0.2, 0.6}, OutputKind::sigmoid, std::nullopt), std::log(3.0));
}

TEST(LogOdds, OfAModelOfTwoClassesAreThoseOfTheColumn) {
  EXPECT_DOUBLE_EQ(odds({1, 3}, OutputKind::logits, 0), -2);
  EXPECT_DOUBLE_EQ(odds({1, 3}, OutputKind::logits, 1), 2);
  EXPECT_DOUBLE_EQ(odds({0.2, 0.8}, OutputKind::probabilities, 0), -std::log(4.0));
  EXPECT_NEAR(odds({0.2, 0.6}, OutputKind::sigmoid, 0), -std::log(4.0), 1e-14);
  EXPECT_NEAR(odds({0.2, 0.6}, OutputKind::sigmoid, 1), std::log(1.5), 1e-14);
}

TEST(LogOdds, OfLogitsAreThoseAgainstAllOthersTogether) {
  // log(e³ / (e¹ + e²)) = 3 - 2 - log(1 + 1/e) = 0.68673831248...
  EXPECT_NEAR(odds({1, 2, 3}, OutputKind::logits, 2), 0.68673831248177708, 1e-14);
  EXPECT_NEAR(odds({1, 2, 3}, OutputKind::other, 2), 0.68673831248177708, 1e-14);
  // log(e¹ / (e² + e³)) = 1 - 3 - log(1 + 1/e)
  EXPECT_NEAR(odds({1, 2, 3}, OutputKind::logits, 0), -2.31326168751822292, 1e-14);
}

TEST(LogOdds, OfLogitsDoNotChangeWithAConstant) {
  EXPECT_NEAR(odds({1001, 1002, 1003}, OutputKind::logits, 2), 0.68673831248177708, 1e-12);
}

TEST(LogOdds, OfProbabilitiesAreThoseOfTheProbability) {
  EXPECT_NEAR(odds({0.2, 0.3, 0.5}, OutputKind::probabilities, 1), std::log(3.0 / 7), 1e-14);
  EXPECT_NEAR(odds({0.2, 0.3, 0.5}, OutputKind::probabilities, 2), 0, 1e-14);
}

TEST(LogOdds, OfLogProbabilitiesAreThoseOfTheProbability) {
  const std::vector<double> logs = {std::log(0.2), std::log(0.3), std::log(0.5)};
  EXPECT_NEAR(odds(logs, OutputKind::log_probabilities, 1), std::log(3.0 / 7), 1e-14);
}

TEST(LogOdds, OfSigmoidsAreThoseOfTheOwnColumnAlone) {
  EXPECT_NEAR(odds({0.6, 0.99, 0.01}, OutputKind::sigmoid, 0), std::log(1.5), 1e-14);
  EXPECT_NEAR(odds({0.6, 0.5, 0.5, 0.5}, OutputKind::sigmoid, 0), std::log(1.5), 1e-14);
}

TEST(LogOdds, AreOneForEachSample) {
  const at::Tensor outputs = at::tensor({1.0, 2.0, 3.0, 3.0, 2.0, 1.0}, at::kDouble).view({2, 3});
  const at::Tensor found = odds_of_one(outputs, OutputKind::logits, 2);
  const at::Tensor expected = at::tensor({0.68673831248177708, -2.31326168751822292}, at::kDouble).unsqueeze(1);
  EXPECT_EQ(found.sizes(), expected.sizes());
  EXPECT_TRUE(at::allclose(found, expected)) << found;
}

/// The log-odds of one sample for the classes of a set.
std::vector<double> odds_of_set(const std::vector<double>& outputs, OutputKind kind, const OutputSet& set,
                                bool own_head) {
  const at::Tensor found = log_odds(row(outputs), kind, set, own_head);
  EXPECT_EQ(found.sizes(), at::IntArrayRef({1, set.size()}));
  EXPECT_EQ(found.scalar_type(), at::kDouble);
  return {found.data_ptr<double>(), found.data_ptr<double>() + found.numel()};
}

TEST(LogOdds, OfAHeadForASetAreItsRowsAgainstTheFirst) {
  const OutputSet set = test::some({1, 3});
  EXPECT_THAT(odds_of_set({1, 3, -2}, OutputKind::logits, set, true), testing::ElementsAre(2, -3));
  EXPECT_THAT(odds_of_set({-1, -3, -2}, OutputKind::log_probabilities, set, true), testing::ElementsAre(-2, -1));
  EXPECT_THAT(
      odds_of_set({0.2, 0.6, 0.2}, OutputKind::probabilities, set, true),
      testing::ElementsAre(testing::DoubleNear(std::log(3.0), 1e-14), testing::DoubleNear(std::log(1.0), 1e-14)));
  // The differences of the log-odds of 0.2, 0.8 and 0.5: -log 4, log 4 and 0.
  EXPECT_THAT(
      odds_of_set({0.2, 0.8, 0.5}, OutputKind::sigmoid, set, true),
      testing::ElementsAre(testing::DoubleNear(std::log(16.0), 1e-14), testing::DoubleNear(std::log(4.0), 1e-14)));
}

TEST(LogOdds, OfASetOfColumnsAreThoseAgainstAllThatAreNotInIt) {
  const OutputSet set = test::some({1, 3});
  // Against log(e¹ + e³) = 3.126928011...
  const auto near = [](double value) { return testing::DoubleNear(value, 1e-12); };
  EXPECT_THAT(odds_of_set({1, 2, 3, 4}, OutputKind::logits, set, false),
              testing::ElementsAre(near(2 - 3.12692801104297250), near(4 - 3.12692801104297250)));
  EXPECT_THAT(odds_of_set({0.1, 0.2, 0.3, 0.4}, OutputKind::probabilities, set, false),
              testing::ElementsAre(near(std::log(0.5)), near(0)));
  EXPECT_THAT(odds_of_set({0.9, 0.2, 0.9, 0.6}, OutputKind::sigmoid, set, false),
              testing::ElementsAre(near(-std::log(4.0)), near(std::log(1.5))));
}

TEST(LogOdds, OfAllClassesAreTheirLogarithms) {
  const OutputSet all = test::whole({0, 1, 2});
  for (const bool own_head : {true, false}) {
    EXPECT_THAT(odds_of_set({1, 2, -3}, OutputKind::logits, all, own_head), testing::ElementsAre(1, 2, -3));
    EXPECT_THAT(odds_of_set({0.5, 0.25, 0.25}, OutputKind::probabilities, all, own_head),
                testing::ElementsAre(std::log(0.5), std::log(0.25), std::log(0.25)));
    EXPECT_THAT(odds_of_set({0.5, 0.2, 0.6}, OutputKind::sigmoid, all, own_head),
                testing::ElementsAre(testing::DoubleNear(0, 1e-14), testing::DoubleNear(-std::log(4.0), 1e-14),
                                     testing::DoubleNear(std::log(1.5), 1e-14)));
  }
}

/// Expects log-odds that are finite and rise from sample to sample.
void expect_rising(const at::Tensor& outputs, OutputKind kind, std::optional<int64_t> column) {
  const at::Tensor found = odds_of_one(outputs, kind, column).select(1, 0);
  EXPECT_TRUE(at::isfinite(found).all().item<bool>()) << found;
  EXPECT_TRUE((found.diff() > 0).all().item<bool>()) << found;
}

TEST(LogOdds, KeepTheOrderOfExtremeProbabilities) {
  // From what float32 rounds to 0 to what it rounds to 1; 1 - 2^-24 is the float32 before 1.
  const std::vector<double> rising = {0, 1e-37, 1e-30, 1e-7, 0.5, 1 - 1e-6, 1 - 0x1p-24, 1};
  const at::Tensor own = at::tensor(rising, at::kFloat);
  expect_rising(at::stack({at::full_like(own, 0.5), at::full_like(own, 0.5), own}, 1), OutputKind::sigmoid, 2);
  expect_rising(at::stack({1 - own, own}, 1), OutputKind::probabilities, std::nullopt);
  expect_rising(at::stack({1 - own, own}, 1), OutputKind::probabilities, 1);
  expect_rising(at::stack({1 - own, own}, 1), OutputKind::sigmoid, std::nullopt);
  expect_rising(at::stack({1 - own, own}, 1), OutputKind::sigmoid, 1);
  expect_rising(at::stack({(1 - own) / 2, own, (1 - own) / 2}, 1), OutputKind::probabilities, 1);
}

TEST(LogOdds, OfASigmoidNextToOneAreExact) {
  // p = 1 - 2^-24, the float32 before 1: log(p / 2^-24) = log(2^24 - 1) = 16.635532
  const at::Tensor outputs = at::tensor({0.5, 0.5, 1 - 0x1p-24}, at::kFloat).unsqueeze(0);
  EXPECT_NEAR(odds_of_one(outputs, OutputKind::sigmoid, 2).item<double>(), 16.635532, 1e-6);
}

TEST(LogOdds, KeepTheOrderOfExtremeLogits) {
  const at::Tensor own = at::tensor({-1e30, -1e4, 0.0, 50.0, 1e4, 1e30}, at::kFloat);
  expect_rising(at::stack({at::zeros_like(own), own}, 1), OutputKind::logits, std::nullopt);
  expect_rising(at::stack({own, at::zeros_like(own), at::zeros_like(own)}, 1), OutputKind::logits, 0);
}

OutputPath path_of(const std::string& source, const Parameters& parameters, const at::Tensor& input) {
  const Program program = program_from("def forward(self, x):\n    " + source + "\n", parameters, input);
  return output_path(program, analyse(program, sample_values(program, input)));
}

/// Of a model of a 1x1 convolution, [N, 6, ...] to [N, 3, ...], whose outputs `y` `after` makes what the model gives.
OutputPath path_after_convolution(int64_t dimensions, const std::string& after) {
  std::vector<int64_t> input = {4, 6}, weight = {3, 6};
  for (int64_t i = 0; i < dimensions; ++i) {
    input.push_back(i + 4);
    weight.push_back(1);
  }
  return path_of(fmt::format("y = torch.conv{}d(x, self.c.weight, self.c.bias)\n    return {}", dimensions, after),
                 {{"c.weight", at::randn(weight)}, {"c.bias", at::randn({3})}}, at::randn(input));
}

/// Of a model of a linear layer over positions, [N, 5, 6] to [N, 5, 3].
OutputPath path_after_tokens(const std::string& after) {
  return path_of("y = torch.linear(x, self.fc.weight, self.fc.bias)\n    return " + after,
                 {{"fc.weight", at::randn({3, 6})}, {"fc.bias", at::randn({3})}}, at::randn({4, 5, 6}));
}

void expect_pooled_logits(const OutputPath& path, size_t relus) {
  EXPECT_EQ(path.kind, OutputKind::logits);
  EXPECT_TRUE(path.pooled);
  EXPECT_EQ(path.relus.size(), relus);
}

/// The kind of a model of a linear layer, whose outputs `y` `after` makes what the model gives.
OutputKind kind_after_linear(const std::string& after) {
  const at::Tensor input = at::randn({4, 6});
  const Program program = program_from(
      "def forward(self, x):\n    y = torch.linear(x, self.fc.weight, self.fc.bias)\n    return " + after + "\n",
      {{"fc.weight", at::randn({3, 6})}, {"fc.bias", at::randn({3})}}, input);
  return output_kind(program, analyse(program, sample_values(program, input)));
}

TEST(OutputKind, IsLogitsAfterTheLastLayerAndAfterLayout) {
  EXPECT_EQ(kind_after_linear("y"), OutputKind::logits);
  EXPECT_EQ(kind_after_linear("y.view(y.size(0), -1)"), OutputKind::logits);
  EXPECT_EQ(kind_after_linear("torch.flatten(y, 1)"), OutputKind::logits);
}

TEST(OutputKind, IsToldFromTheLastActivation) {
  EXPECT_EQ(kind_after_linear("torch.softmax(y, 1)"), OutputKind::probabilities);
  EXPECT_EQ(kind_after_linear("torch.softmax(y, -1)"), OutputKind::probabilities);
  EXPECT_EQ(kind_after_linear("torch.log_softmax(y, 1)"), OutputKind::log_probabilities);
  EXPECT_EQ(kind_after_linear("torch.sigmoid(y)"), OutputKind::sigmoid);
}

TEST(OutputKind, IsLogitsAfterARelu) {
  EXPECT_EQ(kind_after_linear("torch.relu(y)"), OutputKind::logits);
  EXPECT_EQ(kind_after_linear("torch.relu_(y)"), OutputKind::logits);
  EXPECT_EQ(kind_after_linear("torch.softmax(torch.relu(y), 1)"), OutputKind::probabilities);
}

TEST(OutputPath, PassesGlobalAveragePooling) {
  expect_pooled_logits(path_after_convolution(1, "torch.adaptive_avg_pool1d(y, 1).flatten(1)"), 0);
  expect_pooled_logits(path_after_convolution(1, "y.mean(-1)"), 0);
  expect_pooled_logits(path_after_convolution(2, "torch.flatten(torch.adaptive_avg_pool2d(y, [1, 1]), 1)"), 0);
  expect_pooled_logits(path_after_convolution(2, "y.mean([2, 3])"), 0);
  expect_pooled_logits(path_after_convolution(2, "y.mean([-1, -2], True).flatten(1)"), 0);
  expect_pooled_logits(path_after_convolution(3, "torch.adaptive_avg_pool3d(y, [1, 1, 1]).flatten(1)"), 0);
  expect_pooled_logits(path_after_tokens("y.mean(1)"), 0);
}

TEST(OutputPath, PassesGlobalAveragePoolingOfOneOutput) {
  for (const char* pool : {"y.mean([2, 3])", "torch.adaptive_avg_pool2d(torch.relu(y), 1).flatten(1)"}) {
    const OutputPath path = path_of(std::string("y = torch.conv2d(x, self.c.weight)\n    return ") + pool,
                                    {{"c.weight", at::randn({1, 6, 1, 1})}}, at::randn({4, 6, 5, 5}));
    EXPECT_EQ(path.kind, OutputKind::logits) << pool;
    EXPECT_TRUE(path.pooled) << pool;
  }
}

TEST(OutputPath, PassesRelusBeforeAndAfterPooling) {
  expect_pooled_logits(path_after_convolution(2, "torch.adaptive_avg_pool2d(torch.relu(y), 1).flatten(1)"), 1);
  expect_pooled_logits(path_after_convolution(2, "torch.relu(torch.adaptive_avg_pool2d(y, 1).flatten(1))"), 1);
  expect_pooled_logits(path_after_convolution(2, "torch.relu(torch.relu(torch.relu(y)).mean([2, 3]))"), 3);
  expect_pooled_logits(path_after_tokens("torch.relu(y).mean(1)"), 1);
}

TEST(OutputPath, GoesOnAfterPooling) {
  const OutputPath path = path_after_convolution(2, "torch.softmax(torch.relu(y).mean([2, 3]), 1)");
  EXPECT_EQ(path.kind, OutputKind::probabilities);
  EXPECT_TRUE(path.pooled);
  EXPECT_EQ(path.relus.size(), 1U);
}

TEST(OutputPath, HasNothingOnItAfterALinearLayer) {
  const OutputPath path =
      path_of("return torch.linear(x, self.fc.weight)", {{"fc.weight", at::randn({3, 6})}}, at::randn({4, 6}));
  EXPECT_EQ(path.kind, OutputKind::logits);
  EXPECT_FALSE(path.pooled);
  EXPECT_TRUE(path.relus.empty());
}

TEST(OutputKind, IsOtherAfterAnyOtherPooling) {
  for (const char* after :
       {"torch.adaptive_max_pool2d(y, [1, 1])[0].flatten(1)",
        "torch.adaptive_avg_pool2d(y, [1, 2])[:, :, :, 0].flatten(1)", "y.mean(3)[:, :, 0]", "y.mean(2).mean(2)",
        "y.amax([2, 3])", "y.sum([2, 3])", "torch.softmax(y, 1).mean([2, 3])"}) {
    EXPECT_EQ(path_after_convolution(2, after).kind, OutputKind::other) << after;
  }
  EXPECT_EQ(path_after_tokens("torch.sigmoid(y).mean(1)").kind, OutputKind::other);
}

TEST(OutputKind, IsOtherAfterAnyOtherOperation) {
  EXPECT_EQ(kind_after_linear("torch.relu(torch.sigmoid(y))"), OutputKind::other);
  EXPECT_EQ(kind_after_linear("torch.tanh(y)"), OutputKind::other);
  EXPECT_EQ(kind_after_linear("torch.softmax(y, 1) * 2.0"), OutputKind::other);
  EXPECT_EQ(kind_after_linear("torch.log(torch.softmax(y, 1))"), OutputKind::other);
  EXPECT_EQ(kind_after_linear("torch.sigmoid(torch.sigmoid(y))"), OutputKind::other);
}

TEST(OutputKind, IsOtherWhereThereIsNoHead) {
  const at::Tensor input = at::randn({4, 3});
  const Program program = program_from("def forward(self, x):\n    return torch.relu(x)\n", {}, input);
  EXPECT_EQ(output_kind(program, analyse(program, sample_values(program, input))), OutputKind::other);
}

TEST(Probabilities, OfManyRowsAreThoseOfEachByItself) {
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{5001, 10}, {3, 1111, 10}, {7, 2, 100}, {1, 1}, {0, 4}}) {
    const at::Tensor outputs = 5 * test::random_normal(shape, 7);
    const at::Tensor found = probabilities(outputs, OutputKind::logits);
    const at::Tensor powers = outputs.to(at::kDouble).exp();
    EXPECT_EQ(found.sizes(), outputs.sizes());
    EXPECT_TRUE(at::allclose(found.to(at::kDouble), powers / powers.sum(-1, true), 1e-5, 1e-7)) << outputs.sizes();
  }
}

TEST(OutputKind, HasTheNamesOfTheDocument) {
  EXPECT_STREQ(to_string(OutputKind::logits), "logits");
  EXPECT_STREQ(to_string(OutputKind::probabilities), "probabilities");
  EXPECT_STREQ(to_string(OutputKind::log_probabilities), "log-probabilities");
  EXPECT_STREQ(to_string(OutputKind::sigmoid), "sigmoid");
  EXPECT_STREQ(to_string(OutputKind::other), "other");
}

TEST(KindFor, TakesTheLogitsOfAMultilabelModelForThoseOfLabels) {
  EXPECT_EQ(kind_for(Task::multilabel, OutputKind::logits), OutputKind::label_logits);
  EXPECT_EQ(kind_for(Task::multilabel, OutputKind::sigmoid), OutputKind::sigmoid);
  EXPECT_EQ(kind_for(Task::classification, OutputKind::logits), OutputKind::logits);
  EXPECT_EQ(kind_for(Task::regression, OutputKind::logits), OutputKind::logits);
}

TEST(LogOdds, OfLabelsAreEachByItselfOfAHeadOrOfTheOriginal) {
  const at::Tensor logits = at::tensor({1.0, -2.0, 3.0}).view({1, 3});
  const at::Tensor own = logits.index_select(1, at::tensor({0, 2}, at::kLong)).to(at::kDouble);
  const OutputSet set = test::whole({0, 2});
  for (const bool sigmoid : {false, true}) {
    const OutputKind kind = sigmoid ? OutputKind::sigmoid : OutputKind::label_logits;
    const at::Tensor outputs = sigmoid ? logits.sigmoid() : logits;
    EXPECT_TRUE(at::allclose(log_odds(outputs, kind, set, /*own_head=*/false), own, 1e-5));
    EXPECT_TRUE(
        at::allclose(log_odds(outputs.index_select(1, at::tensor({0, 2}, at::kLong)), kind, set, true), own, 1e-5));
    EXPECT_TRUE(at::allclose(label_log_odds(outputs, kind), logits.to(at::kDouble), 1e-5));
    EXPECT_TRUE(at::allclose(probabilities(outputs, kind), logits.sigmoid()));
  }
}

}  // namespace
}  // namespace incite
