#include "incite/report/json.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/version.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "incite/version.hpp"
#include "support/expect_error.hpp"
#include "support/npz_forge.hpp"
#include "support/unit_maps.hpp"

namespace incite {
namespace {

using nlohmann::json;
using test::expect_error;
using test::TempDir;
using test::write_file;

at::Tensor square(const std::vector<int64_t>& values) {
  return at::tensor(values, at::kLong).view({2, 2});
}

/// Of modules for outputs 0 and 2. Every field differs from its default.
Evaluation full_evaluation() {
  Evaluation e;
  e.samples = 80;
  e.test_samples = 90;
  e.original.score = 0.875;
  e.original.classes = {{50, 0.875, 0.5, 0.25, 0.75, 0.625}, {30, 0.875, 1, 0, 0.5, NAN}};
  e.original.confusion = square({4, 1, 0, 3});
  e.original.ece = 0.125;
  e.combined.score = 0.625;
  e.combined.classes = {{50, 0.625, 0.125, 0.25, 0.375, 0.5, 0.75}, {30, 0.625, 1, 0.5, 0.25, 0.75, 0.125}};
  e.combined.confusion = square({3, 2, 1, 2});
  e.combined.ece = 0.25;
  e.modules = {{50, 0.75, 0.5, 0.25, 0.125, 0.875, 0.625, 50, 90}, {30, 0.5, NAN, 0, 0, NAN, 0.5, 0, 90}};
  e.originals = {{50, 0.25, 1, 0.5, 0.75, 0.5, 0.375, 50, 90}, {30, 0.75, 0.25, 1, 0.5, NAN, 0.875, 50, 90}};
  e.agreement = 0.375;
  return e;
}

Evaluation full_regression() {
  Evaluation e;
  e.task = Task::regression;
  e.samples = e.test_samples = 8;
  e.original.score = 0.5;
  e.original.errors = {{0.25, 0.375, 0.75}, {0.75, 1.5, NAN}};
  e.combined.score = 0.625;
  e.combined.errors = {{0.5, 0.75, 0.875}, {0.75, 2.5, -1}};
  return e;
}

/// Every field differs from its default.
Decomposition full_decomposition() {
  Decomposition d;
  d.model = {"net.pt", "aa"};
  d.parameters = 1000;
  d.bytes = 5000;
  d.multiply_adds = 1e6;
  d.outputs = 3;
  d.kind = OutputKind::log_probabilities;
  d.data = {"train.npz", "bb"};
  d.test = SourceFile{"test.npz", "cc"};
  d.samples = 60;
  d.fit_samples = 50;
  d.validation_samples = 9;
  d.steps = {{4, 0.5, 0.25}};
  d.head_losses = {0.5, 0.25};
  d.last_layer_losses = {0.25, 0.125};
  d.finetuning_losses = {0.75, 0.5};
  d.scored_samples = 40;
  d.test_samples = 10;
  d.input_key = "images";
  d.target_key = "labels";
  d.input_scale = 0.5;
  d.input_shape = {1, 28, 28};
  d.settings = {{"task", std::string("classification")},
                {"input_key", d.input_key},
                {"target_key", d.target_key},
                {"input_scale", *d.input_scale},
                {"input_shape", d.input_shape},
                {"factors", std::vector<double>{1.1, 0.0}},
                {"head", std::string("adam")},
                {"seed", int64_t{7}},
                {"force", true}};
  d.groups = {{{"conv1", "conv2"}, 16, 4, 2, 40, 0.75}};
  d.scoring = {12, 3e9, 64, 6};
  d.modules = {{0, "module-0.pt", 400, 2000, 2.5, {{"conv1", {0, 3}}, {"fc", {0}}}, 1e-7, 3e5, {}},
               {2, "module-2.pt", 500, 2500, 2.0, {{"conv1", {}}}, 2e-7, 4e5, {}}};
  d.evaluation = full_evaluation();
  d.overlap = at::tensor({1.0, 0.25, 0.25, 1.0}, at::kDouble).view({2, 2});
  d.mean_overlap = 0.25;
  d.mean_compression = 2.25;
  d.seconds = {{"load", 0.5}, {"total", 1.5}};
  d.warnings = {"few samples"};
  return d;
}

json document_of(const Decomposition& decomposition) {
  return json::parse(to_json(decomposition));
}

json versions() {
  return {{"incite", version}, {"torch", TORCH_VERSION}};
}

/// The entry of full_evaluation.
json evaluation_entry() {
  return {
      {"samples", 80},
      {"test_samples", 90},
      {"original_accuracy", 0.875},
      {"combined_accuracy", 0.625},
      {"accuracy_loss", 0.25},
      {"agreement_with_original", 0.375},
      {"original_ece", 0.125},
      {"combined_ece", 0.25},
      {"original_classes",
       {{{"output", 0},
         {"samples", 50},
         {"balanced_accuracy", nullptr},
         {"precision", 0.5},
         {"recall", 0.25},
         {"f1", 0.75},
         {"auc", 0.625}},
        {{"output", 2},
         {"samples", 30},
         {"balanced_accuracy", nullptr},
         {"precision", 1.0},
         {"recall", 0.0},
         {"f1", 0.5},
         {"auc", nullptr}}}},
      {"combined_classes",
       {{{"output", 0},
         {"samples", 50},
         {"balanced_accuracy", 0.75},
         {"precision", 0.125},
         {"recall", 0.25},
         {"f1", 0.375},
         {"auc", 0.5}},
        {{"output", 2},
         {"samples", 30},
         {"balanced_accuracy", 0.125},
         {"precision", 1.0},
         {"recall", 0.5},
         {"f1", 0.25},
         {"auc", 0.75}}}},
      {"original_confusion", {{4, 1}, {0, 3}}},
      {"combined_confusion", {{3, 2}, {1, 2}}},
  };
}

// The fields are those of docs/decomposition-json.md.
TEST(DecompositionDocument, HasEveryFieldThatIsDocumented) {
  json expected_evaluation = evaluation_entry();
  expected_evaluation.update(
      {{"mean_overlap", 0.25}, {"mean_compression", 2.25}, {"overlap", {{1.0, 0.25}, {0.25, 1.0}}}});
  const json expected = {
      {"schema", 1},
      {"model",
       {{"file", "net.pt"},
        {"sha256", "aa"},
        {"parameters", 1000},
        {"outputs", 3},
        {"output_kind", "log-probabilities"},
        {"task", "classification"}}},
      {"data",
       {{"file", "train.npz"},
        {"sha256", "bb"},
        {"samples", 60},
        {"fit_samples", 50},
        {"validation_samples", 9},
        {"scored_samples", 40},
        {"targets", "data"}}},
      {"test", {{"file", "test.npz"}, {"sha256", "cc"}, {"samples", 10}, {"held_out", false}}},
      {"settings",
       {{"task", "classification"},
        {"input_key", "images"},
        {"target_key", "labels"},
        {"input_scale", 0.5},
        {"input_shape", {1, 28, 28}},
        {"factors", {1.1, 0.0}},
        {"head", "adam"},
        {"seed", 7},
        {"force", true}}},
      {"groups",
       {{{"layers", {"conv1", "conv2"}},
         {"units", 16},
         {"clusters", 4},
         {"pinned", 2},
         {"scored_samples", 40},
         {"agreement", 0.75}}}},
      {"scoring", {{"mutants", 12}, {"multiply_adds", 3e9}, {"chunk", 64}, {"batch", 6}}},
      {"scores", nullptr},
      {"search", {{{"compression", 4.0}, {"loss", 0.5}, {"error", 0.25}, {"bound", 0.91125}}}},
      {"head_losses", {0.5, 0.25}},
      {"last_layer_losses", {0.25, 0.125}},
      {"finetuning_losses", {0.75, 0.5}},
      {"modules",
       {{{"output", 0},
         {"file", "module-0.pt"},
         {"parameters", 400},
         {"bytes", 2000},
         {"compression", 2.5},
         {"slice_difference", 1e-7},
         {"multiply_adds", 3e5},
         {"calibration", {{"scale", 1.0}, {"offset", 0.0}}},
         {"accuracy", 0.75},
         {"balanced_accuracy", 0.625},
         {"precision", 0.5},
         {"recall", 0.25},
         {"f1", 0.125},
         {"auc", 0.875},
         {"original",
          {{"accuracy", 0.25},
           {"balanced_accuracy", 0.375},
           {"precision", 1.0},
           {"recall", 0.5},
           {"f1", 0.75},
           {"auc", 0.5}}},
         {"kept", {{"conv1", {0, 3}}, {"fc", {0}}}}},
        {{"output", 2},
         {"file", "module-2.pt"},
         {"parameters", 500},
         {"bytes", 2500},
         {"compression", 2.0},
         {"slice_difference", 2e-7},
         {"multiply_adds", 4e5},
         {"calibration", {{"scale", 1.0}, {"offset", 0.0}}},
         {"accuracy", 0.5},
         {"balanced_accuracy", 0.5},
         {"precision", nullptr},
         {"recall", 0.0},
         {"f1", 0.0},
         {"auc", nullptr},
         {"original",
          {{"accuracy", 0.75},
           {"balanced_accuracy", 0.875},
           {"precision", 0.25},
           {"recall", 1.0},
           {"f1", 0.5},
           {"auc", nullptr}}},
         {"kept", {{"conv1", json::array()}}}}}},
      {"evaluation", expected_evaluation},
      {"costs",
       {{"original", {{"parameters", 1000}, {"bytes", 5000}, {"multiply_adds", 1e6}}},
        {"modules", {{"parameters", 900}, {"bytes", 4500}, {"multiply_adds", 7e5}}}}},
      {"warnings", {"few samples"}},
      {"timing", {{"load", 0.5}, {"total", 1.5}}},
      {"versions", versions()},
  };
  EXPECT_EQ(document_of(full_decomposition()), expected) << to_json(full_decomposition());
}

TEST(DecompositionDocument, IsIndentedAndEndsInANewline) {
  const std::string text = to_json(full_decomposition());
  EXPECT_EQ(text.substr(0, 35), "{\n  \"schema\": 1,\n  \"model\": {\n    \"");
  EXPECT_EQ(text.substr(text.size() - 3), "\n}\n");
}

TEST(DecompositionDocument, KeepsTheOrderOfStages) {
  Decomposition d = full_decomposition();
  d.seconds = {{"load", 1}, {"analysis", 2}, {"clustering", 3}};
  const std::string text = to_json(d);
  EXPECT_LT(text.find("\"load\""), text.find("\"analysis\""));
  EXPECT_LT(text.find("\"analysis\""), text.find("\"clustering\""));
}

TEST(DecompositionDocument, HasTheErrorsOfARegression) {
  Decomposition d = full_decomposition();
  d.task = Task::regression;
  d.evaluation = full_regression();
  d.overlap = at::Tensor();
  const json document = document_of(d);
  EXPECT_EQ(document["model"]["task"], "regression");
  EXPECT_EQ(document["modules"][0]["mae"], 0.5);
  EXPECT_EQ(document["modules"][0]["rmse"], 0.75);
  EXPECT_EQ(document["modules"][0]["r2"], 0.875);
  EXPECT_FALSE(document["modules"][0].contains("accuracy"));
  const json expected = {{"samples", 8},
                         {"test_samples", 8},
                         {"original_mae", 0.5},
                         {"combined_mae", 0.625},
                         {"mae_gain", 0.25},  // 0.625 / 0.5 - 1
                         {"original_outputs",
                          {{{"output", 0}, {"mae", 0.25}, {"rmse", 0.375}, {"r2", 0.75}},
                           {{"output", 2}, {"mae", 0.75}, {"rmse", 1.5}, {"r2", nullptr}}}},
                         {"mean_overlap", 0.25},
                         {"mean_compression", 2.25}};
  EXPECT_EQ(document["evaluation"], expected) << document["evaluation"].dump(2);
}

TEST(DecompositionDocument, WritesNullForWhatIsNotDefined) {
  Decomposition d = full_decomposition();
  d.evaluation.combined = ModelMeasures();
  d.evaluation.agreement = NAN;
  const json document = document_of(d);
  const json& evaluation = document["evaluation"];
  for (const char* name : {"combined_accuracy", "accuracy_loss", "agreement_with_original", "combined_ece"})
    EXPECT_TRUE(evaluation.at(name).is_null()) << name;
  EXPECT_EQ(evaluation["combined_classes"], json::array());
  EXPECT_FALSE(evaluation.contains("combined_confusion"));
  EXPECT_EQ(evaluation["original_accuracy"], 0.875);

  d.task = Task::regression;
  d.evaluation = full_regression();
  d.evaluation.original.score = 0;
  for (const double combined : {0.0, 1.0}) {  // 0 / 0 and 1 / 0
    d.evaluation.combined.score = combined;
    EXPECT_TRUE(document_of(d)["evaluation"].at("mae_gain").is_null());
  }
}

TEST(DecompositionDocument, LeavesOutMatricesOfMoreThanAHundredModules) {
  Decomposition d = full_decomposition();
  for (const int64_t modules : {100, 101}) {
    d.overlap = at::eye(modules, at::kDouble);
    d.evaluation.original.confusion = d.evaluation.combined.confusion = at::eye(modules, at::kLong);
    const json document = document_of(d);
    for (const char* name : {"overlap", "original_confusion", "combined_confusion"})
      EXPECT_EQ(document["evaluation"].contains(name), modules == 100) << name;
  }
}

TEST(DecompositionDocument, HasTheIntervalsOfSharesOfFewSamples) {
  Decomposition d = full_decomposition();
  d.evaluation.samples = 2;
  d.evaluation.combined.score = 1;
  d.evaluation.modules[0].support = 2;
  d.evaluation.modules[0].recall = 1;
  const json document = document_of(d);
  // 2 of 2, by E. B. Wilson's equation: 1 / (1 + 1.96^2 / 2) = 0.3424.
  for (const json& interval :
       {document["modules"][0]["recall_interval"], document["evaluation"]["combined_accuracy_interval"]}) {
    EXPECT_NEAR(interval.at(0).get<double>(), 0.3424, 1e-4);
    EXPECT_DOUBLE_EQ(interval.at(1).get<double>(), 1);
  }
  EXPECT_FALSE(document["modules"][0].contains("precision_interval"));
  EXPECT_FALSE(document["modules"][1].contains("recall_interval"));
}

TEST(DecompositionDocument, NamesTheDataWhereAPartOfItIsTheTest) {
  Decomposition d = full_decomposition();
  d.test.reset();
  const json expected = {{"file", "train.npz"}, {"sha256", "bb"}, {"samples", 10}, {"held_out", true}};
  EXPECT_EQ(document_of(d)["test"], expected);
}

TEST(DecompositionDocument, SaysThatTheModelsOutputsStoodInForTargets) {
  Decomposition d = full_decomposition();
  d.own_targets = true;
  EXPECT_EQ(document_of(d)["data"]["targets"], "model");
}

TEST(DecompositionDocument, HasEmptyListsWhereThereIsNothing) {
  const json document = document_of(Decomposition());
  EXPECT_EQ(document["modules"], json::array());
  EXPECT_EQ(document["groups"], json::array());
  EXPECT_EQ(document["settings"], json::object());
  EXPECT_EQ(document["timing"], json::object());
}

TEST(DecompositionDocument, IsUtf8WhateverTheFilesAreCalled) {
  Decomposition d = full_decomposition();
  d.model.file = "mod\u00e8le-\u6a21.pt";
  d.data.file = "caf\xe9.npz";  // Latin-1
  const std::string text = to_json(d);
  EXPECT_NE(text.find("\"mod\u00e8le-\u6a21.pt\""), std::string::npos);
  EXPECT_NE(text.find("\"caf\ufffd.npz\""), std::string::npos);
  EXPECT_EQ(json::parse(text)["model"]["file"], d.model.file);
}

TEST(EvaluationDocument, HasEveryFieldThatIsDocumented) {
  ModulesEvaluation e;
  e.decomposition = full_decomposition();
  e.data = {"other.npz", "dd"};
  e.evaluation = full_evaluation();
  e.warnings = {"much lost"};
  e.latency = LatencyResult{{0.5, 8}, {{0.25, 4}, {0.125, 2}}, {0.375, 6}};
  const json found = json::parse(to_json(e));
  const json expected = {
      {"schema", 1},
      {"model", {{"file", "net.pt"}, {"sha256", "aa"}}},
      {"data", {{"file", "other.npz"}, {"sha256", "dd"}}},
      {"modules",
       {{{"output", 0},
         {"file", "module-0.pt"},
         {"parameters", 400},
         {"bytes", 2000},
         {"compression", 2.5},
         {"multiply_adds", 3e5},
         {"accuracy", 0.75},
         {"balanced_accuracy", 0.625},
         {"precision", 0.5},
         {"recall", 0.25},
         {"f1", 0.125},
         {"auc", 0.875},
         {"original",
          {{"accuracy", 0.25},
           {"balanced_accuracy", 0.375},
           {"precision", 1.0},
           {"recall", 0.5},
           {"f1", 0.75},
           {"auc", 0.5}}},
         {"latency_ms", {{"batch_1", 0.25}, {"batch_256", 4.0}}}},
        {{"output", 2},
         {"file", "module-2.pt"},
         {"parameters", 500},
         {"bytes", 2500},
         {"compression", 2.0},
         {"multiply_adds", 4e5},
         {"accuracy", 0.5},
         {"balanced_accuracy", 0.5},
         {"precision", nullptr},
         {"recall", 0.0},
         {"f1", 0.0},
         {"auc", nullptr},
         {"original",
          {{"accuracy", 0.75},
           {"balanced_accuracy", 0.875},
           {"precision", 0.25},
           {"recall", 1.0},
           {"f1", 0.5},
           {"auc", nullptr}}},
         {"latency_ms", {{"batch_1", 0.125}, {"batch_256", 2.0}}}}}},
      {"evaluation", evaluation_entry()},
      {"costs",
       {{"original",
         {{"parameters", 1000},
          {"bytes", 5000},
          {"multiply_adds", 1e6},
          {"latency_ms", {{"batch_1", 0.5}, {"batch_256", 8.0}}}}},
        {"modules",
         {{"parameters", 900},
          {"bytes", 4500},
          {"multiply_adds", 7e5},
          {"latency_ms", {{"batch_1", 0.375}, {"batch_256", 6.0}}}}}}},
      {"warnings", {"much lost"}},
      {"versions", versions()},
  };
  EXPECT_EQ(found, expected) << found.dump(2);
}

TEST(EvaluationDocument, HasNoLatencyThatWasNotMeasured) {
  ModulesEvaluation e;
  e.decomposition = full_decomposition();
  e.evaluation = full_evaluation();
  EXPECT_EQ(to_json(e).find("latency"), std::string::npos);
}

/// A model by itself, of two classes.
ModelEvaluation full_model_evaluation() {
  ModelEvaluation e;
  e.model = {"composed.pt", "aa"};
  e.data = {"other.npz", "dd"};
  e.outputs = 2;
  e.samples = 80;
  e.measures = full_evaluation().combined;
  e.cost = {900, 4500, 7e5};
  e.latency = Latency{0.375, 6};
  e.warnings = {"much lost"};
  return e;
}

TEST(ModelEvaluationDocument, HasEveryFieldThatIsDocumented) {
  const json found = json::parse(to_json(full_model_evaluation()));
  const json expected = {
      {"schema", 1},
      {"model",
       {{"file", "composed.pt"},
        {"sha256", "aa"},
        {"outputs", 2},
        {"output_kind", "logits"},
        {"task", "classification"}}},
      {"data", {{"file", "other.npz"}, {"sha256", "dd"}}},
      {"evaluation",
       {{"samples", 80},
        {"accuracy", 0.625},
        {"ece", 0.25},
        {"classes",
         {{{"output", 0},
           {"samples", 50},
           {"balanced_accuracy", 0.75},
           {"precision", 0.125},
           {"recall", 0.25},
           {"f1", 0.375},
           {"auc", 0.5}},
          {{"output", 1},
           {"samples", 30},
           {"balanced_accuracy", 0.125},
           {"precision", 1.0},
           {"recall", 0.5},
           {"f1", 0.25},
           {"auc", 0.75}}}},
        {"confusion", {{3, 2}, {1, 2}}}}},
      {"costs",
       {{"model",
         {{"parameters", 900},
          {"bytes", 4500},
          {"multiply_adds", 7e5},
          {"latency_ms", {{"batch_1", 0.375}, {"batch_256", 6.0}}}}}}},
      {"warnings", {"much lost"}},
      {"versions", versions()},
  };
  EXPECT_EQ(found, expected) << found.dump(2);
}

TEST(ModelEvaluationDocument, SaysWhichClassesAComposedFileIsFor) {
  ModelEvaluation e = full_model_evaluation();
  e.labels = {3, 7};
  e.names = {"cat", "7"};
  e.all_samples = 20;
  e.alone = {full_evaluation().modules.at(0), full_evaluation().modules.at(0)};
  const json found = json::parse(to_json(e));
  EXPECT_EQ(found.at("model").at("labels"), (json{3, 7}));
  EXPECT_EQ(found.at("model").at("names"), (json{"cat", "7"}));
  EXPECT_EQ(found.at("evaluation").at("all_samples"), 20);
  EXPECT_EQ(found.at("evaluation").at("classes").at(1).at("output"), 7);
  const json& alone = found.at("evaluation").at("alone").at(1);
  EXPECT_EQ(alone.at("output"), 7);
  for (const char* key : {"samples", "accuracy", "precision", "recall", "f1", "auc"})
    EXPECT_TRUE(alone.contains(key)) << key;
}

TEST(ModelEvaluationDocument, HasTheErrorsOfARegression) {
  ModelEvaluation e = full_model_evaluation();
  e.task = Task::regression;
  e.measures = full_regression().combined;
  const json expected = {{"samples", 80},
                         {"mae", 0.625},
                         {"outputs",
                          {{{"output", 0}, {"mae", 0.5}, {"rmse", 0.75}, {"r2", 0.875}},
                           {{"output", 1}, {"mae", 0.75}, {"rmse", 2.5}, {"r2", -1.0}}}}};
  EXPECT_EQ(json::parse(to_json(e)).at("evaluation"), expected);
}

/// Two layers, the second the head, and a pin of each sort.
Inspection small_inspection() {
  test::UnitMapBuilder builder(2);
  builder.add(0, {{0, 0}});
  builder.add(0, {{0, 1}}, /*pinned=*/true);
  builder.add(0, {{0, 2}});
  builder.add_layer(1, 1, 2, /*pinned=*/true);
  builder.set_head(1);
  Inspection inspection;
  inspection.map = builder.build();
  inspection.map.layers[0].name = "conv";
  inspection.map.layers[0].node = 0;
  inspection.map.layers[0].weight = 0;
  inspection.map.layers[1].name = "fc";
  inspection.map.layers[1].node = 1;
  inspection.map.pins = {{-1, "", "", "output", {3, 4}}, {1, "aten::linear", "net.py:9", "layout", {1}}};
  inspection.map.whole_layers = {{"norm", 1, "aten::layer_norm", "net.py:9", "reduced", 1, {0}}};
  inspection.kind = OutputKind::sigmoid;
  inspection.outputs = 2;
  inspection.removable_parameters = 30;
  inspection.smallest_module = 80;
  inspection.warnings = {"few samples"};
  inspection.program.values.resize(1);
  inspection.program.values[0].kind = Value::Kind::parameter;
  inspection.program.values[0].content = at::zeros({4, 30});
  inspection.program.nodes.resize(2);
  inspection.program.nodes[0].op = "aten::conv2d";
  inspection.program.nodes[0].source = "net.py:8";
  inspection.program.nodes[0].inputs = {0};
  inspection.program.nodes[1].op = "aten::linear";
  inspection.program.nodes[1].source = "net.py:9";
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
      {"versions", versions()},
  };
  const json found = json::parse(to_json(small_inspection()));
  EXPECT_EQ(found, expected) << found.dump(2);
}

TEST(InspectionDocument, HasNullWhereThereIsNoHead) {
  Inspection inspection = small_inspection();
  inspection.map.head = -1;
  EXPECT_TRUE(json::parse(to_json(inspection)).at("outputs").at("head").is_null());
}

TEST(InspectionDocument, SaysWithWhatDecomposeWillRefuse) {
  Inspection inspection = small_inspection();
  inspection.refusal.emplace(ExitCode::unsupported, "no unit can be removed");
  const json expected = {{"exit_code", 6}, {"message", "no unit can be removed"}};
  EXPECT_EQ(json::parse(to_json(inspection)).at("refusal"), expected);
}

class ReadDecomposition : public testing::Test {
 protected:
  Decomposition read(const std::string& text) const {
    write_file(file(), text);
    return read_decomposition(file());
  }
  Decomposition read(const json& document) const { return read(document.dump()); }

  std::filesystem::path file() const { return folder_ / "decomposition.json"; }

  /// Expects a refusal whose message goes on like this after the file's name.
  void expect_refused(const std::string& text, const std::string& rest) const {
    expect_error([&] { read(text); }, ExitCode::data_file, file().string() + ": " + rest);
  }

  TempDir folder_;
};

TEST_F(ReadDecomposition, GivesBackWhatEvaluatingNeeds) {
  const Decomposition expected = full_decomposition();
  const Decomposition found = read(to_json(expected));
  EXPECT_EQ(found.model.file, "net.pt");
  EXPECT_EQ(found.model.sha256, "aa");
  EXPECT_EQ(found.parameters, 1000);
  EXPECT_EQ(found.outputs, 3);
  EXPECT_EQ(found.input_key, "images");
  EXPECT_EQ(found.target_key, "labels");
  EXPECT_EQ(found.input_scale, 0.5);
  EXPECT_EQ(found.input_shape, (std::vector<int64_t>{1, 28, 28}));
  ASSERT_EQ(found.modules.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(found.modules[i].output, expected.modules[i].output);
    EXPECT_EQ(found.modules[i].file, expected.modules[i].file);
    EXPECT_EQ(found.modules[i].parameters, expected.modules[i].parameters);
    EXPECT_EQ(found.modules[i].compression, expected.modules[i].compression);
  }
}

TEST_F(ReadDecomposition, GivesBackEveryTaskAndKind) {
  Decomposition d = full_decomposition();
  for (const Task task : {Task::classification, Task::regression}) {
    d.task = task;
    d.evaluation = task == Task::classification ? full_evaluation() : full_regression();
    EXPECT_EQ(read(to_json(d)).task, task);
  }
  for (const OutputKind kind : {OutputKind::logits, OutputKind::probabilities, OutputKind::log_probabilities,
                                OutputKind::sigmoid, OutputKind::other}) {
    d.kind = kind;
    EXPECT_EQ(read(to_json(d)).kind, kind);
  }
}

TEST_F(ReadDecomposition, TellsWhetherModulesHaveHeadsOfTheirOwn) {
  json document = document_of(full_decomposition());
  EXPECT_TRUE(read(document).own_heads);
  document["settings"]["head"] = "original";
  EXPECT_FALSE(read(document).own_heads);
}

TEST_F(ReadDecomposition, ReadsADocumentWithNulls) {
  Decomposition d = full_decomposition();
  d.evaluation.combined = ModelMeasures();
  d.evaluation.modules[0].accuracy = NAN;
  EXPECT_EQ(read(to_json(d)).modules.size(), 2U);
}

TEST_F(ReadDecomposition, IgnoresFieldsThatItDoesNotKnow) {
  json document = document_of(full_decomposition());
  document["new"] = {1, 2};
  document["modules"][0]["new"] = "x";
  EXPECT_EQ(read(document).modules.size(), 2U);
}

TEST_F(ReadDecomposition, RefusesAFileThatIsNotThere) {
  const std::filesystem::path missing = folder_ / "none.json";
  expect_error([&] { read_decomposition(missing); }, ExitCode::data_file,
               missing.string() + ": no such file; expected the folder that 'incite decompose --out' wrote");
}

/// What nlohmann says of `use`, whose wording is its own.
template <typename Use>
std::string reason(Use&& use) {
  try {
    use();
  } catch (const json::exception& error) {
    return std::string("not a decomposition, or damaged: ") + error.what() + "; decompose again";
  }
  return "no reason";
}

TEST_F(ReadDecomposition, RefusesWhatIsNotJson) {
  const std::string whole = to_json(full_decomposition());
  for (const std::string& text : {std::string(), std::string("{"), whole.substr(0, whole.size() / 2), whole + "}"})
    expect_refused(text, reason([&] { json::parse(text).size(); }));
}

TEST_F(ReadDecomposition, RefusesWhatIsNoDecomposition) {
  expect_refused("[]", reason([] { json(json::array()).at("schema"); }));
  expect_refused("{}", reason([] { json(json::object()).at("schema"); }));
  expect_refused(R"({"schema": "1"})", reason([] { json("1").get<int>(); }));
  expect_refused(R"({"schema": 1})", reason([] { json(json::object()).at("model"); }));
}

TEST_F(ReadDecomposition, RefusesADocumentThatLacksAFieldOrHasAnotherType) {
  const auto without = [](const char* part, const char* key) {
    json document = document_of(full_decomposition());
    document[part].erase(key);
    return document.dump();
  };
  for (const char* key : {"file", "sha256", "parameters", "outputs", "output_kind", "task"})
    expect_refused(without("model", key), reason([&] { json(json::object()).at(key); }));
  for (const char* key : {"head", "input_key", "target_key", "input_scale", "input_shape"})
    expect_refused(without("settings", key), reason([&] { json(json::object()).at(key); }));
  json document = document_of(full_decomposition());
  document["modules"][1]["output"] = "two";
  expect_refused(document.dump(), reason([] { json("two").get<int64_t>(); }));
}

TEST_F(ReadDecomposition, RefusesAnotherSchema) {
  json document = document_of(full_decomposition());
  document["schema"] = 2;
  expect_refused(document.dump(),
                 "schema 2; this incite reads schema 1. Decompose again, or use the incite that wrote it");
  // Nothing else of such a document is looked at.
  expect_refused(R"({"schema": 99})",
                 "schema 99; this incite reads schema 1. Decompose again, or use the incite that wrote it");
}

TEST_F(ReadDecomposition, RefusesModulesThatAreNotOfTheModelOrNotBesideTheDocument) {
  const std::string rest = "not a decomposition, or damaged: its modules are not those of its model; decompose again";
  const auto with = [](const char* key, const json& value) {
    json document = document_of(full_decomposition());
    document["modules"][1][key] = value;
    return document.dump();
  };
  expect_refused(with("output", 3), rest);
  expect_refused(with("output", -1), rest);
  expect_refused(with("file", ""), rest);
  expect_refused(with("file", "../module-2.pt"), rest);
  expect_refused(with("file", "/module-2.pt"), rest);
  expect_refused(with("file", "sub/module-2.pt"), rest);
  json document = document_of(full_decomposition());
  document["modules"] = json::array();
  expect_refused(document.dump(), rest);
}

}  // namespace
}  // namespace incite
