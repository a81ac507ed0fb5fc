#include "program/recurrent.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <gtest/gtest.h>

#include <functional>

#include "program/executor.hpp"
#include "support/random_network.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

/// Looks at each recurrent node of random networks with the values that it reads.
int64_t for_recurrent_nodes(const std::function<void(const RecurrentLayer&, const std::vector<c10::IValue>&,
                                                     const std::vector<c10::IValue>&)>& look) {
  const at::NoGradGuard no_grad;
  int64_t found = 0;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const test::RandomNetwork network = test::random_network(seed);
    if (network.source.find("torch.lstm") == std::string::npos &&
        network.source.find("torch.gru") == std::string::npos && network.source.find("torch.rnn") == std::string::npos)
      continue;
    SCOPED_TRACE(::testing::Message() << "seed " << seed << "\n" << network.source);
    const test::TempDir folder;
    network.module().save((folder / "model.pt").string());
    const at::Tensor input = network.input(3, seed);
    const Program program = load_program(folder / "model.pt", input);
    const Executor executor(program);
    Environment environment = executor.start(input);
    for (size_t n = 0; n < program.nodes.size(); ++n) {
      const Node& node = program.nodes[n];
      executor.run_node(environment, static_cast<NodeId>(n));
      const std::optional<RecurrentLayer> layer = recurrent_of(program, node);
      if (!layer) continue;
      std::vector<c10::IValue> inputs, outputs;
      for (const ValueId id : node.inputs)
        inputs.push_back(environment[at_index(id)]);
      for (const ValueId id : node.outputs)
        outputs.push_back(environment[at_index(id)]);
      look(*layer, inputs, outputs);
      ++found;
    }
  }
  return found;
}

TEST(RecurrentLayers, RunByStepsAsPyTorchRunsThem) {
  const int64_t found = for_recurrent_nodes([](const RecurrentLayer& layer, const auto& inputs, const auto& outputs) {
    const at::Tensor made = outputs[0].toTensor();
    const std::vector<at::Tensor> by_steps = run_by_steps(layer, inputs, at::zeros_like(made));
    ASSERT_EQ(by_steps.size(), outputs.size());
    for (size_t i = 0; i < outputs.size(); ++i)
      EXPECT_TRUE(at::allclose(by_steps[i], outputs[i].toTensor(), 1e-4, 1e-5));
  });
  EXPECT_GE(found, 20);
}

}  // namespace
}  // namespace incite
