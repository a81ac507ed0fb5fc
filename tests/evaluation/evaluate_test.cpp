#include "evaluation/evaluate.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "base/workers.hpp"
#include "support/evaluate_programs.hpp"
#include "support/expect_error.hpp"
#include "support/output_sets.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::evaluate_programs;
using test::expect_error;
using test::one_value;
using test::program_from;
using test::TestedModule;

/// x W' + b as a program: `weight` row by row, for inputs of `features` values.
Program linear(const std::vector<double>& weight, const std::vector<double>& bias, int64_t features) {
  const auto rows = static_cast<int64_t>(bias.size());
  return program_from(
      "def forward(self, x):\n    return torch.linear(x, self.fc.weight, self.fc.bias)\n",
      {{"fc.weight", at::tensor(weight, at::kFloat).view({rows, features})}, {"fc.bias", at::tensor(bias, at::kFloat)}},
      at::zeros({2, features}));
}

/// Five samples of three classes. The original gives its input; a module, [0, its log-odds].
class EvaluateClasses : public testing::Test {
 protected:
  EvaluateClasses() {
    data_.input = at::tensor({3.0, 1.0, 0.0,   // class 0; the original says 0
                              1.0, 2.0, 0.0,   // class 1;                   1
                              0.0, 1.0, 2.0,   // class 2;                   2
                              1.0, 2.0, 0.0,   // class 0;                   1
                              0.0, 3.0, 1.0},  // class 2;                   1
                             at::kFloat)
                      .view({5, 3});
    data_.file = "data.npz";
    test_.data = &data_;
    test_.samples = at::arange(5, at::kLong);
    test_.classes = at::tensor({0, 1, 2, 0, 2}, at::kLong);
  }

  Evaluation run(const std::vector<int64_t>& outputs) const {
    std::vector<TestedModule> modules;
    for (const int64_t output : outputs)
      modules.push_back({test::one(output), &modules_[static_cast<size_t>(output)]});
    return evaluate_programs(original_, modules, OutputKind::logits, Task::classification, test_);
  }

  const Program original_ = linear({1, 0, 0, 0, 1, 0, 0, 0, 1}, {0, 0, 0}, 3);
  // Log-odds by sample:
  //   module 0, 2 x₀ - 1.5:     4.5     0.5     -1.5   0.5     -1.5
  //   module 1, x₁ - 1.25:     -0.25    0.75    -0.25  0.75     1.75
  //   module 2, 2 x₂ - 0.125:  -0.125  -0.125   3.875 -0.125    1.875
  const std::vector<Program> modules_ = {linear({0, 0, 0, 2, 0, 0}, {0, -1.5}, 3),
                                         linear({0, 0, 0, 0, 1, 0}, {0, -1.25}, 3),
                                         linear({0, 0, 0, 0, 0, 2}, {0, -0.125}, 3)};
  Dataset data_;
  TestSet test_;
};

TEST_F(EvaluateClasses, CombinesModulesByTheLargestLogOdds) {
  const Evaluation found = run({0, 1, 2});
  EXPECT_EQ(found.task, Task::classification);
  EXPECT_EQ(found.samples, 5);
  EXPECT_DOUBLE_EQ(found.original.score, 0.6);
  EXPECT_DOUBLE_EQ(found.combined.score, 0.8);  // 0, 1, 2, 1, 2: the fourth is wrong
}

TEST_F(EvaluateClasses, MeasuresEachModuleInTellingItsClassFromTheOthers) {
  const Evaluation found = run({0, 1, 2});
  ASSERT_EQ(found.modules.size(), 3U);
  EXPECT_DOUBLE_EQ(found.score(0), 0.8);  // takes the second for its own
  EXPECT_DOUBLE_EQ(found.score(1), 0.6);  // takes the fourth and the fifth for its own
  EXPECT_DOUBLE_EQ(found.score(2), 1.0);
}

TEST_F(EvaluateClasses, AsksTheOriginalWhatItAsksEachModule) {
  for (const std::vector<int64_t>& outputs : {std::vector<int64_t>{0, 1, 2}, {2}}) {
    const Evaluation found = run(outputs);
    ASSERT_EQ(found.originals.size(), outputs.size());
    EXPECT_EQ(found.test_samples, 5);
    // It says 0, 1, 2, 1, 1, so yes to one of two samples of class 2, and to no other.
    const ClassMeasures& of_two = found.originals.back();
    EXPECT_DOUBLE_EQ(of_two.accuracy, 0.8);
    EXPECT_DOUBLE_EQ(of_two.balanced_accuracy, 0.75);
    EXPECT_DOUBLE_EQ(of_two.precision, 1);
    EXPECT_DOUBLE_EQ(of_two.recall, 0.5);
    // Log-odds of class 2: -3.13, -2.31, 1.69, -2.31, -2.05: all in order.
    EXPECT_DOUBLE_EQ(of_two.auc, 1);
  }
}

TEST_F(EvaluateClasses, ChoosesAmongTheClassesThatHaveModules) {
  // Samples 1, 2 and 4 are left. Among classes 1 and 2 the original says 1, 2, 1, and the modules 1, 2, 2.
  for (const std::vector<int64_t>& outputs : {std::vector<int64_t>{1, 2}, {2, 1}}) {
    const Evaluation found = run(outputs);
    EXPECT_EQ(found.samples, 3);
    EXPECT_DOUBLE_EQ(found.original.score, 2.0 / 3);
    EXPECT_DOUBLE_EQ(found.combined.score, 1);
  }
}

TEST_F(EvaluateClasses, MeasuresOnTheSamplesOfTheTestSetOnly) {
  test_.samples = at::tensor({4, 0, 3}, at::kLong);
  const Evaluation found = run({0, 1, 2});
  EXPECT_EQ(found.samples, 3);
  EXPECT_DOUBLE_EQ(found.original.score, 1.0 / 3);
  EXPECT_DOUBLE_EQ(found.combined.score, 2.0 / 3);
  EXPECT_DOUBLE_EQ(found.score(1), 1.0 / 3);
}

TEST_F(EvaluateClasses, GivesNoCombinedAccuracyOfASingleClassifier) {
  const Evaluation found = run({0});
  EXPECT_TRUE(std::isnan(found.agreement));
  EXPECT_FALSE(found.combined.confusion.defined());
  EXPECT_TRUE(std::isnan(found.combined.score));
  ASSERT_EQ(found.modules.size(), 1U);
  EXPECT_DOUBLE_EQ(found.score(0), 0.8);  // on all samples, of which the second is not its own
}

TEST_F(EvaluateClasses, LeavesUndefinedWhatNeedsSamplesOfAClassThatHasAModule) {
  test_.samples = at::tensor({0, 2, 3, 4}, at::kLong);  // none of class 1
  const Evaluation found = run({1});
  EXPECT_EQ(found.samples, 0);
  EXPECT_TRUE(std::isnan(found.original.score));
  EXPECT_TRUE(std::isnan(found.combined.score));
  ASSERT_EQ(found.modules.size(), 1U);
  EXPECT_TRUE(std::isnan(found.modules[0].recall));
  EXPECT_FALSE(std::isnan(found.modules[0].accuracy));  // as an answer to "is it class 1?", which is no
  ASSERT_EQ(found.originals.size(), 1U);
  EXPECT_EQ(found.originals[0].support, 0);
}

TEST_F(EvaluateClasses, GoesBatchByBatchAndReportsProgress) {
  const OneThread one_thread;  // several workers tell of several batches at a time
  // The five samples 220 times over, 1100 in batches of 512.
  test_.samples = at::arange(1100, at::kLong).remainder(5);
  std::vector<int64_t> done;
  const auto progress = [&](const ProgressEvent& event) {
    EXPECT_EQ(event.stage, "evaluating");
    EXPECT_EQ(event.total, 1100);
    EXPECT_EQ(event.unit, "samples");
    done.push_back(event.done);
  };
  const at::Tensor scores =
      module_scores({test::one(1), &modules_[1]}, OutputKind::logits, Task::classification, test_, progress);
  EXPECT_EQ(done, (std::vector<int64_t>{512, 1024, 1100}));
  EXPECT_TRUE(at::equal(scores, at::tensor({-0.25, 0.75, -0.25, 0.75, 1.75}, at::kDouble).repeat({220}).unsqueeze(1)))
      << scores;
  done.clear();
  outputs_for(original_, data_, test_.samples, progress);
  EXPECT_EQ(done, (std::vector<int64_t>{512, 1024, 1100}));
  const Evaluation found = run({0, 1, 2});
  EXPECT_EQ(found.samples, 1100);
  EXPECT_DOUBLE_EQ(found.original.score, 0.6);
  EXPECT_DOUBLE_EQ(found.combined.score, 0.8);
  EXPECT_DOUBLE_EQ(found.score(0), 0.8);
}

/// Expects a matrix of whole numbers.
void expect_counts(const at::Tensor& found, const std::vector<int64_t>& expected) {
  ASSERT_TRUE(found.defined());
  EXPECT_TRUE(at::equal(found, at::tensor(expected, at::kLong).view(found.sizes()))) << found;
}

TEST_F(EvaluateClasses, CountsWhatBecomesOfEachClass) {
  const Evaluation found = run({0, 1, 2});
  expect_counts(found.combined.confusion, {1, 1, 0, 0, 1, 0, 0, 0, 2});  // the fourth is taken for class 1
  expect_counts(found.original.confusion, {1, 1, 0, 0, 1, 0, 0, 1, 1});  // and by the original the fifth as well
  EXPECT_DOUBLE_EQ(found.agreement, 0.8);                                // on all but the fifth
}

TEST_F(EvaluateClasses, CountsClassesInTheOrderOfTheModules) {
  const Evaluation found = run({2, 1});
  expect_counts(found.combined.confusion, {2, 0, 0, 1});
  expect_counts(found.original.confusion, {1, 1, 0, 1});
  EXPECT_DOUBLE_EQ(found.agreement, 2.0 / 3);
  EXPECT_EQ(found.original.classes[0].support, 2);
}

TEST_F(EvaluateClasses, MeasuresEachModulesYesAndNo) {
  const Evaluation found = run({0, 1, 2});
  // Module 0 says yes to samples 0, 1 and 3, of which 0 and 3 are its own, with log-odds 4.5 and 0.5 against 0.5, -1.5
  // and -1.5 of the others: of 6 pairs one is a tie.
  EXPECT_EQ(found.modules[0].support, 2);
  EXPECT_DOUBLE_EQ(found.modules[0].precision, 2.0 / 3);
  EXPECT_DOUBLE_EQ(found.modules[0].recall, 1);
  EXPECT_DOUBLE_EQ(found.modules[0].f1, 0.8);
  EXPECT_DOUBLE_EQ(found.modules[0].auc, 5.5 / 6);
  // Module 1 says yes to 1, 3 and 4, of which 1 is its own: 0.75 against -0.25, -0.25, 0.75 and 1.75.
  EXPECT_DOUBLE_EQ(found.modules[1].precision, 1.0 / 3);
  EXPECT_DOUBLE_EQ(found.modules[1].f1, 0.5);
  EXPECT_DOUBLE_EQ(found.modules[1].auc, 2.5 / 4);
  EXPECT_DOUBLE_EQ(found.modules[2].f1, 1);
  EXPECT_DOUBLE_EQ(found.modules[2].auc, 1);
}

TEST_F(EvaluateClasses, MeasuresAModelByItself) {
  const at::Tensor outputs = outputs_for(original_, data_, test_.samples);
  const ModelMeasures found = measure(outputs, OutputKind::logits, Task::classification, test_);
  EXPECT_DOUBLE_EQ(found.score, 0.6);
  expect_counts(found.confusion, {1, 1, 0, 0, 1, 0, 0, 1, 1});
  EXPECT_DOUBLE_EQ(found.classes[1].precision, 1.0 / 3);
  EXPECT_DOUBLE_EQ(found.classes[2].recall, 0.5);
}

/// A module for classes 0 and 1 with the log-odds of modules 0 and 1 of EvaluateClasses, and module 2.
class EvaluateSets : public EvaluateClasses {
 protected:
  Evaluation run_sets() const {
    return evaluate_programs(original_, {{test::some({0, 1}), &pair_}, {test::one(2), &modules_[2]}},
                             OutputKind::logits, Task::classification, test_);
  }

  const Program pair_ = linear({0, 0, 0, 2, 0, 0, 0, 1, 0}, {0, -1.5, -1.25}, 3);
};

TEST_F(EvaluateSets, CombinesTheColumnsOfAllModules) {
  const Evaluation found = run_sets(), expected = run({0, 1, 2});
  EXPECT_EQ(found.samples, 5);
  EXPECT_DOUBLE_EQ(found.original.score, 0.6);
  EXPECT_DOUBLE_EQ(found.combined.score, 0.8);
  EXPECT_DOUBLE_EQ(found.agreement, expected.agreement);
  EXPECT_TRUE(at::equal(found.combined.confusion, expected.combined.confusion));
  EXPECT_TRUE(at::equal(found.original.confusion, expected.original.confusion));
}

TEST_F(EvaluateSets, MeasuresTheModuleOfASetInTellingItsClassesAndOthers) {
  // The set decides 0, 1, none, 1, 1, of which the fourth, of class 0, and the fifth, of class 2, are wrong.
  const Evaluation found = run_sets();
  ASSERT_EQ(found.modules.size(), 2U);
  EXPECT_DOUBLE_EQ(found.score(0), 0.6);
  EXPECT_DOUBLE_EQ(found.headline(0), (0.5 + 1 + 0.5) / 3);
  ASSERT_EQ(found.modules[0].classes.size(), 2U);
  EXPECT_DOUBLE_EQ(found.modules[0].classes[0].precision, 1);
  EXPECT_DOUBLE_EQ(found.modules[0].classes[0].recall, 0.5);
  EXPECT_DOUBLE_EQ(found.modules[0].classes[1].precision, 1.0 / 3);
  EXPECT_DOUBLE_EQ(found.modules[0].classes[1].recall, 1);
  EXPECT_DOUBLE_EQ(found.score(1), 1);
  EXPECT_DOUBLE_EQ(found.headline(1), 1);
}

TEST_F(EvaluateSets, AskTheOriginalWhatTheyAskEachModule) {
  // It says 0, 1, 2, 1, 1: as the set does but for the third, which is none of the set's either.
  const Evaluation found = run_sets();
  ASSERT_EQ(found.originals.size(), 2U);
  EXPECT_DOUBLE_EQ(found.originals[0].accuracy, 0.6);
  EXPECT_DOUBLE_EQ(found.original_headline(0), (0.5 + 1 + 0.5) / 3);
  ASSERT_EQ(found.originals[0].classes.size(), 2U);
  EXPECT_DOUBLE_EQ(found.originals[0].classes[0].recall, 0.5);
  EXPECT_DOUBLE_EQ(found.originals[1].accuracy, 0.8);
  EXPECT_DOUBLE_EQ(found.original_headline(1), 0.75);
}

TEST_F(EvaluateSets, TakeASetForAllThatItsModuleHas) {
  // One module, of several columns: together they are a classifier of the samples of its classes, 0, 1 and 3.
  const Evaluation found =
      evaluate_programs(original_, {{test::some({0, 1}), &pair_}}, OutputKind::logits, Task::classification, test_);
  EXPECT_EQ(found.samples, 3);
  EXPECT_EQ(found.test_samples, 5);
  EXPECT_DOUBLE_EQ(found.combined.score, 2.0 / 3);
  EXPECT_DOUBLE_EQ(found.original.score, 2.0 / 3);
  EXPECT_DOUBLE_EQ(found.score(0), 0.6);  // on all samples
}

TEST_F(EvaluateSets, TakeModulesThatKeptAllOutputs) {
  // Log-odds against class 2 alone: 3, 1, -2, 1, -1 and 1, 2, -1, 2, 2. The set decides 0, 1, none, 1, 1.
  const Evaluation found =
      evaluate_programs(original_, {{test::some({0, 1}), &original_, /*own_head=*/false}, {test::one(2), &modules_[2]}},
                        OutputKind::logits, Task::classification, test_);
  EXPECT_DOUBLE_EQ(found.score(0), 0.6);
  // Beside -0.125, -0.125, 3.875, -0.125 and 1.875: 0, 1, 2, 1, 1.
  EXPECT_DOUBLE_EQ(found.combined.score, 0.6);
}

TEST_F(EvaluateClasses, ScalesTheInput) {
  data_.input = data_.input[0].mul(4).to(at::kByte);
  data_.input_scale = 0.25;
  const Evaluation found = run({0, 1, 2});
  EXPECT_DOUBLE_EQ(found.combined.score, 0.8);
  EXPECT_DOUBLE_EQ(found.score(1), 0.6);
}

TEST_F(EvaluateClasses, TakesModulesThatKeptAllOutputs) {
  // With the original's own head a module has all columns: here each is the original itself, so together they are too.
  // Log-odds of a column against both others are positive where exp(own) > exp(a) + exp(b):
  //   (3, 1, 0): 20.1 > 3.7, class 0. (1, 2, 0): 7.4 > 3.7, class 1. (0, 1, 2): 7.4 > 3.7, class 2. (0, 3, 1): class 1.
  std::vector<TestedModule> modules;
  for (const OutputSet& one : test::each({0, 1, 2}))
    modules.push_back({one, &original_, /*own_head=*/false});
  const Evaluation found = evaluate_programs(original_, modules, OutputKind::logits, Task::classification, test_);
  EXPECT_DOUBLE_EQ(found.original.score, 0.6);
  EXPECT_DOUBLE_EQ(found.combined.score, 0.6);
  EXPECT_DOUBLE_EQ(found.score(0), 0.8);  // says no to the fourth
  EXPECT_DOUBLE_EQ(found.score(1), 0.6);  // says yes to the fourth and the fifth
  EXPECT_DOUBLE_EQ(found.score(2), 0.8);  // says no to the fifth
}

TEST(EvaluateTwoClasses, TakesModulesThatKeptAllOutputs) {
  // Of a model with two outputs, [samples, 2] are [class 0, class 1] where a module kept the original's head.
  const Program original = linear({1, 0, 0, 1}, {0, 0}, 2);
  Dataset data;
  data.input = at::tensor({2.0, 1.0, 1.0, 2.0, 0.0, 3.0}, at::kFloat).view({3, 2});
  const TestSet test{&data, at::arange(3, at::kLong), at::tensor({0, 1, 1}, at::kLong), {}};
  const std::vector<TestedModule> modules = {{test::one(0), &original, /*own_head=*/false},
                                             {test::one(1), &original, false}};
  const Evaluation found = evaluate_programs(original, modules, OutputKind::logits, Task::classification, test);
  EXPECT_DOUBLE_EQ(found.original.score, 1);
  EXPECT_DOUBLE_EQ(found.combined.score, 1);
  EXPECT_EQ(found.score(0), 1);
  EXPECT_EQ(found.score(1), 1);
}

TEST(EvaluateProbabilities, CombinesModulesOfDifferentConfidenceByLogOdds) {
  // Module 0 says [0.9, 0.1] for its class (log-odds -2.2), module 1 [0.75, 0.25] (-1.1): class 1, though both say no.
  const std::string source = "def forward(self, x):\n    return torch.softmax(x * 0.0 + self.logits, 1)\n";
  const auto constant = [&](double others, double own) {
    return program_from(source, {{"logits", at::tensor({std::log(others), std::log(own)}, at::kFloat)}},
                        at::zeros({2, 2}));
  };
  const Program zero = constant(0.9, 0.1);
  const Program one = constant(0.75, 0.25);
  const Program original = constant(0.5, 0.5);
  Dataset data;
  data.input = at::zeros({4, 2});
  const TestSet test{&data, at::arange(4, at::kLong), at::tensor({1, 1, 1, 0}, at::kLong), {}};
  const Evaluation found = evaluate_programs(original, {{test::one(0), &zero}, {test::one(1), &one}},
                                             OutputKind::probabilities, Task::classification, test);
  EXPECT_DOUBLE_EQ(found.combined.score, 0.75);
  EXPECT_EQ(found.score(0), 0.75);
  EXPECT_EQ(found.score(1), 0.25);
}

/// Three samples of two outputs; the original gives its input.
class EvaluateValues : public testing::Test {
 protected:
  EvaluateValues() {
    data_.input = at::tensor({0.0, 1.0, 2.0, 3.0, 4.0, 5.0}, at::kFloat).view({3, 2});
    test_.data = &data_;
    test_.samples = at::arange(3, at::kLong);
    test_.values = at::tensor({1.0, 1.0, 2.0, 1.0, 4.0, 9.0}, at::kFloat).view({3, 2});
  }

  Evaluation run(const std::vector<TestedModule>& modules) const {
    return evaluate_programs(original_, modules, OutputKind::logits, Task::regression, test_);
  }

  const Program original_ = linear({1, 0, 0, 1}, {0, 0}, 2);
  const Program own_column_ = linear({0, 1}, {0.5}, 2);           // x₁ + 0.5, one column
  const Program all_columns_ = linear({1, 0, 0, 0}, {2, 77}, 2);  // x₀ + 2 and another
  Dataset data_;
  TestSet test_;
};

TEST_F(EvaluateValues, MeasuresMeanAbsoluteErrorsColumnByColumn) {
  const Evaluation found = run({{one_value(0), &all_columns_, /*own_head=*/false}, {one_value(1), &own_column_}});
  EXPECT_EQ(found.task, Task::regression);
  EXPECT_EQ(found.samples, 3);
  // Original, column 0: |0 - 1| + 0 + 0 = 1; column 1: 0 + |3 - 1| + |5 - 9| = 6. Over 6 values.
  EXPECT_DOUBLE_EQ(found.original.score, 7.0 / 6);
  // Module 0: |2 - 1| + |4 - 2| + |6 - 4| = 5. Module 1: |1.5 - 1| + |3.5 - 1| + |5.5 - 9| = 6.5.
  ASSERT_EQ(found.combined.errors.size(), 2U);
  EXPECT_DOUBLE_EQ(found.score(0), 5.0 / 3);
  EXPECT_DOUBLE_EQ(found.score(1), 6.5 / 3);
  EXPECT_DOUBLE_EQ(found.combined.score, 11.5 / 6);
}

TEST_F(EvaluateValues, MeasuresSquaredErrorsToo) {
  const Evaluation found = run({{one_value(1), &own_column_}});
  // Errors of the module 0.5, 2.5, -3.5, their squares 18.75 together; of the original 0, 2, -4, squares 20. The truth,
  // 1, 1, 9, has a mean of 11/3 and squares about it of 384/9 together.
  EXPECT_DOUBLE_EQ(found.combined.errors[0].rmse, 2.5);
  EXPECT_DOUBLE_EQ(found.combined.errors[0].r2, 1 - 18.75 * 9 / 384);
  EXPECT_DOUBLE_EQ(found.original.errors[0].mae, 2);
  EXPECT_DOUBLE_EQ(found.original.errors[0].rmse, std::sqrt(20.0 / 3));
  EXPECT_DOUBLE_EQ(found.original.errors[0].r2, 1 - 20.0 * 9 / 384);
}

TEST_F(EvaluateValues, MeasuresAModelByItself) {
  const at::Tensor outputs = outputs_for(original_, data_, test_.samples);
  const ModelMeasures found = measure(outputs, OutputKind::other, Task::regression, test_);
  EXPECT_DOUBLE_EQ(found.score, 7.0 / 6);
  ASSERT_EQ(found.errors.size(), 2U);
  EXPECT_DOUBLE_EQ(found.errors[1].mae, 2);
}

TEST_F(EvaluateValues, ComparesWithTheOriginalOnTheSameOutputs) {
  const Evaluation found = run({{one_value(1), &own_column_}});
  EXPECT_DOUBLE_EQ(found.original.score, 2);  // 6 / 3
  EXPECT_DOUBLE_EQ(found.combined.score, 6.5 / 3);
  EXPECT_DOUBLE_EQ(found.score(0), 6.5 / 3);
}

TEST_F(EvaluateValues, MeasuresOnTheSamplesOfTheTestSetOnly) {
  test_.samples = at::tensor({2}, at::kLong);
  const Evaluation found = run({{one_value(1), &own_column_}});
  EXPECT_EQ(found.samples, 1);
  EXPECT_DOUBLE_EQ(found.original.score, 4);
  EXPECT_DOUBLE_EQ(found.combined.score, 3.5);
}

TEST_F(EvaluateValues, GivesAModuleOfASetTheMeansOverItsOutputs) {
  const Program both = linear({1, 0, 0, 1}, {2, 0.5}, 2);  // x₀ + 2 and x₁ + 0.5
  for (const bool own_head : {true, false}) {
    const Evaluation found = run({{test::whole({0, 1}), &both, own_head}});
    ASSERT_EQ(found.module_errors.size(), 1U);
    ASSERT_EQ(found.original_errors.size(), 1U);
    ASSERT_EQ(found.combined.errors.size(), 2U);
    EXPECT_DOUBLE_EQ(found.combined.errors[0].mae, 5.0 / 3);
    EXPECT_DOUBLE_EQ(found.combined.errors[1].mae, 6.5 / 3);
    EXPECT_DOUBLE_EQ(found.score(0), 11.5 / 6);
    EXPECT_DOUBLE_EQ(found.module_errors[0].rmse, (std::sqrt(3.0) + 2.5) / 2);  // squares 1 + 4 + 4
    EXPECT_DOUBLE_EQ(found.module_errors[0].r2, (found.combined.errors[0].r2 + found.combined.errors[1].r2) / 2);
    EXPECT_DOUBLE_EQ(found.original_headline(0), 7.0 / 6);
  }
}

TEST_F(EvaluateValues, GivesOutputsInTheOrderOfTheSamples) {
  const at::Tensor found = outputs_for(original_, data_, at::tensor({2, 0, 2}, at::kLong));
  EXPECT_TRUE(at::equal(found, at::tensor({4.0, 5.0, 0.0, 1.0, 4.0, 5.0}, at::kFloat).view({3, 2}))) << found;
}

TEST_F(EvaluateValues, GivesOutputsOfManyBatches) {
  const at::Tensor samples = at::arange(1500, at::kLong).remainder(3);
  EXPECT_TRUE(at::equal(outputs_for(original_, data_, samples), data_.input[0].index_select(0, samples)));
}

TEST(EvaluateLabels, ComparesEachLabelWithTheOriginals) {
  Dataset data;
  TestSet test;
  test.data = &data;
  test.samples = at::arange(4, at::kLong);
  test.values = at::tensor({1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0}).view({4, 2});
  // As probabilities, the original ranks both labels without a fault; so does the first module, but not the second.
  const at::Tensor original = at::tensor({0.9, 0.8, 0.1, 0.7, 0.3, 0.2, 0.2, 0.1}).view({4, 2});
  const at::Tensor modules = at::tensor({2.0, 3.0, -1.0, -2.0, -3.0, 1.0, -1.0, -4.0}, at::kDouble).view({4, 2});
  const Evaluation found =
      evaluate(original, modules, test::each_value({0, 1}), OutputKind::sigmoid, Task::multilabel, test);
  EXPECT_EQ(found.samples, 4);
  EXPECT_DOUBLE_EQ(found.original.score, 1);
  EXPECT_DOUBLE_EQ(found.original_headline(1), 1);
  EXPECT_DOUBLE_EQ(found.headline(0), 1);
  EXPECT_DOUBLE_EQ(found.headline(1), (1 + 2.0 / 3) / 2);
  EXPECT_DOUBLE_EQ(found.combined.score, (1 + (1 + 2.0 / 3) / 2) / 2);
  EXPECT_DOUBLE_EQ(found.agreement, 6.0 / 8);
}

TEST(EvaluateLabels, TakesTheMeanOverTheLabelsOfASet) {
  Dataset data;
  TestSet test;
  test.data = &data;
  test.samples = at::arange(2, at::kLong);
  test.values = at::tensor({1.0, 0.0, 1.0, 0.0, 1.0, 0.0}).view({2, 3});
  const at::Tensor logits = at::tensor({1.0, 5.0, 2.0, -1.0, -5.0, 3.0}).view({2, 3});
  const Evaluation found = evaluate(logits, logits.index_select(1, at::tensor({1, 2}, at::kLong)).to(at::kDouble),
                                    {test::whole({1, 2})}, OutputKind::label_logits, Task::multilabel, test);
  EXPECT_DOUBLE_EQ(found.headline(0), 0.5);  // both labels rank the wrong sample first
  EXPECT_DOUBLE_EQ(found.headline(0), found.original_headline(0));
  EXPECT_DOUBLE_EQ(found.agreement, 1);
  EXPECT_EQ(found.modules[0].classes.size(), 2U);
}

TEST(EvaluatePositions, CountsThoseWithALabel) {
  Dataset data;
  data.input = at::zeros({1, 1});
  data.positions = at::arange(4, at::kLong).unsqueeze(0);
  TestSet test;
  test.data = &data;
  test.samples = at::zeros({1}, at::kLong);
  test.classes = at::tensor({0, 1, -1, 1}, at::kLong);
  const at::Tensor original = at::tensor({2.0, 1.0, 1.0, 2.0, 5.0, 0.0, 0.0, 1.0}).view({4, 2});
  const at::Tensor modules = at::tensor({2.0, 1.0, 3.0, 2.0, 0.0, 9.0, 0.0, 1.0}, at::kDouble).view({4, 2});
  const Evaluation found =
      evaluate(original, modules, test::each({0, 1}), OutputKind::logits, Task::classification, test);
  EXPECT_EQ(found.positions, 4);
  EXPECT_EQ(found.samples, 3);
  EXPECT_DOUBLE_EQ(found.original.score, 1);
  EXPECT_DOUBLE_EQ(found.combined.score, 2.0 / 3);
  EXPECT_DOUBLE_EQ(mean_iou(found.original), 1);
  EXPECT_DOUBLE_EQ(mean_iou(found.combined), 0.5);  // 1 of 2 for either class
  EXPECT_DOUBLE_EQ(found.combined.classes[0].iou(), 0.5);
}

TEST(OutputsFor, AreThoseAtThePointsOfEachSample) {
  const Program program =
      test::program_from("def forward(self, x):\n    return torch.stack([x, x * 2], 1)\n", {}, at::zeros({2, 5}));
  Dataset data;
  data.input = at::arange(15, at::kFloat).view({3, 5});
  data.positions = at::tensor({0, 4, 1, 2, 3, 3}, at::kLong).view({3, 2});
  const at::Tensor found = outputs_for(program, data, at::tensor({2, 0}, at::kLong));
  EXPECT_TRUE(at::equal(found, at::tensor({13.f, 26.f, 13.f, 26.f, 0.f, 0.f, 4.f, 8.f}).view({4, 2})));
}

}  // namespace
}  // namespace incite
