#include "report/json.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/version.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "incite/version.hpp"
#include "support/full_results.hpp"

namespace incite {
namespace {

using nlohmann::json;
using test::full_decomposition;
using test::full_evaluation;
using test::full_regression;

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
      {"scoring",
       {{"method", "mutation"},
        {"reason", "as asked for"},
        {"mutants", 12},
        {"passes", 0},
        {"multiply_adds", 3e9},
        {"chunk", 64},
        {"batch", 6}}},
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

TEST(DecompositionDocument, HasTheClassesOfASet) {
  Decomposition d = full_decomposition();
  d.modules.resize(1);
  d.modules[0].set = test::some({0, 2});
  SetMeasures& measures = d.evaluation.modules[0];
  measures.classes = {{50, 0.5, 0.25, 0.75, 0.125, 0.625, 0.875, 50, 90}, {30, 0.75, NAN, 0, 0, NAN, 0.5, 0, 90}};
  measures.support = measures.claims = 0;
  d.evaluation.originals[0].classes = d.evaluation.combined.classes;
  const json found = document_of(d)["modules"];
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0]["name"], "some");
  EXPECT_EQ(found[0]["outputs"], (json{0, 2}));
  EXPECT_FALSE(found[0].contains("output"));
  EXPECT_EQ(found[0]["accuracy"], 0.75);
  EXPECT_EQ(found[0]["balanced_accuracy"], 0.625);
  const json expected = {{{"output", 0},
                          {"samples", 50},
                          {"balanced_accuracy", 0.875},
                          {"precision", 0.25},
                          {"recall", 0.75},
                          {"f1", 0.125},
                          {"auc", 0.625}},
                         {{"output", 2},
                          {"samples", 30},
                          {"balanced_accuracy", 0.5},
                          {"precision", nullptr},
                          {"recall", 0.0},
                          {"f1", 0.0},
                          {"auc", nullptr}}};
  EXPECT_EQ(found[0]["classes"], expected) << found[0]["classes"].dump(2);
  EXPECT_EQ(found[0]["original"]["classes"], document_of(d)["evaluation"]["combined_classes"]);
}

TEST(DecompositionDocument, GivesTheErrorsOfASetOfValuesAsMeans) {
  Decomposition d = full_decomposition();
  d.task = Task::regression;
  d.evaluation = full_regression();
  d.modules.resize(1);
  d.modules[0].set = test::whole({0, 2});
  d.evaluation.module_errors = {{0.625, 1.625, -0.5}};
  d.evaluation.original_errors = {{0.5, 0.75, NAN}};
  const json module = document_of(d)["modules"][0];
  EXPECT_EQ(module["mae"], 0.625);
  EXPECT_EQ(module["rmse"], 1.625);
  EXPECT_EQ(module["r2"], -0.5);
  EXPECT_EQ(module["original"], (json{{"mae", 0.5}, {"rmse", 0.75}, {"r2", nullptr}}));
  EXPECT_FALSE(module.contains("classes"));
}

}  // namespace
}  // namespace incite
