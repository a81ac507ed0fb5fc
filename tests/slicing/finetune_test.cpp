#include "slicing/finetune.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "program/executor.hpp"
#include "support/output_sets.hpp"
#include "support/parameters.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::each;
using test::program_from;
using test::random_normal;

constexpr int64_t sample_count = 1200;

const char* const forward =
    "def forward(self, x):\n"
    "    x = torch.relu(torch.linear(x, self.a.weight, self.a.bias))\n"
    "    x = torch.batch_norm(x, self.norm.weight, self.norm.bias, self.running_mean, self.running_var, False, 0.1, "
    "1e-5, True)\n"
    "    return torch.linear(x, self.head.weight, self.head.bias)\n";

/// Modules with random weights for three classes, which lie in different directions. `rows`: of each module's head.
struct Untrained {
  explicit Untrained(const std::vector<int64_t>& rows = {2, 2, 2}) {
    data.input = random_normal({sample_count, 6}, 1);
    classes = at::arange(sample_count, at::kLong).remainder(3);
    data.input.inputs[0].narrow(1, 0, 3).add_(at::one_hot(classes, 3).to(at::kFloat) * 2);
    for (size_t m = 0; m < rows.size(); ++m) {
      const uint64_t seed = 10 * m;
      modules.push_back(program_from(forward,
                                     {{"a.weight", random_normal({8, 6}, seed + 1) * 0.4},
                                      {"a.bias", random_normal({8}, seed + 2) * 0.1},
                                      {"norm.weight", at::ones({8})},
                                      {"norm.bias", at::zeros({8})},
                                      {"running_mean", at::full({8}, 0.1)},
                                      {"running_var", at::full({8}, 0.9)},
                                      {"head.weight", random_normal({rows[m], 8}, seed + 3) * 0.4},
                                      {"head.bias", at::zeros({rows[m]})}},
                                     data.batch(0, 4, at::kCPU)));
    }
    set.data = &data;
    set.train = at::arange(900, at::kLong);
    set.validation = at::arange(900, sample_count, at::kLong);
    set.classes = classes;
    set.original = at::one_hot(classes.narrow(0, 0, 900), 3).to(at::kFloat) * 0.85 + 0.05;
  }

  /// A module for each output.
  static std::vector<OutputSet> sets_of(const std::vector<int64_t>& outputs, Task task) {
    return task == Task::classification ? each(outputs) : test::each_value(outputs);
  }

  FinetuneResult train(int64_t epochs, int64_t workers = 1, Task task = Task::classification) {
    FinetuneParams params;
    params.epochs = epochs;
    params.learning_rate = 1e-2;
    params.workers = workers;
    return finetune(modules, sets_of({0, 1, 2}, task), OutputKind::logits, task, set, params);
  }

  /// The loss on the validation samples.
  double loss(const std::vector<int64_t>& outputs = {0, 1, 2}, Task task = Task::classification) const {
    std::vector<Program> copies = modules;
    FinetuneParams params;  // no epoch
    params.trials = 0;
    return finetune(copies, sets_of(outputs, task), OutputKind::logits, task, set, params).losses.front();
  }

  double combined_accuracy() const {
    const at::NoGradGuard no_grad;
    std::vector<at::Tensor> columns;
    for (const Program& module : modules)
      columns.push_back(
          log_odds(Executor(module)(data.batch(0, sample_count, at::kCPU)), OutputKind::logits, test::one(0), true));
    return (at::cat(columns, 1).argmax(1) == classes).narrow(0, 900, 300).to(at::kDouble).mean().item<double>();
  }

  Dataset data;
  at::Tensor classes;
  std::vector<Program> modules;
  FinetuneData set;
};

std::vector<at::Tensor> tensors_of(const Program& program, bool buffers) {
  std::vector<at::Tensor> tensors;
  for (const Value& value : program.values) {
    if (value.kind == Value::Kind::parameter && value.is_buffer == buffers) tensors.push_back(value.content.toTensor());
  }
  return tensors;
}

TEST(Finetune, MakesModulesBetterTogether) {
  Untrained untrained;
  const double before = untrained.combined_accuracy();
  const FinetuneResult result = untrained.train(5);
  EXPECT_GT(untrained.combined_accuracy(), before + 0.2);
  ASSERT_EQ(result.losses.size(), 6);
  EXPECT_LT(untrained.loss(), result.losses[0]);
}

TEST(Finetune, LowersARateThatSpoilsWhatIsGoodAlready) {
  Untrained tried, untried;
  const double good = tried.train(3).losses.back();
  EXPECT_EQ(untried.train(3).losses.back(), good);
  FinetuneParams params;
  params.epochs = 1;
  params.learning_rate = 1;
  params.tolerance = 1.05;  // below what such a rate does to these modules
  const auto last_loss = [&](Untrained& modules) {
    return finetune(modules.modules, each({0, 1, 2}), OutputKind::logits, Task::classification, modules.set, params)
        .losses.back();
  };
  EXPECT_LT(last_loss(tried), 1.1 * good);
  params.trials = 0;
  EXPECT_GT(last_loss(untried), 1.5 * good);
}

/// That heads eight times as large, which a calibration undoes, change the losses only if they are not calibrated.
void compare_calibrated_losses(Untrained modules, const std::vector<OutputSet>& sets) {
  FinetuneParams params;
  params.epochs = 5;
  params.learning_rate = 1e-2;
  finetune(modules.modules, sets, OutputKind::logits, Task::classification, modules.set, params);
  params.epochs = 1;
  params.trials = 0;
  const auto first_loss = [&] {
    std::vector<Program> copies = modules.modules;
    return finetune(copies, sets, OutputKind::logits, Task::classification, modules.set, params).losses.front();
  };
  const double plain = first_loss();
  params.calibrated = true;
  const double calibrated = first_loss();
  EXPECT_LT(calibrated, plain);
  for (Program& module : modules.modules) {
    for (Value& value : module.values) {
      if (value.name == "head.weight" || value.name == "head.bias") value.content = value.content.toTensor() * 8;
    }
  }
  EXPECT_NEAR(first_loss(), calibrated, 0.01);
  params.calibrated = false;
  EXPECT_GT(first_loss(), 1.5 * plain);
}

TEST(Finetune, ComparesLossesAsCalibrationWillLeaveThem) {
  compare_calibrated_losses(Untrained(), each({0, 1, 2}));
}

TEST(Finetune, ComparesTheLossesOfOneModuleAsCalibrationWillLeaveThem) {
  compare_calibrated_losses(Untrained({3}), {test::whole({0, 1, 2})});
}

/// How often, after fine-tuning, the second of a module's columns is the class that the original finds similar, though
/// with a probability of 1e-3.
double similar_classes_found(double temperature) {
  Untrained untrained({3});
  const at::Tensor classes = untrained.classes.narrow(0, 0, 900);
  const auto share = [&](int64_t next, double probability) {
    return at::one_hot((classes + next).remainder(3), 3).to(at::kFloat) * probability;
  };
  untrained.set.original = share(0, 1 - 1e-3 - 1e-6) + share(1, 1e-3) + share(2, 1e-6);
  FinetuneParams params;
  params.epochs = 20;
  params.learning_rate = 1e-2;
  params.temperature = temperature;
  const at::Tensor columns = finetune(untrained.modules, {test::whole({0, 1, 2})}, OutputKind::logits,
                                      Task::classification, untrained.set, params)
                                 .columns;
  const at::Tensor similar = (untrained.classes.narrow(0, 900, 300) + 1).remainder(3);
  return (columns.argsort(1, true).select(1, 1) == similar).to(at::kDouble).mean().item<double>();
}

TEST(Finetune, LearnsFromSmallProbabilitiesOfTheOriginal) {
  EXPECT_GT(similar_classes_found(FinetuneParams().temperature), 0.6);
  EXPECT_LT(similar_classes_found(1), 0.55);  // by chance: 0.5
}

TEST(Finetune, GoesOnWhileTheHarmThatAHighRateDidIsMadeGood) {
  Untrained good;
  const double before = good.train(5).losses.back();
  FinetuneParams params;
  params.epochs = 12;
  params.learning_rate = 0.3;
  params.trials = 0;
  const FinetuneResult result =
      finetune(good.modules, each({0, 1, 2}), OutputKind::logits, Task::classification, good.set, params);
  for (size_t epoch = 1; epoch <= static_cast<size_t>(params.patience); ++epoch)
    EXPECT_GT(result.losses[epoch], before) << epoch;
  EXPECT_GT(result.losses.size(), static_cast<size_t>(params.patience) + 1);
}

TEST(Finetune, KeepsNoEpochOfTheFirstHalf) {
  Untrained few;
  few.set.train = at::arange(12, at::kLong);
  few.set.original = few.set.original.narrow(0, 0, 12);
  FinetuneParams params;
  params.epochs = 40;
  params.patience = 40;
  params.learning_rate = 5e-2;
  params.trials = 0;
  const FinetuneResult result =
      finetune(few.modules, each({0, 1, 2}), OutputKind::logits, Task::classification, few.set, params);
  const std::vector<double>& losses = result.losses;
  ASSERT_EQ(losses.size(), 41);
  const auto least = std::min_element(losses.begin(), losses.end());
  ASSERT_LE(least - losses.begin(), 20);  // from then on it learns those few by heart
  EXPECT_NEAR(few.loss(), *std::min_element(losses.begin() + 21, losses.end()), 1e-6);
}

TEST(Finetune, ChangesEveryWeightAndNoBuffer) {
  Untrained untrained;
  const Untrained same;
  untrained.train(1);
  for (size_t m = 0; m < 3; ++m) {
    const auto before = tensors_of(same.modules[m], false), after = tensors_of(untrained.modules[m], false);
    ASSERT_EQ(before.size(), 6);
    for (size_t i = 0; i < before.size(); ++i) {
      EXPECT_FALSE(at::equal(before[i], after[i])) << i;
      EXPECT_FALSE(after[i].requires_grad());
    }
    const auto buffers_before = tensors_of(same.modules[m], true), buffers = tensors_of(untrained.modules[m], true);
    ASSERT_EQ(buffers.size(), 2);
    for (size_t i = 0; i < 2; ++i)
      EXPECT_TRUE(at::equal(buffers_before[i], buffers[i]));
  }
}

TEST(Finetune, NeverWritesToTheTensorsThatItWasGiven) {
  Untrained untrained;
  const Untrained same;
  const std::vector<Program> given = untrained.modules;  // shares its tensors
  untrained.train(2);
  for (size_t m = 0; m < 3; ++m) {
    const auto expected = tensors_of(same.modules[m], false), found = tensors_of(given[m], false);
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_TRUE(at::equal(expected[i], found[i])) << i;
  }
}

TEST(Finetune, GivesTheSameForTheSameSeedAndAnyNumberOfWorkers) {
  Untrained one, another;
  one.train(2, 2);
  another.train(2, 3);
  for (size_t m = 0; m < 3; ++m) {
    const auto expected = tensors_of(one.modules[m], false), found = tensors_of(another.modules[m], false);
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_TRUE(at::equal(expected[i], found[i])) << i;
  }
}

TEST(Finetune, KeepsWhatThereWasWhereNothingIsBetter) {
  Untrained untrained;
  untrained.train(6);
  const std::vector<Program> trained = untrained.modules;
  FinetuneParams ruinous;
  ruinous.epochs = 2;
  ruinous.learning_rate = 30;
  finetune(untrained.modules, each({0, 1, 2}), OutputKind::logits, Task::classification, untrained.set, ruinous);
  for (size_t m = 0; m < 3; ++m) {
    const auto expected = tensors_of(trained[m], false), found = tensors_of(untrained.modules[m], false);
    for (size_t i = 0; i < expected.size(); ++i)
      EXPECT_TRUE(at::equal(expected[i], found[i])) << i;
  }
}

TEST(Finetune, LessensARegressionsError) {
  Untrained untrained({1, 1, 1});
  untrained.set.original = at::Tensor();
  untrained.set.values = untrained.data.input[0].narrow(1, 0, 3).square();
  const FinetuneResult result = untrained.train(20, 1, Task::regression);
  EXPECT_LT(untrained.loss({0, 1, 2}, Task::regression), 0.6 * result.losses[0]);
}

/// Fine-tunes modules of sets for three epochs and gives how often their largest column is right in the end.
double accuracy_of_sets(const std::vector<OutputSet>& sets, double teacher) {
  std::vector<int64_t> rows;
  for (const OutputSet& set : sets)
    rows.push_back(set.rows());
  Untrained untrained(rows);
  FinetuneParams params;
  params.epochs = 5;
  params.learning_rate = 1e-2;
  params.teacher = teacher;
  const FinetuneResult result =
      finetune(untrained.modules, sets, OutputKind::logits, Task::classification, untrained.set, params);
  EXPECT_LT(*std::min_element(result.losses.begin(), result.losses.end()), 0.8 * result.losses[0]);
  EXPECT_EQ(result.columns.sizes(), at::IntArrayRef({300, static_cast<int64_t>(outputs_of(sets).size())}));
  const at::Tensor said = at::tensor(outputs_of(sets), at::kLong).index_select(0, result.columns.argmax(1));
  return (said == untrained.classes.narrow(0, 900, 300)).to(at::kDouble).mean().item<double>();
}

TEST(Finetune, MakesASetAndASingleClassBetterTogether) {
  EXPECT_GT(accuracy_of_sets({test::some({0, 2}), test::one(1)}, 0.8), 0.7);
  EXPECT_GT(accuracy_of_sets({test::one(1), test::some({0, 2})}, 0), 0.7);
}

TEST(Finetune, MakesAModuleOfAllClassesBetter) {
  EXPECT_GT(accuracy_of_sets({test::whole({0, 1, 2})}, 0.8), 0.7);
}

TEST(Finetune, LessensTheErrorOfASetOfValues) {
  Untrained untrained({2, 1});
  untrained.set.original = at::Tensor();
  untrained.set.values = untrained.data.input[0].narrow(1, 0, 3).square();
  FinetuneParams params;
  params.epochs = 20;
  params.learning_rate = 1e-2;
  const FinetuneResult result = finetune(untrained.modules, {test::whole({0, 2}), test::one_value(1)},
                                         OutputKind::logits, Task::regression, untrained.set, params);
  EXPECT_LT(*std::min_element(result.losses.begin(), result.losses.end()), 0.6 * result.losses[0]);
}

TEST(Finetune, LearnsForSomeOfTheOutputsAlone) {
  Untrained untrained;
  untrained.modules.resize(2);
  FinetuneParams params;
  params.epochs = 3;
  params.learning_rate = 1e-2;
  const FinetuneResult result =
      finetune(untrained.modules, each({0, 2}), OutputKind::logits, Task::classification, untrained.set, params);
  EXPECT_LT(untrained.loss({0, 2}), 0.8 * result.losses[0]);
}

TEST(Finetune, LearnsNothingFromClassesWithoutAModule) {
  Untrained untrained, relabelled;
  for (Untrained* one : {&untrained, &relabelled})
    one->modules.resize(2);
  FinetuneParams params;
  params.epochs = 1;
  const at::Tensor others = (relabelled.classes.narrow(0, 0, 900) == 1).nonzero().flatten();
  relabelled.set.original = relabelled.set.original.index_fill(0, others, 1.0 / 3);
  const auto train = [&](Untrained& modules) {
    return finetune(modules.modules, each({0, 2}), OutputKind::logits, Task::classification, modules.set, params)
        .losses;
  };
  EXPECT_EQ(train(untrained), train(relabelled));
}

TEST(Finetune, TrainsTailsAlone) {
  Untrained untrained;
  const Untrained same;
  const double before = untrained.combined_accuracy();
  for (const Program& module : untrained.modules) {
    std::optional<Tail> tail =
        find_tail(module, test::parameter_named(module, "head.weight"), untrained.data.batch(0, 4, at::kCPU));
    TailInputs inputs = run_up_to(module, *tail, untrained.data, at::arange(sample_count, at::kLong), 256);
    untrained.set.tails.push_back({*std::move(tail), std::move(inputs)});
  }
  untrained.train(5);
  EXPECT_GT(untrained.combined_accuracy(), before + 0.1);
  for (size_t m = 0; m < 3; ++m) {
    for (size_t i = 0; i < untrained.modules[m].values.size(); ++i) {
      const Value &old = same.modules[m].values[i], &now = untrained.modules[m].values[i];
      if (old.kind != Value::Kind::parameter) continue;
      EXPECT_EQ(at::equal(old.content.toTensor(), now.content.toTensor()), !old.name.starts_with("head")) << old.name;
    }
  }
}

TEST(Finetune, LessensTheLogLossOfLabelsThatHoldAtOnce) {
  Untrained untrained({1, 2});
  untrained.set.values = (untrained.data.input.inputs[0].narrow(1, 0, 3) > 0.5).to(at::kFloat);
  untrained.set.original = untrained.set.values.narrow(0, 0, 900);
  FinetuneParams params;
  params.epochs = 8;
  params.calibrated = true;
  const std::vector<OutputSet> sets = {test::one_value(1), test::whole({0, 2})};
  const FinetuneResult result =
      finetune(untrained.modules, sets, OutputKind::label_logits, Task::multilabel, untrained.set, params);
  EXPECT_LT(result.losses.back(), 0.5 * result.losses.front());
  const at::Tensor truth =
      untrained.set.values.index_select(0, untrained.set.validation).index_select(1, at::tensor({1, 0, 2}, at::kLong));
  EXPECT_GT(((result.columns > 0) == (truth > 0)).to(at::kDouble).mean().item<double>(), 0.85);
}

}  // namespace
}  // namespace incite
