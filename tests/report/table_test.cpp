#include "incite/report/table.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/unit_maps.hpp"

namespace incite {
namespace {

TEST(Table, AlignsTheFirstColumnLeftAndTheOthersRight) {
  Table table({"module", "size", "n"});
  table.add({"a", "1", "100"});
  table.add({"module-10.pt", "12345", "2"});
  EXPECT_EQ(table.text(),
            "module         size    n\n"
            "------------  -----  ---\n"
            "a                 1  100\n"
            "module-10.pt  12345    2\n");
}

TEST(Table, AlignsTheColumnsLeftThatAreNamed) {
  Table table({"a", "why", "n"}, {1, 2});
  table.add({"1", "because", "yes"});
  table.add({"100", "no", "no"});
  EXPECT_EQ(table.text(),
            "  a  why      n\n"
            "---  -------  ---\n"
            "  1  because  yes\n"
            "100  no       no\n");
}

TEST(Table, EndsNoLineInBlanks) {
  Table table({"name", "note"}, {0, 1});
  table.add({"a", "long note"});
  table.add({"b", ""});
  EXPECT_EQ(table.text(),
            "name  note\n"
            "----  ---------\n"
            "a     long note\n"
            "b\n");
}

TEST(Table, HasItsHeaderThoughThereAreNoRows) {
  EXPECT_EQ(Table({"name", "n"}).text(), "name  n\n----  -\n");
}

TEST(Table, RefusesARowOfAnotherLength) {
  Table table({"name", "n"});
  EXPECT_THROW(table.add({"a"}), std::logic_error);
}

TEST(HumanBytes, ChangesUnitsAtPowersOf1024) {
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(1023), "1023 B");
  EXPECT_EQ(human_bytes(1024), "1.0 KiB");
  EXPECT_EQ(human_bytes(42291), "41.3 KiB");  // 42291 / 1024 = 41.2998
  EXPECT_EQ(human_bytes(1024 * 1024), "1.0 MiB");
  EXPECT_EQ(human_bytes(1536 * 1024), "1.5 MiB");
  EXPECT_EQ(human_bytes(int64_t{3} << 30), "3072.0 MiB");
}

TEST(HumanCount, SeparatesThousands) {
  EXPECT_EQ(human_count(0), "0");
  EXPECT_EQ(human_count(999), "999");
  EXPECT_EQ(human_count(1000), "1,000");
  EXPECT_EQ(human_count(44426), "44,426");
  EXPECT_EQ(human_count(123456), "123,456");
  EXPECT_EQ(human_count(1234567), "1,234,567");
  EXPECT_EQ(human_count(-100), "-100");
  EXPECT_EQ(human_count(-1000), "-1,000");
  EXPECT_EQ(human_count(INT64_MAX), "9,223,372,036,854,775,807");
}

Decomposition small_decomposition() {
  Decomposition d;
  d.model.file = "net.pt";
  d.parameters = 44426;
  d.outputs = 2;
  d.kind = OutputKind::logits;
  d.scored_samples = 10000;
  d.modules.resize(2);
  d.modules[0] = {0, "module-0.pt", 9000, 42291, 4.936, {}, 0, 0.9912};
  d.modules[1] = {1, "module-1.pt", 22213, 1023, 2.0, {}, 0, 1};
  d.evaluation = {Task::classification, 2000, 0.99, 0.9875, {0.9912, 1}};
  d.mean_overlap = 0.25;
  d.mean_compression = 3.468;
  d.seconds = {{"load", 0.26}, {"total", 12}};
  return d;
}

TEST(DecompositionTable, SaysWhatWasMadeAndHowGoodItIs) {
  // 98.75 % - 99 % = -0.25 points.
  EXPECT_EQ(to_table(small_decomposition()),
            "net.pt: 44,426 parameters, 2 outputs (logits), scored on 10,000 samples\n"
            "\n"
            "module       parameters      size  compression  accuracy (own vs others)\n"
            "-----------  ----------  --------  -----------  ------------------------\n"
            "module-0.pt       9,000  41.3 KiB        4.94x                   99.12 %\n"
            "module-1.pt      22,213    1023 B        2.00x                  100.00 %\n"
            "\n"
            "Accuracy on 2,000 samples: original 99.00 %, modules together 98.75 % (-0.25 points)\n"
            "Mean compression 3.47x, mean overlap of modules 25.00 %\n"
            "Seconds: load 0.3, total 12.0\n");
}

TEST(DecompositionTable, GivesErrorsForRegressionAndSaysWhoseTruthItIs) {
  Decomposition d = small_decomposition();
  d.task = d.evaluation.task = Task::regression;
  d.own_targets = true;
  d.modules.resize(1);
  d.modules[0].score = 0.0125;
  d.evaluation.original = 0.01;
  d.evaluation.combined = 0.0125;
  EXPECT_EQ(to_table(d),
            "net.pt: 44,426 parameters, 2 outputs (logits), scored on 10,000 samples\n"
            "\n"
            "module       parameters      size  compression  mean absolute error\n"
            "-----------  ----------  --------  -----------  -------------------\n"
            "module-0.pt       9,000  41.3 KiB        4.94x             0.012500\n"
            "\n"
            "Mean absolute error on 2,000 samples: original 0.010000, modules together 0.012500 (+25.00 %)\n"
            "No target was given: the model's own outputs stand for the truth.\n"
            "Mean compression 3.47x, mean overlap of modules 25.00 %\n"
            "Seconds: load 0.3, total 12.0\n");
}

TEST(DecompositionTable, SaysNothingOfModulesTogetherWhereThereIsOneClassifier) {
  Decomposition d = small_decomposition();
  d.modules.resize(1);
  d.evaluation.combined = NAN;
  EXPECT_EQ(to_table(d).find("together"), std::string::npos);
}

TEST(EvaluationTable, GivesTheScoresOnTheOtherData) {
  const Evaluation evaluation = {Task::classification, 500, 0.5, 0.625, {0.75, NAN}};
  EXPECT_EQ(to_table(small_decomposition(), evaluation),
            "module       parameters  compression  accuracy (own vs others)\n"
            "-----------  ----------  -----------  ------------------------\n"
            "module-0.pt       9,000        4.94x                   75.00 %\n"
            "module-1.pt      22,213        2.00x                         -\n"
            "\n"
            "Accuracy on 500 samples: original 50.00 %, modules together 62.50 % (+12.50 points)\n");
}

TEST(InspectionTable, SaysWhichUnitsCanBeRemovedAndWhatPinsTheOthers) {
  test::UnitMapBuilder builder(4);
  builder.add(0, {{0, 0}, {1, 0}});
  builder.add(0, {{0, 1}, {1, 1}});
  builder.add(1, {{2, 0}});
  builder.add(1, {{2, 1}}, /*pinned=*/true);
  builder.add_layer(3, 2, 2, /*pinned=*/true);
  builder.set_head(3);
  Inspection inspection;
  inspection.map = builder.build();
  for (size_t l = 0; l < 4; ++l)
    inspection.map.layers[l].name = std::vector<std::string>{"stem", "block.conv", "mid", "fc"}[l];
  inspection.map.pins = {{-1, "", "", "output", {4, 5}}, {7, "aten::layer_norm", "net.py:31", "reduced", {3}}};
  inspection.kind = OutputKind::logits;
  inspection.outputs = 2;
  inspection.removable_parameters = 300;
  // One parameter of 1,200 elements, which one node reads; a buffer does not count.
  inspection.program.values.resize(2);
  for (Value& value : inspection.program.values) {
    value.kind = Value::Kind::parameter;
    value.content = at::zeros({1200});
  }
  inspection.program.values[1].is_buffer = true;
  inspection.program.nodes.resize(1);
  inspection.program.nodes[0].inputs = {0, 1};
  EXPECT_EQ(to_table(inspection),
            "group  layers            units  pinned  removable\n"
            "-----  ----------------  -----  ------  ---------\n"
            "0      stem, block.conv      2       0  yes\n"
            "1      mid                   2       1  partly\n"
            "2      fc                    2       2  no\n"
            "\n"
            "pinned by             at         why      units\n"
            "--------------------  ---------  -------  -----\n"
            "(the model's output)             output       2\n"
            "aten::layer_norm      net.py:31  reduced      1\n"
            "\n"
            "Parameters: 1,200, of which 300 (25.00 %) can be removed\n"
            "Outputs: 2 (logits), from layer 'fc'\n");
}

TEST(InspectionTable, SaysThatThereIsNoHead) {
  Inspection inspection;
  inspection.outputs = 3;
  const std::string text = to_table(inspection);
  EXPECT_NE(text.find("Parameters: 0, of which 0 (0.00 %) can be removed\nOutputs: 3 (other), from no layer\n"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace incite
