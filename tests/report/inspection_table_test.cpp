#include "report/inspection_table.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "subject/analysed_model.hpp"
#include "support/unit_maps.hpp"

namespace incite {
namespace {

/// A parameter with this many elements, read by these nodes.
void add_parameter(Program& program, int64_t elements, const std::vector<size_t>& nodes, bool is_buffer = false) {
  Value value;
  value.kind = Value::Kind::parameter;
  value.content = at::zeros({elements});
  value.is_buffer = is_buffer;
  for (const size_t node : nodes)
    program.nodes[node].inputs.push_back(static_cast<ValueId>(program.values.size()));
  program.values.push_back(std::move(value));
}

/// Four layers: two that are tied, one with a unit that is pinned in two places, and the head.
Inspection small_inspection() {
  test::UnitMapBuilder builder(4);
  builder.add(0, {{0, 0}, {1, 0}});
  builder.add(0, {{0, 1}, {1, 1}});
  builder.add(1, {{2, 0}});
  builder.add(1, {{2, 1}}, /*pinned=*/true);
  builder.add_layer(3, 2, 2, /*pinned=*/true);
  builder.set_head(3);
  Inspection inspection;
  inspection.model = std::make_shared<AnalysedModel>();
  inspection.model->map = builder.build();
  for (size_t l = 0; l < 4; ++l)
    inspection.model->map.layers[l].name = std::vector<std::string>{"stem", "block.conv", "mid", "fc"}[l];
  for (NodeId node = 0; node < 4; ++node)
    inspection.model->map.layers[static_cast<size_t>(node)].node = node;
  inspection.model->map.pins = {{-1, "", "", PinReason::output, {4, 5}},
                                {7, "aten::softmax", "net.py:31", PinReason::reduced, {3}},
                                {9, "aten::softmax", "net.py:40", PinReason::reduced, {3}}};
  inspection.kind = OutputKind::logits;
  inspection.outputs = 2;
  inspection.removable_parameters = 300;
  inspection.smallest_module = 800;
  // The second layer shares the first one's weight; a buffer does not count.
  inspection.model->program.nodes.resize(4);
  add_parameter(inspection.model->program, 1190, {0, 1});
  add_parameter(inspection.model->program, 10, {1});
  add_parameter(inspection.model->program, 5, {1}, /*is_buffer=*/true);
  inspection.parameters = inspection.model->program.parameter_count();
  return inspection;
}

TEST(InspectionTable, SaysWhichUnitsCanBeRemovedAndWhatPinsTheOthers) {
  // 1200 / 800 = 1.5.
  EXPECT_EQ(to_table(small_inspection()),
            "group  layers   units  removable  parameters  pinned by\n"
            "-----  -------  -----  ---------  ----------  ---------\n"
            "    0  stem +1      2          2       1,200\n"
            "    1  mid          2          1           0  reduced\n"
            "    2  fc           2          0           0  output\n"
            "\n"
            "why      operation           places  first at   units  layers\n"
            "-------  ------------------  ------  ---------  -----  ------\n"
            "output   the model's output       1                 2  fc\n"
            "reduced  aten::softmax            2  net.py:31      1  mid\n"
            "\n"
            "Units are pinned, which means that they can't be removed, because\n"
            "  output   they are the model's outputs\n"
            "  reduced  a softmax, or a mean, sum or pooling over channels, mixes them\n"
            "\n"
            "Parameters: 1,200, of which 300 (25.00 %) can be removed\n"
            "Compression: at most 1.50x, with a head for one output\n"
            "Outputs: 2 (logits), from layer 'fc'\n"
            "Decompose: will work\n");
}

TEST(InspectionTable, SaysWhatTheOutputsOfARegressionAreAndWhoseHeadAModuleHas) {
  Inspection inspection = small_inspection();
  inspection.task = Task::regression;
  inspection.own_head = false;
  const std::string text = to_table(inspection);
  EXPECT_NE(text.find("Compression: at most 1.50x, with the model's own output layer\n"
                      "Outputs: 2 (values), from layer 'fc'\n"),
            std::string::npos)
      << text;
}

TEST(InspectionTable, NamesAllLayersAndPinsWhereItIsAskedTo) {
  const std::string text = to_table(small_inspection(), {0, /*full=*/true});
  EXPECT_NE(text.find("    0  stem, block.conv      2          2       1,200\n"), std::string::npos) << text;
  EXPECT_NE(text.find("reduced  aten::softmax            1  net.py:31      1  mid\n"
                      "reduced  aten::softmax            1  net.py:40      1  mid\n"),
            std::string::npos)
      << text;
}

TEST(InspectionTable, FitsTheTerminal) {
  Inspection inspection = small_inspection();
  inspection.model->map.layers[0].name = "encoder.layers.encoder_layer_11.self_attention.out_proj";
  const std::string text = to_table(inspection, {60, false});
  EXPECT_EQ(text.substr(0, text.find("\n\n") + 1),
            "group  layers        units  removable  parameters  pinned by\n"
            "-----  ------------  -----  ---------  ----------  ---------\n"
            "    0  enco...oj +1      2          2       1,200\n"
            "    1  mid               2          1           0  reduced\n"
            "    2  fc                2          0           0  output\n");
}

TEST(InspectionTable, SaysThatThereIsNoHeadAndNothingToRemove) {
  Inspection inspection;
  inspection.model = std::make_shared<AnalysedModel>();
  inspection.outputs = 3;
  inspection.refusal.emplace(ExitCode::unsupported, "no unit can be removed");
  EXPECT_EQ(to_table(inspection),
            "group  layers  units  removable  parameters  pinned by\n"
            "-----  ------  -----  ---------  ----------  ---------\n"
            "\n"
            "Parameters: 0, of which 0 (0.00 %) can be removed\n"
            "Outputs: 3 (other), from no one layer\n"
            "Decompose: will not work, exit code 6\n");
}

TEST(InspectionTable, SaysWhatIsKeptWholeAndWhy) {
  Inspection inspection = small_inspection();
  inspection.model->map.whole_layers = {{"norm1", 2, "aten::layer_norm", "net.py:20", PinReason::reduced, 1, {0}},
                                        {"norm2", 3, "aten::layer_norm", "net.py:22", PinReason::reduced, 1, {1}},
                                        {"cell", 3, "aten::lstm_cell", "net.py:24", PinReason::unknown, 4, {1}}};
  const std::string text = to_table(inspection);
  EXPECT_NE(
      text.find("kept whole  why      operation         places  first at   parameters\n"
                "----------  -------  ----------------  ------  ---------  ----------\n"
                "norm1 +1    reduced  aten::layer_norm       2  net.py:20       1,200\n"
                "cell        unknown  aten::lstm_cell        4  net.py:24          10\n"
                "\n"
                "Weights are kept whole because\n"
                "  reduced  of the units that they meet: a softmax, or a mean, sum or pooling over channels, mixes "
                "them\n"
                "  unknown  they go into an operation that incite has no rule for\n"),
      std::string::npos)
      << text;
}

}  // namespace
}  // namespace incite
