#include "verbs/compose/join.hpp"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <cmath>
#include <sstream>

#include "program/attributes.hpp"
#include "program/executor.hpp"
#include "program/load.hpp"
#include "support/expect_error.hpp"
#include "support/npz_forge.hpp"
#include "support/output_sets.hpp"
#include "support/random_network.hpp"
#include "support/script.hpp"
#include "units/output_kind.hpp"

namespace incite {
namespace {

using test::expect_error;
using test::module_with;
using test::random_network;
using test::RandomNetwork;
using test::TempDir;

torch::jit::Module read(const std::string& bytes) {
  std::istringstream stream(bytes);
  return torch::jit::load(stream, at::kCPU);
}

/// The output of a module, without fusion by the JIT.
at::Tensor run(torch::jit::Module& module, const at::Tensor& input) {
  const at::NoGradGuard no_grad;
  const torch::jit::GraphOptimizerEnabledGuard off(false);
  return module.forward({input.clone()}).toTensor();
}

std::vector<std::string> keys_of(const torch::jit::Module& module) {
  std::vector<std::string> keys;
  for (const auto& parameter : module.named_parameters())
    keys.push_back(parameter.name);
  for (const auto& buffer : module.named_buffers())
    keys.push_back(buffer.name);
  return keys;
}

/// A module for one column. `output`: which of the original's it is made from; unset: the module has a head of its own.
JoinedModule for_one(const std::filesystem::path& file, const std::string& key, const std::string& name,
                     Column column = Column::of_logits, std::optional<int64_t> output = {}) {
  return {file, key, column, test::one(output.value_or(0)), !output, 0, {{name, output.value_or(0), 0}}};
}

class Join : public testing::Test {
 protected:
  /// A new file with a model whose code is `source`.
  std::filesystem::path write(const std::string& name, const std::string& source,
                              const test::Parameters& parameters = {}) {
    torch::jit::Module module = module_with(parameters);
    module.define(source);
    module.save((folder_ / name).string());
    return folder_ / name;
  }

  /// A file whose outputs are its inputs.
  std::filesystem::path identity() { return write("identity.pt", "def forward(self, x):\n  return x\n"); }

  /// The column computed from a module's outputs.
  at::Tensor column(const at::Tensor& outputs, Column kind, std::optional<int64_t> output = {}) {
    torch::jit::Module joined = read(join({for_one(identity(), "module_0", "0", kind, output)}));
    return run(joined, outputs).select(1, 0);
  }

  const TempDir folder_;
};

TEST_F(Join, OfRandomNetworksGivesWhatEachGivesToTheLastBit) {
  for (uint64_t seed = 0; seed < 60; ++seed) {
    RandomNetwork network = random_network(seed);
    SCOPED_TRACE(testing::Message() << "seed " << seed << "\n" << network.source);
    std::vector<JoinedModule> modules;
    std::vector<torch::jit::Module> alone;
    for (int64_t i = 0; i < 3; ++i) {
      const std::filesystem::path file = folder_ / fmt::format("{}-{}.pt", seed, i);
      network.module().save(file.string());
      alone.push_back(torch::jit::load(file.string()));
      modules.push_back(
          for_one(file, fmt::format("module_{}", i), std::to_string(i), Column::value, i % network.outputs));
      for (auto& [key, tensor] : network.tensors) {
        if (tensor.is_floating_point()) tensor = tensor * 0.9;
      }
    }
    torch::jit::Module joined = read(join(modules));
    const at::Tensor input = network.input(5, seed + 100);
    const at::Tensor found = run(joined, input);
    ASSERT_EQ(found.sizes(), (std::vector<int64_t>{5, 3}));
    for (size_t i = 0; i < modules.size(); ++i) {
      const at::Tensor expected = run(alone[i], input).select(1, modules[i].set.outputs[0]);
      EXPECT_TRUE(found.select(1, static_cast<int64_t>(i)).equal(expected));
    }
  }
}

TEST_F(Join, IsAModelThatLoadsAsAnyOther) {
  const RandomNetwork network = random_network(3, test::NetworkFamily::images);
  network.module().save((folder_ / "a.pt").string());
  test::write_file(folder_ / "joined.pt", join({for_one(folder_ / "a.pt", "module_0", "0", Column::of_logits, 0),
                                                for_one(folder_ / "a.pt", "module_1", "1", Column::of_logits, 1)}));
  const at::Tensor input = network.input(4, 1);
  const Program program = load_program(folder_ / "joined.pt", input);
  torch::jit::Module joined = torch::jit::load((folder_ / "joined.pt").string());
  EXPECT_TRUE(at::allclose(Executor(program)(input), run(joined, input)));
  for (const Value& value : program.values) {
    if (value.kind == Value::Kind::parameter) {
      EXPECT_THAT(value.name, testing::StartsWith("module_"));
    }
  }
}

TEST_F(Join, PutsEachModulesKeysBehindItsOwn) {
  const auto file =
      write("a.pt", "def forward(self, x):\n  return torch.linear(x, self.fc.weight) + self.running_mean\n",
            {{"fc.weight", at::ones({2, 3})}, {"running_mean", at::ones({2})}});
  const torch::jit::Module joined = read(join({for_one(file, "module_3", "3"), for_one(file, "module_4", "4")}));
  EXPECT_THAT(keys_of(joined), testing::UnorderedElementsAre("module_3.fc.weight", "module_3.running_mean",
                                                             "module_4.fc.weight", "module_4.running_mean"));
}

TEST_F(Join, KeepsNamesAndReadableCode) {
  const auto file = identity();
  test::write_file(folder_ / "joined.pt",
                   join({for_one(file, "module_0", "cat"), for_one(file, "module_1", "Ϙ, or \"qoppa\"")}));
  EXPECT_THAT(read_attributes(folder_ / "joined.pt").names, testing::ElementsAre("cat", "Ϙ, or \"qoppa\""));
  EXPECT_THAT(read_attributes(file).names, testing::IsEmpty());
}

TEST_F(Join, TakesNamesOfAnotherKindForNone) {
  torch::jit::Module module = module_with({});
  module.register_attribute("names", c10::IntType::get(), 3);
  module.define("def forward(self, x):\n  return x\n");
  module.save((folder_ / "a.pt").string());
  EXPECT_THAT(read_attributes(folder_ / "a.pt").names, testing::IsEmpty());
}

TEST_F(Join, GivesTheSameBytesForTheSameFiles) {
  const auto file =
      write("a.pt", "def forward(self, x):\n  return torch.linear(x, self.w)\n", {{"w", at::ones({2, 3})}});
  const std::vector<JoinedModule> modules = {for_one(file, "module_0", "0"), for_one(file, "module_1", "1")};
  const std::string bytes = join(modules);
  EXPECT_EQ(join(modules), bytes);
  std::filesystem::create_directory(folder_ / "elsewhere");
  std::filesystem::copy_file(file, folder_ / "elsewhere" / "b.pt");
  const auto moved = folder_ / "elsewhere" / "b.pt";
  EXPECT_EQ(join({for_one(moved, "module_0", "0"), for_one(moved, "module_1", "1")}), bytes);
}

TEST_F(Join, OfModulesOfSeveralInputsGivesEachAll) {
  const auto a = write("a.pt", "def forward(self, image, mask):\n  return image * mask\n");
  const auto b = write("b.pt", "def forward(self, x, y):\n  return x - y\n");
  torch::jit::Module joined =
      read(join({for_one(a, "module_0", "0", Column::value, 1), for_one(b, "module_1", "1", Column::value, 1)}));
  const at::Tensor x = test::normal({4, 2}, 1);
  const at::Tensor y = test::normal({4, 2}, 2);
  const at::Tensor found = joined.forward({x, y}).toTensor();
  EXPECT_TRUE(found.equal(at::stack({(x * y).select(1, 1), (x - y).select(1, 1)}, 1)));
  EXPECT_EQ(joined.get_method("forward").function().getSchema().arguments()[2].name(), "mask");
}

TEST_F(Join, RefusesModulesOfDifferentNumbersOfInputs) {
  const auto a = write("a.pt", "def forward(self, x):\n  return x\n");
  const auto b = write("b.pt", "def forward(self, x, mask):\n  return x * mask\n");
  expect_error(
      [&] {
        join({for_one(a, "module_0", "0"), for_one(b, "module_1", "1")});
      },
      ExitCode::data_mismatch,
      fmt::format("{}: takes 2 inputs (x, mask); expected 1, as for {}. Join modules of models with the same inputs",
                  b.string(), a.string()));
}

TEST_F(Join, RefusesWhatIsNoTorchScript) {
  const std::filesystem::path file = folder_ / "text.pt";
  test::write_file(file, "text");
  expect_error([&] { join({for_one(file, "module_0", "0")}); }, ExitCode::model_file,
               file.string() +
                   ": neither a TorchScript nor a .pt2 file. Export the model with "
                   "torch.jit.script(model.eval()).save(\"model.pt\"), torch.jit.trace(model.eval(), example) or "
                   "torch.export.export(model.eval(), ...)");
}

TEST_F(Join, ConvertsToFloat32) {
  EXPECT_EQ(column(at::ones({3, 2}, at::kDouble), Column::value, 1).scalar_type(), at::kFloat);
}

TEST_F(Join, OfASetGivesItsValuesAndNamesBesideOthers) {
  const auto four = identity();
  const auto twice = write("twice.pt", "def forward(self, x):\n  return x * 2\n");
  const JoinedModule pair{four, "module_pair", Column::value, test::whole({1, 3}), true, 5, {{"a", 1, 0}, {"b", 3, 1}}};
  const JoinedModule rest{
      twice, "module_rest", Column::value, test::whole({0, 2}), false, 5, {{"c", 0, 0}, {"d", 2, 1}}};
  const std::string bytes = join({pair, rest});
  torch::jit::Module joined = read(bytes);
  const at::Tensor x = test::normal({4, 3}, 1);
  // The first has a row for each of its values, the second all of the original's.
  const at::Tensor expected = at::cat({x.narrow(1, 0, 2), 2 * x.index_select(1, at::tensor({0, 2}, at::kLong))}, 1);
  EXPECT_TRUE(at::equal(run(joined, x), expected));
  test::write_file(folder_ / "joined.pt", bytes);
  EXPECT_THAT(read_attributes(folder_ / "joined.pt").names, testing::ElementsAre("a", "b", "c", "d"));
  EXPECT_EQ(joined.attr("outputs").toIntVector(), (std::vector<int64_t>{1, 3, 0, 2}));
}

TEST_F(Join, RunsAModuleOfASetOnce) {
  const auto file = write("noise.pt", "def forward(self, x):\n  return torch.rand_like(x)\n");
  const JoinedModule pair{file, "module_0", Column::value, test::whole({0, 1}), true, 2, {{"a", 0, 0}, {"b", 0, 0}}};
  torch::jit::Module joined = read(join({pair}));
  const at::Tensor found = run(joined, at::zeros({20, 2}));
  EXPECT_TRUE(at::equal(found.select(1, 0), found.select(1, 1)));
}

// ---- Log-odds -----------------------------------------------------------------------------------------------------

struct LogOddsCase {
  const char* name;
  OutputKind kind;
  Column column;
};

class JoinLogOdds : public Join, public testing::WithParamInterface<LogOddsCase> {
 protected:
  /// Outputs of this kind, computed from logits in float32.
  at::Tensor outputs(const at::Tensor& logits) const {
    switch (GetParam().kind) {
      case OutputKind::probabilities:
        return at::softmax(logits, 1);
      case OutputKind::log_probabilities:
        return at::log_softmax(logits, 1);
      case OutputKind::sigmoid:
        return at::sigmoid(logits);
      default:
        return logits;
    }
  }
};

TEST_P(JoinLogOdds, AreThoseThatEvaluateTakes) {
  for (const auto output : {std::optional<int64_t>(), std::optional<int64_t>(0), std::optional<int64_t>(3)}) {
    const at::Tensor made = outputs(4 * test::normal({200, output ? 4 : 2}, 7));
    const at::Tensor expected =
        log_odds(made, GetParam().kind, test::one(output.value_or(0)), /*own_head=*/!output).select(1, 0);
    EXPECT_TRUE(at::allclose(column(made, GetParam().column, output).to(at::kDouble), expected, 1e-5, 1e-5));
  }
}

TEST_P(JoinLogOdds, AreFiniteHoweverSureAModuleIs) {
  const at::Tensor steps = at::linspace(-2000, 2000, 401).unsqueeze(1);
  for (const auto output : {std::optional<int64_t>(), std::optional<int64_t>(1)}) {
    const at::Tensor found = column(outputs(at::cat({-steps, steps}, 1)), GetParam().column, output);
    EXPECT_TRUE(found.isfinite().all().item<bool>());
    EXPECT_TRUE((found.diff() >= 0).all().item<bool>());  // monotonic
    EXPECT_LT(found[0].item<double>(), -30);
    EXPECT_GT(found[400].item<double>(), 30);
  }
}

TEST_P(JoinLogOdds, HaveFiniteGradients) {
  torch::jit::Module joined = read(join({for_one(identity(), "module_0", "0", GetParam().column),
                                         for_one(identity(), "module_1", "1", GetParam().column, 1)}));
  const at::Tensor logits = at::tensor({0.0F, 1.0F, -300.0F, 300.0F, 20.0F, -20.0F}).view({3, 2}).requires_grad_();
  joined.forward({outputs(logits)}).toTensor().sum().backward();
  EXPECT_TRUE(logits.grad().isfinite().all().item<bool>());
  EXPECT_TRUE((logits.grad()[0] != 0).all().item<bool>());
}

/// A module of a set with all its columns. `outputs`: how many the original has.
JoinedModule for_set(const std::filesystem::path& file, Column column, const OutputSet& set, bool own_head,
                     int64_t outputs) {
  JoinedModule module{file, "module_0", column, set, own_head, outputs, {}};
  for (int64_t place = 0; place < set.size(); ++place) {
    const int64_t label = set.outputs[static_cast<size_t>(place)];
    module.columns.push_back({std::to_string(label), label, place});
  }
  return module;
}

TEST_P(JoinLogOdds, OfASetAreThoseThatEvaluateTakes) {
  for (const OutputSet& set : {test::some({1, 3}), test::some({0, 1, 4}), test::whole({0, 1, 2, 3, 4})}) {
    for (const bool own_head : {true, false}) {
      const at::Tensor made = outputs(4 * test::normal({200, own_head ? set.rows() : 5}, 7));
      torch::jit::Module joined = read(join({for_set(identity(), GetParam().column, set, own_head, 5)}));
      const at::Tensor found = run(joined, made).to(at::kDouble);
      const at::Tensor expected = log_odds(made, GetParam().kind, set, own_head);
      EXPECT_EQ(found.sizes(), expected.sizes());
      EXPECT_TRUE(at::allclose(found, expected, 1e-5, 1e-5)) << set.name << ", own head " << own_head;
    }
  }
}

TEST_P(JoinLogOdds, OfASetAreFiniteHoweverSureItsModuleIs) {
  const at::Tensor steps = at::linspace(-2000, 2000, 401).unsqueeze(1);
  const at::Tensor made = outputs(at::cat({-steps, steps, steps / 2}, 1));
  for (const OutputSet& set : {test::some({1, 2}), test::whole({0, 1, 2})}) {
    for (const bool own_head : {true, false}) {
      torch::jit::Module joined = read(join({for_set(identity(), GetParam().column, set, own_head, 3)}));
      EXPECT_TRUE(run(joined, made).isfinite().all().item<bool>()) << set.name << ", own head " << own_head;
    }
  }
}

TEST_P(JoinLogOdds, OfSomeColumnsOfASetAreThoseOfTheWhole) {
  for (const bool own_head : {true, false}) {
    const OutputSet set = test::some({1, 2, 4});
    const at::Tensor made = outputs(4 * test::normal({50, own_head ? 4 : 5}, 7));
    JoinedModule module = for_set(identity(), GetParam().column, set, own_head, 5);
    torch::jit::Module all = read(join({module}));
    std::swap(module.columns[0], module.columns[2]);
    module.columns.pop_back();
    torch::jit::Module some = read(join({module}));
    const at::Tensor expected = run(all, made).index_select(1, at::tensor({2, 1}, at::kLong));
    EXPECT_TRUE(at::equal(run(some, made), expected)) << "own head " << own_head;
    module.columns.pop_back();
    torch::jit::Module last = read(join({module}));
    EXPECT_TRUE(at::equal(run(last, made), expected.narrow(1, 0, 1))) << "own head " << own_head;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Kinds, JoinLogOdds,
    testing::Values(LogOddsCase{"Logits", OutputKind::logits, Column::of_logits},
                    LogOddsCase{"LogProbabilities", OutputKind::log_probabilities, Column::of_logits},
                    LogOddsCase{"Probabilities", OutputKind::probabilities, Column::of_probabilities},
                    LogOddsCase{"Sigmoid", OutputKind::sigmoid, Column::of_sigmoid}),
    [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace incite
