#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>

#include "evaluation/evaluate.hpp"
#include "program/executor.hpp"
#include "program/load.hpp"
#include "program/save.hpp"
#include "scoring/clusters.hpp"
#include "scoring/contributions.hpp"
#include "selection/select.hpp"
#include "slicing/head.hpp"
#include "slicing/repair.hpp"
#include "slicing/slice.hpp"
#include "support/evaluate_programs.hpp"
#include "support/output_sets.hpp"
#include "support/script.hpp"
#include "support/strict_device.hpp"

namespace incite {
namespace {

/// A narrow part with batch norm and pooling, a residual addition, and a view before the head.
constexpr const char* network = R"(
def forward(self, x):
    x = torch.conv2d(x, self.stem.weight, self.stem.bias, [1, 1], [1, 1])
    x = torch.relu(torch.batch_norm(x, self.norm.weight, self.norm.bias, self.running_mean, self.running_var, False, 0.1, 1e-5, False))
    y = torch.relu(torch.conv2d(x, self.inner.weight, self.inner.bias, [1, 1], [1, 1]))
    x = x + torch.conv2d(y, self.outer.weight, self.outer.bias, [1, 1], [1, 1])
    x = torch.flatten(torch.max_pool2d(x, [2, 2]), 1)
    x = torch.tanh(torch.linear(x, self.fc1.weight, self.fc1.bias))
    return torch.linear(x, self.fc2.weight, self.fc2.bias)
)";

constexpr int64_t sample_count = 96;
constexpr int64_t classes = 3;

/// What the stages give on one device.
struct Pipeline {
  explicit Pipeline(at::Device device) {
    const auto generator = at::detail::createCPUGenerator(7);
    const auto random = [&](at::IntArrayRef sizes) { return at::randn(sizes, generator) * 0.5; };
    torch::jit::Module module = test::module_with({{"stem.weight", random({6, 2, 3, 3})},
                                                   {"stem.bias", random({6})},
                                                   {"norm.weight", random({6})},
                                                   {"norm.bias", random({6})},
                                                   {"running_mean", random({6})},
                                                   {"running_var", random({6}).abs() + 0.5},
                                                   {"inner.weight", random({8, 6, 3, 3})},
                                                   {"inner.bias", random({8})},
                                                   {"outer.weight", random({6, 8, 3, 3})},
                                                   {"outer.bias", random({6})},
                                                   {"fc1.weight", random({12, 54})},
                                                   {"fc1.bias", random({12})},
                                                   {"fc2.weight", random({classes, 12})},
                                                   {"fc2.bias", random({classes})}});
    module.define(network);
    const test::TempDir folder;
    module.save((folder / "model.pt").string());
    Dataset data;
    data.input = random({sample_count, 2, 6, 6});
    Program program = load_program(folder / "model.pt", data.batch(0, 4, at::kCPU));
    move(program, device);
    const UnitMap map = analyse(program, sample_values(program, data.batch(0, 2, device)));
    const std::vector<Cluster> clusters =
        cluster_units(program, map, {.method = ClusteringMethod::kmeans, .cluster_size = 2});
    const OutputKind kind = output_kind(program, map);

    ScoringParams params;
    params.stop = StopRule{[](const at::Tensor& worth) { return best_clusters(worth, 0.6); }, 0.9};
    const at::Tensor order = at::arange(sample_count, at::kLong);
    scores = score(program, map, clusters, kind, data, order, params).scores;

    TestSet set;
    set.data = &data;
    set.samples = order;
    set.classes = outputs_for(program, data, order).argmax(1);
    const Selection keep = select(map, clusters, scores, {1}, 0.6);
    Program body = slice(program, map, keep);
    difference = slice_difference(program, map, keep, body, data.batch(0, 8, device));
    repair(program, map, keep, data, order, {}, body);
    const FittableHead place = fittable_head(program, map, Task::classification);
    HeadData fit;
    fit.features = features(body, place, data.batch(0, sample_count, device));
    fit.rows = rows_of_head(set.classes, test::one(1)).to(device);
    Head original;
    original.weight = body.value(place.layer.weight).content.toTensor();
    original.bias = body.value(place.layer.bias).content.toTensor();
    for (const HeadMethod method : {HeadMethod::lbfgs, HeadMethod::adam}) {
      HeadParams how;
      how.method = method;
      how.epochs = 3;
      weights.push_back(fit_classification_head(fit, original, test::one(1), how).weight);
    }
    bytes = serialise(body);
    std::vector<test::TestedModule> modules;
    for (const OutputSet& one : test::each({0, 1, 2}))
      modules.push_back({one, &body, /*own_head=*/false});
    evaluation = test::evaluate_programs(program, modules, kind, Task::classification, set);
  }

  /// As if the program had been loaded there: LibTorch's own loader moves parameters to its own devices only.
  static void move(Program& program, at::Device device) {
    program.device = device;
    for (Value& value : program.values) {
      if (value.content.isTensor() && value.content.toTensor().defined())
        value.content = value.content.toTensor().to(device);
    }
  }

  static at::Tensor features(const Program& body, const FittableHead& place, const Batch& batch) {
    const at::NoGradGuard no_grad;
    const Executor executor(body);
    const NodeId node = body.maker(place.layer.output);
    const auto read = static_cast<size_t>(body.node(node).inputs[0]);
    std::vector<bool> keep(body.values.size(), false);
    keep[read] = true;
    Environment environment = executor.start(batch);
    executor.run(environment, 0, node, keep);
    return place.features(environment[read].toTensor());
  }

  at::Tensor scores;
  double difference = 0;
  std::vector<at::Tensor> weights;
  std::string bytes;
  Evaluation evaluation;
};

TEST(Devices, TheStrictDeviceRefusesTensorsOfTwoDevices) {
  const at::Tensor there = at::ones({2}, at::TensorOptions(test::strict_device()));
  EXPECT_THROW(there + at::ones({2}), c10::Error);
  EXPECT_TRUE(at::equal((there + there.mul(2)).to(at::kCPU), at::full({2}, 3.0)));
}

TEST(Devices, AnotherDeviceGivesWhatTheCpuGives) {
  const Pipeline cpu(at::kCPU);
  const int64_t before = test::strict_device_operations();
  const Pipeline other(test::strict_device());
  EXPECT_GT(test::strict_device_operations() - before, 1000);
  EXPECT_TRUE(at::allclose(cpu.scores, other.scores, 1e-5, 1e-8));
  EXPECT_LE(other.difference, 1e-5);
  for (size_t i = 0; i < cpu.weights.size(); ++i) {
    EXPECT_EQ(other.weights[i].device(), test::strict_device());
    EXPECT_TRUE(at::allclose(cpu.weights[i], other.weights[i].to(at::kCPU), 1e-3, 1e-4)) << i;
  }
  EXPECT_EQ(cpu.bytes.size(), other.bytes.size());
  EXPECT_DOUBLE_EQ(cpu.evaluation.combined.score, other.evaluation.combined.score);
}

}  // namespace
}  // namespace incite
