#include "units/two_columns.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "program/executor.hpp"
#include "support/expect_error.hpp"
#include "support/script.hpp"
#include "units/output_kind.hpp"

namespace incite {
namespace {

using test::expect_error;
using test::Parameters;
using test::program_from;

struct Case {
  const char* name;
  const char* end;  // what follows the logit z
  OutputKind kind;
};

at::Tensor run(const Program& program, const Batch& batch) {
  const at::NoGradGuard no_grad;
  return Executor(program)(batch);
}

OutputKind kind_of(const Program& program, const Batch& batch) {
  return output_kind(program, analyse(program, sample_values(program, batch)));
}

/// The columns that a program's one logit, or what is made of it, should become; of log-probabilities the
/// probabilities, since float32 has too few digits of a logarithm near 0 to tell the other one by.
at::Tensor expected_of(const at::Tensor& output, OutputKind kind) {
  const at::Tensor one = output.reshape({-1, 1}).to(at::kDouble);
  if (kind == OutputKind::probabilities) return at::cat({1 - one, one}, 1);
  if (kind == OutputKind::log_probabilities) return at::cat({1 - one.exp(), one.exp()}, 1);
  return at::cat({at::zeros_like(one), one}, 1);
}

class TwoColumns : public testing::TestWithParam<Case> {};

TEST_P(TwoColumns, AreTheSameFunctionOverRandomNetworks) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    at::manual_seed(seed);
    const int64_t features = 2 + static_cast<int64_t>(seed % 7);
    const Parameters parameters = {
        {"a.weight", at::randn({5, features})}, {"b.weight", at::randn({1, 5}) * 3}, {"b.bias", at::randn({1})}};
    const at::Tensor x = at::randn({6, features});
    const std::string source =
        "def forward(self, x):\n"
        "  h = torch.relu(torch.linear(x, self.a.weight))\n"
        "  z = torch.linear(h, self.b.weight, self.b.bias)\n"
        "  return " +
        std::string(GetParam().end) + "\n";
    const Program one = program_from(source, parameters, x);
    const at::Tensor output = run(one, x);
    ASSERT_EQ(output.sizes(), at::IntArrayRef({6, 1}));
    const Program two = with_two_columns(one, x.narrow(0, 0, 2), "model.pt");
    const at::Tensor found = run(two, x).to(at::kDouble);
    EXPECT_EQ(kind_of(two, x.narrow(0, 0, 2)), GetParam().kind);
    const at::Tensor expected = expected_of(output, GetParam().kind);
    const at::Tensor compared = GetParam().kind == OutputKind::log_probabilities ? found.exp() : found;
    const double scale = std::max(1.0, expected.abs().max().item<double>());
    EXPECT_LE((compared - expected).abs().max().item<double>(), 1e-6 * scale) << "seed " << seed;
    EXPECT_EQ(run(two, x.narrow(0, 0, 1)).size(0), 1);
    EXPECT_EQ(two.parameter_count(), one.parameter_count() + 6);
    EXPECT_TRUE(run(one, x).equal(output));  // the program itself is left as it was
  }
}

INSTANTIATE_TEST_SUITE_P(
    Ends, TwoColumns,
    testing::Values(Case{"Logit", "z", OutputKind::logits}, Case{"Squeezed", "z.squeeze(1)", OutputKind::logits},
                    Case{"Viewed", "z.view(-1)", OutputKind::logits}, Case{"Selected", "z[:, 0]", OutputKind::logits},
                    Case{"Rectified", "torch.relu(z).squeeze(-1)", OutputKind::logits},
                    Case{"Sigmoid", "torch.sigmoid(z)", OutputKind::probabilities},
                    Case{"SigmoidOfSqueezed", "torch.sigmoid(z.squeeze(1))", OutputKind::probabilities},
                    Case{"SqueezedSigmoid", "torch.sigmoid(z).flatten()", OutputKind::probabilities},
                    Case{"LaidOutTwice", "torch.sigmoid(z.view(-1)).unsqueeze(1)", OutputKind::probabilities},
                    Case{"LogSigmoid", "torch.log_sigmoid(z)", OutputKind::log_probabilities}),
    [](const auto& tested) { return tested.param.name; });

TEST(TwoColumnsOfImages, PassPoolingAndFlattening) {
  at::manual_seed(0);
  const Parameters parameters = {{"a.weight", at::randn({4, 3, 3, 3})}, {"b.weight", at::randn({1, 4, 1, 1})}};
  const at::Tensor x = at::randn({3, 3, 6, 6});
  for (const char* end :
       {"torch.flatten(p, 1)", "torch.sigmoid(p.squeeze())", "p.squeeze(3).squeeze(2)", "p.view(-1)"}) {
    const Program one = program_from(
        "def forward(self, x):\n"
        "  h = torch.relu(torch.conv2d(x, self.a.weight))\n"
        "  p = torch.adaptive_avg_pool2d(torch.relu(torch.conv2d(h, self.b.weight)), [1, 1])\n"
        "  return " +
            std::string(end) + "\n",
        parameters, x);
    const Program two = with_two_columns(one, x.narrow(0, 0, 2), "model.pt");
    const bool sigmoid = std::string(end).find("sigmoid") != std::string::npos;
    const at::Tensor expected = expected_of(run(one, x), sigmoid ? OutputKind::probabilities : OutputKind::logits);
    EXPECT_TRUE(at::allclose(run(two, x).to(at::kDouble), expected, 0, 1e-6)) << end;
  }
}

TEST(TwoColumnsRefused, SayWhatStandsInTheWay) {
  const at::Tensor x = at::ones({2, 3});
  const Parameters parameters = {{"b.weight", at::ones({1, 3})}};
  const auto split = [&](const std::string& source) {
    with_two_columns(program_from("def forward(self, x):\n" + source, parameters, x), x, "model.pt");
  };
  expect_error(
      [&] { split("  return x.sum(1)\n"); }, ExitCode::unsupported,
      "model.pt: its single output tells two classes apart, but can't be split into one output for each: no one "
      "layer makes it. Export a model whose last layer has an output for each class, [N, 2]");
  expect_error(
      [&] { split("  return torch.linear(x * torch.linear(x, self.b.weight), self.b.weight)\n"); },
      ExitCode::unsupported,
      "model.pt: its single output tells two classes apart, but can't be split into one output for each: the layer "
      "that makes it shares its weights with another. Export a model whose last layer has an output for each "
      "class, [N, 2]");
}

}  // namespace
}  // namespace incite
