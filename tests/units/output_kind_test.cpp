#include "incite/units/output_kind.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/script.hpp"

namespace incite {
namespace {

using test::Parameters;
using test::program_from;

at::Tensor row(const std::vector<double>& values) {
  return at::tensor(values, at::kDouble).unsqueeze(0);
}

/// The log-odds of one sample.
double odds(const std::vector<double>& outputs, OutputKind kind, std::optional<int64_t> column) {
  const at::Tensor found = log_odds(row(outputs), kind, column);
  EXPECT_EQ(found.sizes(), at::IntArrayRef({1}));
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
  const at::Tensor found = log_odds(outputs, OutputKind::logits, 2);
  EXPECT_TRUE(at::allclose(found, at::tensor({0.68673831248177708, -2.31326168751822292}, at::kDouble))) << found;
}

/// Expects log-odds that are finite and rise from sample to sample.
void expect_rising(const at::Tensor& outputs, OutputKind kind, std::optional<int64_t> column) {
  const at::Tensor found = log_odds(outputs, kind, column);
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
  EXPECT_NEAR(log_odds(outputs, OutputKind::sigmoid, 2).item<double>(), 16.635532, 1e-6);
}

TEST(LogOdds, KeepTheOrderOfExtremeLogits) {
  const at::Tensor own = at::tensor({-1e30, -1e4, 0.0, 50.0, 1e4, 1e30}, at::kFloat);
  expect_rising(at::stack({at::zeros_like(own), own}, 1), OutputKind::logits, std::nullopt);
  expect_rising(at::stack({own, at::zeros_like(own), at::zeros_like(own)}, 1), OutputKind::logits, 0);
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

TEST(OutputKind, IsOtherAfterAnyOtherOperation) {
  EXPECT_EQ(kind_after_linear("torch.relu(y)"), OutputKind::other);
  EXPECT_EQ(kind_after_linear("torch.softmax(y, 1) * 2.0"), OutputKind::other);
  EXPECT_EQ(kind_after_linear("torch.log(torch.softmax(y, 1))"), OutputKind::other);
  EXPECT_EQ(kind_after_linear("torch.sigmoid(torch.sigmoid(y))"), OutputKind::other);
}

TEST(OutputKind, IsOtherWhereThereIsNoHead) {
  const at::Tensor input = at::randn({4, 3});
  const Program program = program_from("def forward(self, x):\n    return torch.relu(x)\n", {}, input);
  EXPECT_EQ(output_kind(program, analyse(program, sample_values(program, input))), OutputKind::other);
}

TEST(OutputKind, HasTheNamesOfTheDocument) {
  EXPECT_STREQ(to_string(OutputKind::logits), "logits");
  EXPECT_STREQ(to_string(OutputKind::probabilities), "probabilities");
  EXPECT_STREQ(to_string(OutputKind::log_probabilities), "log-probabilities");
  EXPECT_STREQ(to_string(OutputKind::sigmoid), "sigmoid");
  EXPECT_STREQ(to_string(OutputKind::other), "other");
}

}  // namespace
}  // namespace incite
