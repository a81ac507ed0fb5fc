#include "subject/checks.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/expect_error.hpp"
#include "support/output_sets.hpp"

namespace incite {
namespace {

using test::each;
using test::expect_error;

/// Checks samples of these classes, of a model of 15 outputs.
void check_samples(const std::vector<int64_t>& classes, const std::vector<OutputSet>& sets) {
  Dataset data;
  data.file = "data.npz";
  TestSet fit;
  fit.data = &data;
  fit.classes = at::tensor(classes, at::kLong);
  fit.samples = at::arange(fit.classes.size(0), at::kLong);
  check_classes(fit, sets, 15);
}

TEST(CheckClasses, TakesSamplesOfEveryClassOfASetAndOfOthers) {
  EXPECT_NO_THROW(check_samples({0, 1, 2}, each({0, 1, 2})));
  EXPECT_NO_THROW(check_samples({0, 1, 2}, {test::some({0, 2})}));
  EXPECT_NO_THROW(check_samples({0, 1, 2}, {test::whole({0, 1, 2})}));  // there are no others
}

TEST(CheckClasses, NamesAClassWithoutSamples) {
  const std::string message =
      "data.npz: no sample of class 3, so it can't get a module; add some, or pass --outputs present to leave it out";
  expect_error([] { check_samples({0, 1, 2}, each({0, 3})); }, ExitCode::data_mismatch, message);
  expect_error([] { check_samples({0, 1, 2}, {test::some({0, 3})}); }, ExitCode::data_mismatch, message);
}

TEST(CheckClasses, NamesAllClassesWithoutSamples) {
  expect_error(
      [] {
        check_samples({0, 1, 2}, {test::some({0, 7}), test::one(3)});
      },
      ExitCode::data_mismatch,
      "data.npz: no sample of classes 7 and 3, so they can't get modules; add some, or pass --outputs present "
      "to leave them out");
  expect_error(
      [] {
        check_samples({0, 1}, each({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
      },
      ExitCode::data_mismatch,
      "data.npz: no sample of classes 2, 3, 4 and 8 more, so they can't get modules; add some, or pass "
      "--outputs present to leave them out");
}

TEST(CheckClasses, RefusesSamplesOfAModulesClassesAlone) {
  expect_error(
      [] {
        check_samples({2, 2}, each({2}));
      },
      ExitCode::data_mismatch, "data.npz: all samples are of class 2; a module needs samples of other classes too");
  expect_error(
      [] {
        check_samples({2, 5, 2}, {test::some({2, 5})});
      },
      ExitCode::data_mismatch,
      "data.npz: all samples are of classes 2 and 5; a module needs samples of other classes too");
}

/// Checks samples with these labels, of a model of two.
void check_labels(const std::vector<double>& labels) {
  Dataset data;
  data.file = "data.npz";
  TestSet fit;
  fit.data = &data;
  fit.values = at::tensor(labels, at::kFloat).view({-1, 2});
  fit.samples = at::arange(fit.values.size(0), at::kLong);
  check_classes(fit, test::each_value({0, 1}), 2);
}

TEST(CheckClasses, NeedsSamplesWithEachLabelAndWithoutIt) {
  EXPECT_NO_THROW(check_labels({1, 1, 0, 0}));
  expect_error(
      [] {
        check_labels({1, 0, 0, 0});
      },
      ExitCode::data_mismatch,
      "data.npz: no sample of label 1, so it can't get a module; add some, or pass --outputs present to leave "
      "it out");
  expect_error(
      [] {
        check_labels({1, 1, 0, 1});
      },
      ExitCode::data_mismatch, "data.npz: all samples have the label 1; its module needs samples without it too");
}

TEST(ChooseTask, TakesRowsOf0And1ForLabelsWhereTheOutputsCanBeThose) {
  Dataset data;
  data.target = at::tensor({1, 1, 0, 0, 0, 1}).view({2, 3});
  EXPECT_EQ(choose_task({}, data, OutputKind::logits, 3), Task::multilabel);
  EXPECT_EQ(choose_task({}, data, OutputKind::sigmoid, 3), Task::multilabel);
  EXPECT_EQ(choose_task({}, data, OutputKind::other, 3), Task::regression);
  data.target = at::eye(3);
  EXPECT_EQ(choose_task({}, data, OutputKind::sigmoid, 3), Task::classification);
  expect_error([&] { choose_task(Task::multilabel, data, OutputKind::probabilities, 3); }, ExitCode::data_mismatch,
               "--task multilabel: the model's outputs are probabilities; expected logits or a sigmoid, which tell of "
               "each label by itself");
}

}  // namespace
}  // namespace incite
