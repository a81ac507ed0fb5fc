#include "incite/inspect.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "data/npz_writer.hpp"
#include "incite/decompose.hpp"
#include "support/expect_error.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::error_of;
using test::random_normal;

/// A model and data that decompose would take, until a test spoils them.
class Inspect : public testing::Test {
 protected:
  Inspect() {
    write_model("torch.linear(torch.relu(torch.linear(x, self.a.weight)), self.b.weight)");
    write_data(at::arange(60, at::kLong).remainder(3));
    options_.model = folder_ / "model.pt";
    options_.data.file = folder_ / "data.npz";
    options_.out = folder_ / "out";
  }

  void write_model(const std::string& result) {
    torch::jit::Module module =
        test::module_with({{"a.weight", random_normal({8, 4}, 1)}, {"b.weight", random_normal({3, 8}, 2)}});
    module.define("def forward(self, x):\n    return " + result + "\n");
    module.save((folder_ / "model.pt").string());
  }

  void write_data(const at::Tensor& target) {
    const at::Tensor x = random_normal({target.size(0), 4}, 3);
    test::write_file(folder_ / "data.npz", to_npz({{"x", x.to(at::kDouble)}, {"y", target}}));
  }

  /// Inspect must say what decompose does: the same error, to the letter.
  void expect_the_same_refusal(ExitCode code) {
    const Inspection inspection = inspect(options_);
    ASSERT_TRUE(inspection.refusal.has_value());
    EXPECT_EQ(static_cast<int>(inspection.refusal->code()), static_cast<int>(code));
    const Error error = error_of([&] { decompose(options_); });
    EXPECT_STREQ(error.what(), inspection.refusal->what());
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code));
  }

  test::TempDir folder_;
  DecomposeOptions options_;
};

TEST_F(Inspect, PromisesWhatDecomposeThenDoes) {
  const Inspection inspection = inspect(options_);
  EXPECT_FALSE(inspection.refusal.has_value());
  EXPECT_EQ(inspection.parameters, 4 * 8 + 8 * 3);
  EXPECT_EQ(decompose(options_).modules.size(), 3U);
}

TEST_F(Inspect, RefusesAsDecomposeDoesAClassWithoutSamples) {
  write_data(at::arange(60, at::kLong).remainder(2));
  expect_the_same_refusal(ExitCode::data_mismatch);
}

TEST_F(Inspect, RefusesAsDecomposeDoesOneSample) {
  write_data(at::zeros({1}, at::kLong));
  expect_the_same_refusal(ExitCode::data_mismatch);
}

TEST_F(Inspect, RefusesAsDecomposeDoesLabelsOutOfRange) {
  write_data(at::arange(60, at::kLong));
  expect_the_same_refusal(ExitCode::data_mismatch);
}

TEST_F(Inspect, RefusesAsDecomposeDoesAnOutputThatIsNotThere) {
  options_.outputs = {7};
  expect_the_same_refusal(ExitCode::usage);
}

TEST_F(Inspect, RefusesAsDecomposeDoesAModelWithoutAUnitToRemove) {
  write_model("torch.linear(torch.softmax(torch.linear(x, self.a.weight), 1), self.b.weight)");
  expect_the_same_refusal(ExitCode::unsupported);
}

TEST_F(Inspect, RefusesAsDecomposeDoesOutputsThatNoHeadCanGive) {
  write_model("torch.tanh(torch.linear(torch.relu(torch.linear(x, self.a.weight)), self.b.weight))");
  expect_the_same_refusal(ExitCode::unsupported);
}

TEST_F(Inspect, PromisesWhatDecomposeThenDoesForSets) {
  options_.modules = {{{2, 0}, "even", true}, {{1}, "odd", true}};
  const Inspection inspection = inspect(options_);
  EXPECT_FALSE(inspection.refusal.has_value());
  const Decomposition found = decompose(options_);
  ASSERT_EQ(found.modules.size(), 2U);
  EXPECT_EQ(found.modules[0].file, "module-even.pt");
  EXPECT_EQ(found.modules[0].set.outputs, (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(found.modules[1].file, "module-odd.pt");
  EXPECT_EQ(found.modules[1].set.outputs, (std::vector<int64_t>{1}));
}

TEST_F(Inspect, PromisesAModuleForAllOutputs) {
  options_.modules = {{{}, "all", true}};
  EXPECT_FALSE(inspect(options_).refusal.has_value());
  const Decomposition found = decompose(options_);
  ASSERT_EQ(found.modules.size(), 1U);
  EXPECT_EQ(found.modules[0].set.outputs, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_FALSE(found.modules[0].set.others);
}

TEST_F(Inspect, TakesOfSetsTheOutputsThatAreChosen) {
  options_.outputs = {0, 1};
  options_.modules = {{{0, 2}, "even", true}, {{1}, "odd", true}};
  EXPECT_FALSE(inspect(options_).refusal.has_value());
  const Decomposition found = decompose(options_);
  ASSERT_EQ(found.modules.size(), 2U);
  EXPECT_EQ(found.modules[0].set.outputs, (std::vector<int64_t>{0}));
  EXPECT_EQ(found.modules[0].set.name, "even");
}

TEST_F(Inspect, WarnsOfOutputsThatPresentLeavesOut) {
  write_data(at::arange(60, at::kLong).remainder(2));
  options_.present = true;
  const Inspection inspection = inspect(options_);
  EXPECT_FALSE(inspection.refusal.has_value());
  EXPECT_EQ(inspection.warnings.back(), "there are no samples of class 2, so 1 of 3 outputs get no module");
  const Decomposition found = decompose(options_);
  ASSERT_EQ(found.modules.size(), 2U);
  EXPECT_EQ(found.modules[1].set.outputs, (std::vector<int64_t>{1}));
}

TEST_F(Inspect, RefusesAsDecomposeDoesSetsThatDoNotFitTheModel) {
  const auto refused = [&](const std::vector<OutputSet>& sets, const std::string& message) {
    options_.modules = sets;
    expect_the_same_refusal(ExitCode::usage);
    EXPECT_STREQ(inspect(options_).refusal->what(), message.c_str());
  };
  refused({{{0, 3}, "a", true}}, "--modules a: the model has outputs 0 to 2; found 3");
  refused({{{0, 1}, "a", true}, {{1, 2}, "b", true}},
          "--modules: output 1 is in a and in b; expected each output in one set");
  options_.outputs = {0, 1};
  refused({{{0}, "a", true}, {{2}, "b", true}}, "--modules b: --outputs names none of its outputs; leave the set out");
}

}  // namespace
}  // namespace incite
