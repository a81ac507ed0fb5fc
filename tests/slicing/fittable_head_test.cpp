#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "slicing/head.hpp"
#include "support/expect_error.hpp"
#include "support/parameters.hpp"
#include "support/random_normal.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

using test::expect_error;
using test::program_from;
using test::random_normal;

/// The output layer that can be fitted in a model of two linear layers, whose outputs `y` `after` makes what it gives.
std::string fittable_after(const std::string& after, Task task) {
  const at::Tensor input = random_normal({4, 6}, 9);
  const Program program = program_from(
      "def forward(self, x):\n    h = torch.relu(torch.linear(x, self.a.weight, self.a.bias))\n"
      "    y = torch.linear(h, self.b.weight, self.b.bias)\n    return " +
          after + "\n",
      {{"a.weight", random_normal({5, 6}, 1)},
       {"a.bias", random_normal({5}, 2)},
       {"b.weight", random_normal({5, 5}, 3)},
       {"b.bias", random_normal({5}, 4)}},
      input);
  const UnitMap map = analyse(program, sample_values(program, input));
  return fittable_head(program, map, task).layer.name;
}

TEST(FittableHead, IsTheLastLinearLayer) {
  EXPECT_EQ(fittable_after("y", Task::classification), "b");
  EXPECT_EQ(fittable_after("y", Task::regression), "b");
  for (const char* after : {"torch.softmax(y, 1)", "torch.log_softmax(y, 1)", "torch.sigmoid(y)"})
    EXPECT_EQ(fittable_after(after, Task::classification), "b") << after;
  for (const Task task : {Task::classification, Task::regression})
    EXPECT_EQ(fittable_after("torch.relu(y)", task), "b") << to_string(task);
}

TEST(FittableHead, RefusesOperationsAfterItThatAHeadCanNotPass) {
  const std::string start = "a fitted head does not work with the operations after the output layer 'b' (";
  const std::string end = "); use --head original";
  expect_error([] { fittable_after("torch.tanh(y)", Task::classification); }, ExitCode::unsupported,
               start + "other" + end);
  expect_error([] { fittable_after("torch.tanh(y)", Task::regression); }, ExitCode::unsupported, start + "other" + end);
  expect_error([] { fittable_after("torch.sigmoid(y)", Task::regression); }, ExitCode::unsupported,
               start + "sigmoid" + end);
}

TEST(FittableHead, RefusesChannelsThatAnotherLayerShares) {
  expect_error([] { fittable_after("y + h", Task::classification); }, ExitCode::unsupported,
               "the output layer 'b' shares its channels with another layer, so no head can be fitted; use --head "
               "original");
}

/// A model whose last layer `y` computes from `h`, [N, 5, ...], a first layer's output.
struct HeadModel {
  at::Tensor input;
  Program program;
  UnitMap map;

  HeadModel(const std::string& code, at::Tensor x, const at::Tensor& first, const at::Tensor& last)
      : input(std::move(x)),
        program(program_from("def forward(self, x):\n    " + code + "\n",
                             {{"a.weight", first},
                              {"a.bias", random_normal({5}, 2)},
                              {"b.weight", last},
                              {"b.bias", random_normal({3}, 4)}},
                             input)),
        map(analyse(program, sample_values(program, input))) {}

  FittableHead head(Task task = Task::classification) const { return fittable_head(program, map, task); }
};

/// [N, 2, ...] to [N, 3] by two 1x1 convolutions of some dimensions.
HeadModel convolutions(int64_t dimensions, const std::string& after, const std::string& arguments = "",
                       int64_t kernel = 1) {
  std::vector<int64_t> input = {7, 2}, first = {5, 2}, last = {3, 5};
  for (int64_t i = 0; i < dimensions; ++i) {
    input.push_back(4);
    first.push_back(1);
    last.push_back(kernel);
  }
  const std::string code = fmt::format(
      "h = torch.relu(torch.conv{0}d(x, self.a.weight, self.a.bias))\n"
      "    y = torch.conv{0}d(h, self.b.weight, self.b.bias{1})\n    return {2}",
      dimensions, arguments, after);
  return HeadModel(code, random_normal(input, 9), random_normal(first, 1), random_normal(last, 3));
}

/// [N, 4, 2] to [N, 3] by two linear layers.
HeadModel tokens(const std::string& after) {
  return HeadModel(
      "h = torch.relu(torch.linear(x, self.a.weight, self.a.bias))\n"
      "    y = torch.linear(h, self.b.weight, self.b.bias)\n    return " +
          after,
      random_normal({7, 4, 2}, 9), random_normal({5, 2}, 1), random_normal({3, 5}, 3));
}

const std::string squeeze = "torch.adaptive_avg_pool2d(torch.relu(y), [1, 1]).flatten(1)";

TEST(FittableHead, IsAPointwiseConvolutionWithGlobalAveragePooling) {
  EXPECT_EQ(convolutions(1, "y.mean(2)").head().layer.name, "b");
  EXPECT_EQ(convolutions(2, squeeze).head().layer.name, "b");
  EXPECT_EQ(convolutions(2, squeeze).head(Task::regression).relus.size(), 1U);
  EXPECT_EQ(convolutions(3, "torch.log_softmax(y.mean([2, 3, 4]), 1)").head().layer.name, "b");
}

TEST(FittableHead, IsAPointwiseConvolutionOfOnePosition) {
  const HeadModel model(
      "h = torch.relu(torch.conv2d(x, self.a.weight, self.a.bias)).mean([2, 3], True)\n"
      "    return torch.flatten(torch.conv2d(h, self.b.weight, self.b.bias), 1)",
      random_normal({7, 2, 4, 4}, 9), random_normal({5, 2, 1, 1}, 1), random_normal({3, 5, 1, 1}, 3));
  EXPECT_EQ(model.head().layer.name, "b");
}

TEST(FittableHead, IsALinearLayerOverPositionsWithGlobalAveragePooling) {
  EXPECT_EQ(tokens("y.mean(1)").head().layer.name, "b");
  EXPECT_EQ(tokens("torch.relu(y).mean(1)").head(Task::regression).layer.name, "b");
}

TEST(FittableHead, RefusesAnyOtherConvolution) {
  const std::string message =
      "no head can be fitted for the output layer 'b'; expected a linear layer over [samples, features], or a linear "
      "layer or 1x1 convolution whose positions are averaged or are those of the output; use --head original";
  for (const auto& [arguments, kernel] : std::vector<std::pair<std::string, int64_t>>{
           {"", 3}, {", stride=2", 1}, {", padding=1", 1}, {", dilation=2", 1}, {", padding=\"same\"", 1}}) {
    const HeadModel model = convolutions(2, squeeze, arguments, kernel);
    expect_error([&] { model.head(); }, ExitCode::unsupported, message);
  }
}

TEST(FittableHead, RefusesALinearLayerWhoseSamplesMayNotComeFirst) {
  const HeadModel model(
      "h = torch.relu(torch.linear(x.unsqueeze(0), self.a.weight, self.a.bias))\n"
      "    return torch.linear(h, self.b.weight, self.b.bias).squeeze(0)",
      random_normal({7, 2}, 9), random_normal({5, 2}, 1), random_normal({3, 5}, 3));
  expect_error(
      [&] { model.head(); }, ExitCode::unsupported,
      "no head can be fitted for the output layer 'b'; expected a linear layer over [samples, features], or a "
      "linear layer or 1x1 convolution whose positions are averaged or are those of the output; use --head original");
}

/// What the program's last layer reads.
at::Tensor read_by_head(const HeadModel& model) {
  const Executor executor(model.program);
  const NodeId node = model.program.maker(model.head().layer.output);
  const ValueId read = model.program.node(node).inputs[0];
  std::vector<bool> keep(model.program.values.size(), false);
  keep[static_cast<size_t>(read)] = true;
  Environment environment = executor.start(model.input);
  executor.run(environment, 0, node, keep);
  return environment[static_cast<size_t>(read)].toTensor();
}

/// The whole program with a head of `rows` rows in place of its own must give what the head says of its features.
void expect_head_to_be_put(const HeadModel& model, int64_t rows, Task task) {
  const FittableHead head = model.head(task);
  const Head fitted{random_normal({rows, 5}, 20), random_normal({rows}, 21)};
  const at::Tensor features = head.features(read_by_head(model));
  ASSERT_EQ(features.sizes(), at::IntArrayRef({7, 5}));
  at::Tensor expected = at::linear(features, fitted.weight, fitted.bias);
  EXPECT_TRUE((expected < 0).any().item<bool>());
  if (task == Task::regression && !head.relus.empty()) expected = expected.relu();
  Program module = model.program;
  put_head(head, fitted, task, module);
  const at::Tensor found = Executor(module)(model.input);
  EXPECT_TRUE(at::allclose(found, expected, 1e-5, 1e-6)) << found << expected;
  std::vector<int64_t> shape = model.program.value(head.layer.weight).content.toTensor().sizes().vec();
  shape[0] = rows;
  EXPECT_EQ(module.value(head.layer.weight).content.toTensor().sizes(), shape);
}

TEST(PutHead, GivesWhatTheHeadSaysOfAveragedFeatures) {
  for (const char* after : {"y.mean([2, 3])", "torch.relu(y).mean([2, 3])", "torch.relu(y.mean([2, 3]))",
                            "torch.relu(torch.relu(torch.relu(y)).mean([2, 3]))"}) {
    SCOPED_TRACE(after);
    expect_head_to_be_put(convolutions(2, after), 2, Task::classification);
    expect_head_to_be_put(convolutions(2, after), 1, Task::regression);
  }
  expect_head_to_be_put(convolutions(2, squeeze), 2, Task::classification);
  expect_head_to_be_put(convolutions(1, "torch.relu(y).mean(2)"), 2, Task::classification);
  expect_head_to_be_put(tokens("torch.relu(y).mean(1)"), 2, Task::classification);
  expect_head_to_be_put(tokens("y.mean(1)"), 1, Task::regression);
}

TEST(PutHead, LeavesNoReluAfterAClassificationHead) {
  const HeadModel model = convolutions(2, squeeze);
  Program module = model.program;
  put_head(model.head(), {random_normal({2, 5}, 20), random_normal({2}, 21)}, Task::classification, module);
  EXPECT_EQ(std::count_if(module.nodes.begin(), module.nodes.end(), [](const Node& n) { return n.op == "aten::relu"; }),
            1);  // the first layer's
}

TEST(FittableHead, RefusesAModelWithoutAHead) {
  const at::Tensor input = random_normal({2, 3}, 1);
  const Program program = program_from("def forward(self, x):\n    return torch.relu(x)\n", {}, input);
  const UnitMap map = analyse(program, sample_values(program, input));
  expect_error([&] { fittable_head(program, map, Task::regression); }, ExitCode::unsupported,
               "no layer was found whose channels are the model's outputs, so no head can be fitted; use --head "
               "original");
}

TEST(ReplacedHead, IsTheOneThatIsFoundThen) {
  const at::Tensor input = random_normal({4, 6}, 1);
  Program module = program_from(
      "def forward(self, x):\n"
      "    return torch.linear(x, self.head.weight, self.head.bias)\n",
      {{"head.weight", random_normal({2, 6}, 2)}, {"head.bias", random_normal({2}, 3)}}, input);
  Layer layer;
  layer.weight = test::parameter_named(module, "head.weight");
  layer.bias = test::parameter_named(module, "head.bias");
  const Head head{random_normal({2, 6}, 4), random_normal({2}, 5)};
  replace_head(layer, head, module);
  EXPECT_TRUE(head_of(layer, module).weight.equal(head.weight));
  EXPECT_TRUE(head_of(layer, module).bias.equal(head.bias));
  EXPECT_TRUE(at::allclose(Executor(module)(input), at::linear(input, head.weight, head.bias)));
}

}  // namespace
}  // namespace incite
