#include "subject/warnings.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/random_normal.hpp"

namespace incite {
namespace {

using test::random_normal;

/// Samples of these classes, all in the set.
TestSet of_classes(const Dataset& data, const std::vector<int64_t>& classes) {
  TestSet set;
  set.data = &data;
  set.classes = at::tensor(classes, at::kLong);
  set.samples = at::arange(set.classes.size(0), at::kLong);
  return set;
}

std::vector<int64_t> repeated(const std::vector<std::pair<int64_t, int64_t>>& counts) {
  std::vector<int64_t> classes;
  for (const auto& [value, count] : counts)
    classes.insert(classes.end(), static_cast<size_t>(count), value);
  return classes;
}

/// Logits that decide for these classes, of two, with a confidence of 1 / (1 + exp(-margin)).
at::Tensor deciding(const std::vector<int64_t>& decided, double margin) {
  return margin * at::one_hot(at::tensor(decided, at::kLong), 2).to(at::kFloat);
}

std::optional<std::string> of_logits(const at::Tensor& outputs, const TestSet& set) {
  return guessing_warning(outputs, OutputKind::logits, Task::classification, set);
}

TEST(GuessingWarning, TellsOfAClassifierThatIsNoBetterThanTheLargestClass) {
  const Dataset data;
  const TestSet set = of_classes(data, repeated({{0, 60}, {1, 40}}));
  const at::Tensor constant = deciding(std::vector<int64_t>(100, 0), 1);
  EXPECT_EQ(
      of_logits(constant, set),
      "the model is right on 60.00 % of 100 samples, no better than always predicting class 0 (60.00 %); check the "
      "inputs' scale (--input-scale), the order of their axes and the order of the labels");
  // 65 of 100 are not significantly more than 60: Wilson's bound is 0.57.
  EXPECT_TRUE(of_logits(deciding(repeated({{0, 55}, {1, 5}, {0, 30}, {1, 10}}), 0.5), set));
}

TEST(GuessingWarning, TakesAGoodClassifierAsItIs) {
  const Dataset data;
  const TestSet set = of_classes(data, repeated({{0, 60}, {1, 40}}));
  EXPECT_EQ(of_logits(deciding(repeated({{0, 55}, {1, 45}}), 3), set), std::nullopt);
}

TEST(GuessingWarning, TakesADetectorOfARareClassAsItIs) {
  // 6 of the 10 are found, with 4 false alarms: right on 992 of 1,000; "always no" is right on 990.
  const Dataset data;
  const TestSet set = of_classes(data, repeated({{0, 990}, {1, 10}}));
  EXPECT_EQ(of_logits(deciding(repeated({{0, 986}, {1, 4}, {0, 4}, {1, 6}}), 5), set), std::nullopt);
}

TEST(GuessingWarning, TellsOfAClassifierThatIsFarTooConfident) {
  const Dataset data;
  const TestSet set = of_classes(data, repeated({{0, 500}, {1, 500}}));
  const std::vector<int64_t> decided = repeated({{0, 300}, {1, 200}, {0, 200}, {1, 300}});
  EXPECT_EQ(
      of_logits(deciding(decided, 5), set),
      "the model is right on 60.00 % of 1,000 samples, but its mean confidence is 99.33 %; check the inputs' scale "
      "(--input-scale), the order of their axes and the order of the labels");
  EXPECT_EQ(of_logits(deciding(decided, 1), set), std::nullopt);  // 73 %
}

TEST(GuessingWarning, TellsOfARegressionThatIsNoBetterThanTheMean) {
  const Dataset data;
  TestSet set;
  set.data = &data;
  set.values = random_normal({200, 2}, 1);
  set.samples = at::arange(200, at::kLong);
  const auto of = [&](const at::Tensor& outputs) {
    return guessing_warning(outputs, OutputKind::logits, Task::regression, set);
  };
  EXPECT_EQ(of(set.values + 0.1 * random_normal({200, 2}, 2)), std::nullopt);
  const std::optional<std::string> found = of(2 * random_normal({200, 2}, 2));
  ASSERT_TRUE(found);
  EXPECT_EQ(found->substr(0, 57), "the model predicts the targets no better than their mean ");
  EXPECT_EQ(found->substr(found->find(';')),
            "; check the inputs' scale (--input-scale), the order of their axes, and the targets' scale and order");
}

TEST(FewSamplesWarning, NamesTheClassesThatHaveFew) {
  const Dataset data;
  const auto of = [&](const std::vector<std::pair<int64_t, int64_t>>& counts, const std::vector<int64_t>& modules) {
    return few_samples_warning(of_classes(data, repeated(counts)), modules);
  };
  EXPECT_EQ(of({{0, 20}, {1, 100}}, {0, 1}), std::nullopt);
  EXPECT_EQ(
      of({{0, 100}, {3, 1}}, {0, 3}),
      "class 3 (1 sample) has fewer than 20 samples to fit on, so its module may do worse on other data; add samples");
  EXPECT_EQ(
      of({{0, 100}, {3, 2}, {7, 5}}, {0, 3, 7}),
      "classes 3 (2 samples) and 7 (5 samples) have fewer than 20 samples to fit on, so their modules may do worse on "
      "other data; add samples");
  EXPECT_EQ(
      of({{0, 100}, {1, 2}, {2, 3}, {3, 4}, {4, 5}, {5, 6}}, {0, 1, 2, 3, 4, 5}),
      "classes 1 (2 samples), 2 (3 samples), 3 (4 samples) and 2 more have fewer than 20 samples to fit on, so their "
      "modules may do worse on other data; add samples");
  EXPECT_EQ(of({{0, 100}, {3, 2}}, {0}), std::nullopt);  // it has no module
}

TEST(GuessingWarning, TellsOfLabelsThatTheModelDoesNotRank) {
  Dataset data;
  TestSet set;
  set.data = &data;
  set.samples = at::arange(200, at::kLong);
  set.values = (at::arange(400, at::kLong).remainder(3) == 0).to(at::kFloat).view({200, 2});
  const at::Tensor good = set.values * 3 - 1;
  EXPECT_FALSE(guessing_warning(good, OutputKind::label_logits, Task::multilabel, set));
  const auto warning = guessing_warning(at::zeros({200, 2}), OutputKind::label_logits, Task::multilabel, set);
  ASSERT_TRUE(warning);
  EXPECT_TRUE(
      warning->starts_with("the model ranks samples by its labels no better than a guess (mean AUC 0.5 on 200 "))
      << *warning;
}

TEST(FewSamplesWarning, NamesTheLabelsThatHaveFew) {
  Dataset data;
  TestSet set;
  set.data = &data;
  set.samples = at::arange(100, at::kLong);
  set.values = at::stack({at::arange(100) < 50, at::arange(100) < 3}, 1).to(at::kFloat);
  EXPECT_EQ(few_samples_warning(set, {0, 1}).value_or(""),
            "label 1 (3 samples) has fewer than 20 samples to fit on, so its module may do worse on other data; add "
            "samples");
}

TEST(Warnings, CountPositionsWhereOutputsHaveSome) {
  Dataset data;
  data.positions = at::arange(2, at::kLong).repeat({50, 1});
  std::vector<int64_t> classes(99, 0);
  classes.push_back(1);
  TestSet set = of_classes(data, classes);
  set.samples = at::arange(50, at::kLong);
  EXPECT_EQ(few_samples_warning(set, {0, 1}).value_or(""),
            "class 1 (1 position) has fewer than 20 positions to fit on, so its module may do worse on other data; add "
            "samples");
  const auto warning = of_logits(deciding(std::vector<int64_t>(100, 1), 5), set);
  ASSERT_TRUE(warning);
  EXPECT_TRUE(warning->starts_with("the model is right on 1.00 % of 100 positions, ")) << *warning;
}

}  // namespace
}  // namespace incite
