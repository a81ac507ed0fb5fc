#include "evaluation/result_warnings.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/output_sets.hpp"

namespace incite {
namespace {

TEST(LossWarning, NamesWhatKeepsALossSmall) {
  Evaluation e;
  e.modules.resize(2);
  e.original.score = 0.99;
  e.combined.score = 0.941;
  EXPECT_EQ(loss_warning(e, "do better"), std::nullopt);
  e.combined.score = 0.89;
  EXPECT_EQ(loss_warning(e, "do better"), "the modules together lose 10.00 points of accuracy; do better");
}

TEST(LossWarning, OfOneModuleIsByBalancedAccuracy) {
  Evaluation e;
  e.modules = {test::of_one({})};
  e.originals = {test::of_one({})};
  e.originals[0].balanced_accuracy = 0.98;
  e.modules[0].balanced_accuracy = 0.9;
  EXPECT_EQ(loss_warning(e, "do better"), "the module loses 8.00 points of balanced accuracy; do better");
}

TEST(LossWarning, OfARegressionIsByItsError) {
  Evaluation e;
  e.task = Task::regression;
  e.original.score = 0.01;
  e.combined.score = 0.0124;
  EXPECT_EQ(loss_warning(e, "do better"), std::nullopt);
  e.combined.score = 0.0732;
  EXPECT_EQ(loss_warning(e, "do better"), "the modules' mean absolute error is 632 % above the original's; do better");
  e.original.score = 0;  // its own outputs are the targets
  EXPECT_EQ(loss_warning(e, "do better"), std::nullopt);
}

TEST(CompressionWarning, SaysWhatIsReachedAndWhyNoMore) {
  std::vector<ModuleResult> modules(3);
  modules[0].compression = 902.63;
  modules[1].compression = 880;
  modules[2].compression = 5000;
  EXPECT_EQ(
      compression_warning(modules, 5000, Allocation::global),
      "2 of 3 modules reach 880.00x to 902.63x, not 5,000.00x as asked: pinned units, one unit of each layer and the "
      "head must stay; 'incite inspect' lists what is pinned");
  EXPECT_EQ(
      compression_warning({modules[0]}, 5000, Allocation::uniform),
      "the module reaches 902.63x, not 5,000.00x as asked: --allocation uniform keeps a cluster of each group; global "
      "may remove more");
  EXPECT_EQ(compression_warning(modules, 885, Allocation::global), std::nullopt);  // within 1 %
}

TEST(WarningsAfter, NameOnlyOptionsThatAreNotGivenYet) {
  DecomposeOptions options;
  Decomposition result;
  result.evaluation.modules.resize(2);
  result.evaluation.original.score = 0.99;
  result.evaluation.combined.score = 0.89;
  const auto found = [&] { return warnings_after(options, result).back(); };
  const std::string lost = "the modules together lose 10.00 points of accuracy; ";
  EXPECT_EQ(found(), lost + "pass --max-loss, --finetune or a smaller --target-compression");
  options.finetune = 3;
  options.size = Keep{0.6};
  EXPECT_EQ(found(), lost + "pass --max-loss or a larger --keep");
  options.size = MaxLoss{20};
  EXPECT_EQ(found(), lost + "pass a smaller --max-loss");
}

TEST(LossWarning, OfOneModuleForSeveralClassesIsByAccuracy) {
  Evaluation e;
  e.modules.resize(1);
  e.modules[0].classes.resize(2);
  e.originals = e.modules;
  e.original.score = 0.98;
  e.combined.score = 0.9;
  const std::optional<std::string> found = loss_warning(e, "do better");
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->ends_with(" 8.00 points of accuracy; do better")) << *found;
}

TEST(UnmeasuredWarning, NamesTheClassesOfSetsThatHaveNoSamples) {
  Evaluation e;
  e.modules.resize(2);
  e.modules[0].classes.resize(3);
  e.modules[0].classes[1].support = 5;
  e.modules[1] = test::of_one({});
  std::vector<ModuleResult> modules(2);
  modules[0].set = test::some({2, 4, 6});
  modules[1].set = test::one(3);
  EXPECT_EQ(unmeasured_warning(e, modules),
            "the samples to measure on hold none of classes 2, 6, 3, so measures that need them are missing; measure "
            "with 'incite evaluate' on other data, or pass --test");
  e.modules[0].classes[0].support = e.modules[0].classes[2].support = e.modules[1].classes[0].support = 1;
  EXPECT_EQ(unmeasured_warning(e, modules), std::nullopt);
}

}  // namespace
}  // namespace incite
