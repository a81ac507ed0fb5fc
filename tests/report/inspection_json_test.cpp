#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/version.h>

#include <nlohmann/json.hpp>

#include "incite/version.hpp"
#include "report/json.hpp"
#include "subject/analysed_model.hpp"
#include "support/unit_maps.hpp"

namespace incite {
namespace {

using nlohmann::json;

json versions_entry() {
  return {{"incite", version}, {"torch", TORCH_VERSION}};
}

/// Two layers, the second one the head, and a pin of each kind.
Inspection documented_inspection() {
  test::UnitMapBuilder builder(2);
  builder.add(0, {{0, 0}});
  builder.add(0, {{0, 1}}, /*pinned=*/true);
  builder.add(0, {{0, 2}});
  builder.add_layer(1, 1, 2, /*pinned=*/true);
  builder.set_head(1);
  Inspection inspection;
  inspection.model = std::make_shared<AnalysedModel>();
  inspection.model->map = builder.build();
  inspection.model->map.layers[0].name = "conv";
  inspection.model->map.layers[0].node = 0;
  inspection.model->map.layers[0].weight = 0;
  inspection.model->map.layers[1].name = "fc";
  inspection.model->map.layers[1].node = 1;
  inspection.model->map.pins = {{-1, "", "", PinReason::output, {3, 4}},
                                {1, "aten::linear", "net.py:9", PinReason::layout, {1}}};
  inspection.model->map.whole_layers = {{"norm", 1, "aten::layer_norm", "net.py:9", PinReason::reduced, 1, {0}}};
  inspection.kind = OutputKind::sigmoid;
  inspection.outputs = 2;
  inspection.parameters = 120;
  inspection.removable_parameters = 30;
  inspection.smallest_module = 80;
  inspection.warnings = {"few samples"};
  inspection.model->program.values.resize(1);
  inspection.model->program.values[0].kind = Value::Kind::parameter;
  inspection.model->program.values[0].content = at::zeros({4, 30});
  inspection.model->program.nodes.resize(2);
  inspection.model->program.nodes[0].op = "aten::conv2d";
  inspection.model->program.nodes[0].source = "net.py:8";
  inspection.model->program.nodes[0].inputs = {0};
  inspection.model->program.nodes[1].op = "aten::linear";
  inspection.model->program.nodes[1].source = "net.py:9";
  return inspection;
}

TEST(InspectionDocument, HasEveryFieldThatIsDocumented) {
  const json expected = {
      {"schema", 1},
      {"parameters", 120},
      {"removable_parameters", 30},
      {"removable_share", 0.25},
      {"smallest_module", 80},
      {"compression_at_most", 1.5},
      {"outputs", {{"count", 2}, {"kind", "sigmoid"}, {"head", "fc"}}},
      {"refusal", nullptr},
      {"warnings", {"few samples"}},
      {"groups",
       {{{"layers", json::array({"conv"})}, {"units", 3}, {"removable", 2}, {"pinned", 1}, {"parameters", 120}},
        {{"layers", json::array({"fc"})}, {"units", 2}, {"removable", 0}, {"pinned", 2}, {"parameters", 0}}}},
      {"layers",
       {{{"name", "conv"}, {"op", "aten::conv2d"}, {"source", "net.py:8"}, {"channels", 3}, {"group", 0}},
        {{"name", "fc"}, {"op", "aten::linear"}, {"source", "net.py:9"}, {"channels", 2}, {"group", 1}}}},
      {"pins",
       {{{"node", nullptr},
         {"op", nullptr},
         {"source", ""},
         {"reason", "output"},
         {"layers", json::array({"fc"})},
         {"units", 2}},
        {{"node", 1},
         {"op", "aten::linear"},
         {"source", "net.py:9"},
         {"reason", "layout"},
         {"layers", json::array({"conv"})},
         {"units", 1}}}},
      {"kept_whole",
       {{{"name", "norm"},
         {"op", "aten::layer_norm"},
         {"source", "net.py:9"},
         {"reason", "reduced"},
         {"places", 1},
         {"parameters", 120}}}},
      {"versions", versions_entry()},
  };
  const json found = json::parse(to_json(documented_inspection()));
  EXPECT_EQ(found, expected) << found.dump(2);
}

TEST(InspectionDocument, HasNullWhereThereIsNoHead) {
  Inspection inspection = documented_inspection();
  inspection.model->map.head = -1;
  EXPECT_TRUE(json::parse(to_json(inspection)).at("outputs").at("head").is_null());
}

TEST(InspectionDocument, SaysWithWhatDecomposeWillRefuse) {
  Inspection inspection = documented_inspection();
  inspection.refusal.emplace(ExitCode::unsupported, "no unit can be removed");
  const json expected = {{"exit_code", 6}, {"message", "no unit can be removed"}};
  EXPECT_EQ(json::parse(to_json(inspection)).at("refusal"), expected);
}

}  // namespace
}  // namespace incite
