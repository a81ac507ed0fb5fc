#include "program/load.hpp"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "program/executor.hpp"
#include "program/save.hpp"
#include "support/expect_error.hpp"
#include "support/npz_forge.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::module_with;
using test::TempDir;

/// A model file of its own, with weights a.weight [3, 4] and table [5, 4].
class LoadProgram : public testing::Test {
 protected:
  Program load(const std::string& source, const Batch& batch, const std::string& output = {}) {
    write(source);
    return load_program(file_, batch, output);
  }

  void write(const std::string& source) {
    torch::jit::Module module =
        module_with({{"a", weight_}, {"table", at::arange(20, at::kFloat).view({5, 4}).div(20)}});
    module.define(source);
    module.save(file_.string());
  }

  at::Tensor run(const Program& program, const Batch& batch) const {
    const at::NoGradGuard no_grad;
    return Executor(program)(batch);
  }

  std::vector<std::string> input_names(const Program& program) const {
    std::vector<std::string> names;
    for (const ValueId input : program.inputs)
      names.push_back(program.value(input).name);
    return names;
  }

  const TempDir folder_;
  const std::filesystem::path file_ = folder_ / "model.pt";
  const at::Tensor weight_ = at::arange(12, at::kFloat).view({3, 4}).div(12);
  const at::Tensor x_ = at::linspace(-1, 1, 8).view({2, 4});
};

TEST_F(LoadProgram, GivesEachInputToItsArgument) {
  const Program program =
      load("def forward(self, x, y):\n  return torch.linear(x - 2 * y, self.a)\n", {x_, x_.square()});
  EXPECT_THAT(input_names(program), testing::ElementsAre("x", "y"));
  EXPECT_TRUE(at::allclose(run(program, {x_, x_.square()}), at::linear(x_ - 2 * x_.square(), weight_)));
}

TEST_F(LoadProgram, SavesInputsUnderTheirNames) {
  const Program program =
      load("def forward(self, x, y):\n  return torch.linear(x - 2 * y, self.a)\n", {x_, x_.square()});
  const std::filesystem::path saved = folder_ / "saved.pt";
  std::ofstream(saved, std::ios::binary) << serialise(program);
  const Program read = load_program(saved, {x_, x_.square()});
  EXPECT_THAT(input_names(read), testing::ElementsAre("x", "y"));
  EXPECT_TRUE(at::equal(run(read, {x_, x_.square()}), run(program, {x_, x_.square()})));
}

TEST_F(LoadProgram, GivesArgumentsWithoutAnInputTheirDefaults) {
  const std::string source =
      "def forward(self, x, mask: Optional[Tensor] = None, times: int = 3):\n"
      "  if mask is not None:\n    x = x * mask\n"
      "  return torch.linear(x * times, self.a)\n";
  const Program without = load(source, x_);
  EXPECT_THAT(input_names(without), testing::ElementsAre("x"));
  EXPECT_TRUE(at::allclose(run(without, x_), at::linear(x_ * 3, weight_)));
  const Program with = load(source, {x_, x_});
  EXPECT_TRUE(at::allclose(run(with, {x_, x_}), at::linear(x_ * x_ * 3, weight_)));
}

TEST_F(LoadProgram, KeepsAnInputThatIsNotRead) {
  const Program program = load("def forward(self, x, y):\n  return torch.linear(x, self.a)\n", {x_, x_});
  EXPECT_EQ(program.inputs.size(), 2U);
}

TEST_F(LoadProgram, TakesIntegers) {
  const at::Tensor tokens = at::tensor({0, 4, 1, 1}, at::kLong).view({2, 2});
  const Program program =
      load("def forward(self, x):\n  return torch.linear(torch.embedding(self.table, x).mean(1), self.a)\n", tokens);
  EXPECT_EQ(run(program, tokens).sizes(), at::IntArrayRef({2, 3}));
}

TEST_F(LoadProgram, AcceptsTheFirstBatchThatTheModelRunsOn) {
  const at::Tensor tokens = at::tensor({0, 4, 1, 1}, at::kLong).view({2, 2});
  write("def forward(self, x):\n  return torch.linear(torch.embedding(self.table, x).mean(1), self.a)\n");
  EXPECT_EQ(first_accepted(file_, {tokens.to(at::kFloat), tokens}), 1U);
  EXPECT_EQ(first_accepted(file_, {tokens, tokens.to(at::kFloat)}), 0U);
  // Neither runs: not for their type, but for an index that is not in the table.
  EXPECT_EQ(first_accepted(file_, {tokens.to(at::kFloat), tokens + 1}), 1U);
}

TEST_F(LoadProgram, DropsWhatOnlyOtherOutputsNeed) {
  const std::string source =
      "def forward(self, x):\n"
      "  y = torch.linear(x, self.a)\n"
      "  z = torch.tanh(torch.linear(x, self.table))\n"
      "  return (z, {'y': y, 'relu': torch.relu(y)})\n";
  EXPECT_EQ(load(source, x_, "1.y").nodes.size(), 1U);
  EXPECT_EQ(load(source, x_, "1.relu").nodes.size(), 2U);
  EXPECT_TRUE(at::allclose(run(load(source, x_, "1.relu"), x_), at::linear(x_, weight_).relu()));
  EXPECT_EQ(run(load(source, x_, "0"), x_).size(1), 5);
}

TEST_F(LoadProgram, KnowsDictsByTheirKeys) {
  const Program program = load(
      "def forward(self, x):\n"
      "  d = {'x': x}\n"
      "  d['twice'] = d['x'] * 2\n"
      "  total = x\n"
      "  for key in d.keys():\n    total = total + d[key]\n"
      "  for value in d.values():\n    total = total + value\n"
      "  for key, value in d.items():\n    total = total * len(key)\n"
      "  if 'none' in d:\n    total = total * 1000\n"
      "  return torch.linear(total * len(d), self.a)\n",
      x_);
  // x + (x + 2x) twice, times the keys' lengths 1 and 5, times two entries
  EXPECT_TRUE(at::allclose(run(program, x_), at::linear(x_ * 7 * 5 * 2, weight_)));
}

TEST_F(LoadProgram, SqueezesAxesThatHoldNoSamples) {
  const Program program =
      load("def forward(self, x):\n  return torch.linear(x.unsqueeze(2).unsqueeze(1).squeeze(), self.a)\n", x_);
  const at::Tensor one = x_.narrow(0, 0, 1);
  EXPECT_EQ(run(program, one).sizes(), (std::vector<int64_t>{1, 3}));
  EXPECT_TRUE(at::allclose(run(program, one), at::linear(one, weight_)));
}

TEST_F(LoadProgram, WritesThroughASqueeze) {
  const Program program = load(R"(
def forward(self, x):
  whole = torch.relu(x).unsqueeze(2).unsqueeze(1)
  whole.squeeze()[:, 0] = 1.0
  return torch.linear(whole.flatten(1), self.a)
)",
                               x_);
  at::Tensor expected = at::relu(x_);
  expected.select(1, 0).fill_(1);
  EXPECT_TRUE(at::allclose(run(program, x_), at::linear(expected, weight_)));
}

TEST_F(LoadProgram, RefusesSamplesThatAreNotTreatedOneByOne) {
  const std::string source =
      "def forward(self, x):\n  y = torch.linear(x.unsqueeze(1).squeeze(), self.a)\n  return y - y.mean(0)\n";
  test::expect_error([&] { load(source, x_); }, ExitCode::unsupported,
                     file_.string() +
                         ": one sample alone gives another output than in a batch; incite decomposes "
                         "models that treat samples one by one");
}

}  // namespace
}  // namespace incite
