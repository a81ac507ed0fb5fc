#include "report/dot.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "program/executor.hpp"
#include "subject/analysed_model.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

/// The inspection of a model with this code. Nodes have no sources: these are lines of the code.
Inspection inspection_of(const std::string& code, const test::Parameters& parameters, const at::Tensor& input) {
  Inspection inspection;
  inspection.model = std::make_shared<AnalysedModel>();
  inspection.model->program = test::program_from(code, parameters, input);
  inspection.model->map = analyse(inspection.model->program, sample_values(inspection.model->program, input));
  inspection.kind = output_kind(inspection.model->program, inspection.model->map);
  inspection.outputs = 2;
  for (Node& node : inspection.model->program.nodes)
    node.source = "";
  return inspection;
}

constexpr const char* head =
    "digraph incite {\n"
    "  graph [ranksep=0.3, nodesep=0.2];\n"
    "  node [shape=box, style=filled, fillcolor=white, fontname=\"sans-serif\", fontsize=11];\n"
    "  edge [color=gray35, arrowsize=0.6];\n";

/// How often `part` occurs in a text.
size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

TEST(Dot, DrawsLayersAndTheFlowBetweenThem) {
  const Inspection inspection = inspection_of(
      R"(
def forward(self, x):
    return torch.linear(torch.relu(torch.linear(x, self.a.weight)), self.b.weight)
)",
      {{"a.weight", at::randn({4, 3})}, {"b.weight", at::randn({2, 4})}}, at::randn({2, 3}));
  EXPECT_EQ(to_dot(inspection), std::string(head) +
                                    R"dot(  input0 [label="x", shape=ellipse];
  n0 [label="a\nlinear\n4 removable", fillcolor="0.580 0.28 1.000", tooltip="group 0, "];
  n2 [label="b\nlinear\n2 pinned", fillcolor="gray85", tooltip="group 1, "];
  output [label="output\n2 (logits)", shape=ellipse];
  input0 -> n0;
  n0 -> n2;
  n2 -> output;
}
)dot");
}

TEST(Dot, JoinsWhatComesFromSeveralLayersOnce) {
  const Inspection inspection = inspection_of(
      R"(
def forward(self, x):
    y = torch.linear(x, self.a.weight)
    y = y + torch.relu(torch.linear(y, self.b.weight))
    y = y + torch.relu(torch.linear(y, self.c.weight))
    return torch.linear(y, self.d.weight)
)",
      {{"a.weight", at::randn({4, 3})},
       {"b.weight", at::randn({4, 4})},
       {"c.weight", at::randn({4, 4})},
       {"d.weight", at::randn({2, 4})}},
      at::randn({2, 3}));
  const std::string text = to_dot(inspection);
  EXPECT_EQ(count(text, "label=\"+\""), 2U) << text;
  EXPECT_EQ(count(text, " -> "), 9U) << text;  // input, two times three around a join and its layer, head, output
}

TEST(Dot, DrawsWhatPinsAsADashedBox) {
  Inspection inspection = inspection_of(
      R"(
def forward(self, x):
    return torch.linear(torch.softmax(torch.linear(x, self.a.weight), 1), self.b.weight)
)",
      {{"a.weight", at::randn({4, 3})}, {"b.weight", at::randn({2, 4})}}, at::randn({2, 3}));
  inspection.model->program.nodes[1].source = "net.py:4";
  EXPECT_EQ(to_dot(inspection), std::string(head) +
                                    R"dot(  input0 [label="x", shape=ellipse];
  n0 [label="a\nlinear\n4 pinned", fillcolor="gray85", tooltip="group 0, "];
  n1 [label="softmax\npins: reduced\nnet.py:4", style=dashed, color=red3, tooltip="net.py:4"];
  n2 [label="b\nlinear\n2 pinned", fillcolor="gray85", tooltip="group 1, "];
  output [label="output\n2 (logits)", shape=ellipse];
  input0 -> n0;
  n0 -> n1;
  n1 -> n2;
  n2 -> output;
}
)dot");
}

TEST(Dot, QuotesNames) {
  Inspection inspection = inspection_of("def forward(self, x):\n    return torch.linear(x, self.a.weight)\n",
                                        {{"a.weight", at::randn({2, 3})}}, at::randn({2, 3}));
  inspection.model->map.layers[0].name = "a\"b\\c";
  EXPECT_EQ(count(to_dot(inspection), R"(label="a\"b\\c\nlinear)"), 1U) << to_dot(inspection);
}

}  // namespace
}  // namespace incite
