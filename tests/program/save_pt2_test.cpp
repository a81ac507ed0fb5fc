#include "program/save_pt2.hpp"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "program/executor.hpp"
#include "program/load.hpp"
#include "support/expect_error.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::program_from;

class SavePt2 : public testing::Test {
 protected:
  std::string bytes(const Program& program, const FileAttributes& attributes = {}) const {
    return serialise_pt2(program, x_, attributes, "module");
  }

  Program read_back(const Program& program, const FileAttributes& attributes = {}) const {
    std::ofstream(file_, std::ios::binary) << bytes(program, attributes);
    return load_program(file_, x_);
  }

  void expect_same(const std::string& source) const {
    const Program program = program_from(source, parameters_, x_);
    const Program read = read_back(program);
    const at::NoGradGuard no_grad;
    for (const int64_t samples : {1, 4, 9}) {
      const at::Tensor x = at::arange(samples * 6, at::kFloat).view({samples, 6}).sin();
      EXPECT_TRUE(at::equal(Executor(read)(x), Executor(program)(x))) << samples;
    }
  }

  const test::TempDir folder_;
  const std::filesystem::path file_ = folder_ / "module.pt2";
  const at::Tensor x_ = at::linspace(-1, 1, 18).view({3, 6});
  const test::Parameters parameters_ = {{"a.weight", at::arange(24, at::kFloat).view({4, 6}).cos()},
                                        {"b", at::linspace(1, 2, 4)},
                                        {"running_mean", at::linspace(0, 1, 4)}};
};

TEST_F(SavePt2, GivesTheSameForAnyBatchSize) {
  expect_same("def forward(self, x):\n  return torch.relu(torch.linear(x, self.a.weight, self.b))\n");
}

TEST_F(SavePt2, WritesSizesThatDependOnTheBatch) {
  expect_same(
      "def forward(self, x):\n"
      "  h = torch.linear(x, self.a.weight).view(x.size(0) * 2, 2)\n"
      "  return h.reshape(x.size(0), -1) + torch.zeros([x.size(0) + 1, 1])[1:]\n");
}

TEST_F(SavePt2, WritesListsOfTensorsAndSeveralOutputs) {
  expect_same(
      "def forward(self, x):\n"
      "  first, second = torch.linear(x, self.a.weight).chunk(2, 1)\n"
      "  best = torch.max(x, 1)[0]\n"
      "  return torch.cat([second, first], 1) + best.unsqueeze(1)\n");
}

TEST_F(SavePt2, WritesConstantTensorsOutsideTheStateDict) {
  expect_same(
      "def forward(self, x):\n"
      "  places = torch.tensor([2, 0, 1], device=x.device)\n"
      "  return torch.linear(x, self.a.weight).index_select(1, places)\n");
}

TEST_F(SavePt2, KeepsParametersBuffersAndInputs) {
  const Program program = program_from(
      "def forward(self, x):\n  return torch.linear(x, self.a.weight, self.b) - self.running_mean\n", parameters_, x_);
  const Program read = read_back(program);
  std::map<std::string, bool> buffers;
  for (const Node& node : read.nodes) {
    for (const ValueId id : node.inputs) {
      if (read.is_parameter(id)) buffers[read.value(id).name] = read.value(id).is_buffer;
    }
  }
  EXPECT_THAT(buffers, testing::ElementsAre(testing::Pair("a.weight", false), testing::Pair("b", false),
                                            testing::Pair("running_mean", true)));
  EXPECT_EQ(read.value(read.inputs[0]).name, "x");
  EXPECT_EQ(read.parameter_count(), program.parameter_count());
}

TEST_F(SavePt2, TheSameProgramGivesTheSameBytes) {
  const std::string source = "def forward(self, x):\n  return torch.linear(x, self.a.weight)\n";
  EXPECT_EQ(bytes(program_from(source, parameters_, x_)), bytes(program_from(source, parameters_, x_)));
}

TEST_F(SavePt2, CarriesWhatInciteSaysOfAFile) {
  FileAttributes attributes;
  attributes.identity = R"({"output": 3})";
  attributes.names = {"cat", "\u03d8"};
  attributes.outputs = {3, 5};
  read_back(program_from("def forward(self, x):\n  return torch.linear(x, self.a.weight)\n", parameters_, x_),
            attributes);
  const FileAttributes found = read_attributes(file_);
  EXPECT_EQ(found.identity, attributes.identity);
  EXPECT_EQ(found.names, attributes.names);
  EXPECT_EQ(found.outputs, attributes.outputs);
  EXPECT_EQ(found.parameters, 24);
}

TEST_F(SavePt2, RefusesWhatTorchExportDoesNotKnow) {
  Program program = program_from("def forward(self, x):\n  return torch.linear(x, self.a.weight)\n", parameters_, x_);
  program.nodes.back().op = "prim::unknown";
  const Error error = test::error_of([&] { bytes(program); });
  EXPECT_EQ(error.code(), ExitCode::unsupported);
  EXPECT_THAT(error.what(), testing::AllOf(testing::StartsWith("module: prim::unknown at "),
                                           testing::EndsWith("Pass --format torchscript")));
}

}  // namespace
}  // namespace incite
