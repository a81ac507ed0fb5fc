#include "store/document.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "report/json.hpp"
#include "support/expect_error.hpp"
#include "support/full_results.hpp"
#include "support/npz_forge.hpp"

namespace incite {
namespace {

using nlohmann::json;
using test::expect_error;
using test::full_decomposition;
using test::full_evaluation;
using test::full_regression;
using test::TempDir;
using test::write_file;

json document_of(const Decomposition& decomposition) {
  return json::parse(to_json(decomposition));
}

class ReadDecomposition : public testing::Test {
 protected:
  Decomposition read(const std::string& text) const {
    write_file(file(), text);
    return read_decomposition(file());
  }
  Decomposition read(const json& document) const { return read(document.dump()); }

  std::filesystem::path file() const { return folder_ / "decomposition.json"; }

  /// Expects an error with this message after the file's name.
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
    EXPECT_EQ(found.modules[i].set.outputs, expected.modules[i].set.outputs);
    EXPECT_EQ(found.modules[i].set.name, "");
    EXPECT_TRUE(found.modules[i].set.others);
    EXPECT_EQ(found.modules[i].file, expected.modules[i].file);
    EXPECT_EQ(found.modules[i].parameters, expected.modules[i].parameters);
    EXPECT_EQ(found.modules[i].compression, expected.modules[i].compression);
  }
}

TEST_F(ReadDecomposition, GivesBackSets) {
  Decomposition d = full_decomposition();
  d.outputs = 4;
  d.modules[0].set = test::some({0, 3});
  d.modules[1].set = test::one(2);
  Decomposition found = read(to_json(d));
  ASSERT_EQ(found.modules.size(), 2U);
  EXPECT_EQ(found.modules[0].set.outputs, (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(found.modules[0].set.name, "some");
  EXPECT_TRUE(found.modules[0].set.others);
  EXPECT_EQ(found.modules[1].set.outputs, (std::vector<int64_t>{2}));
  EXPECT_EQ(found.modules[1].set.name, "");
  EXPECT_TRUE(found.modules[1].set.others);

  d.modules.resize(1);
  d.modules[0].set = test::whole({0, 1, 2, 3});
  found = read(to_json(d));
  EXPECT_EQ(found.modules[0].set.outputs, (std::vector<int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(found.modules[0].set.name, "whole");
  EXPECT_FALSE(found.modules[0].set.others);

  d.task = Task::regression;
  d.evaluation = full_regression();
  d.modules[0].set = test::whole({0, 1});
  found = read(to_json(d));
  EXPECT_EQ(found.modules[0].set.outputs, (std::vector<int64_t>{0, 1}));
  EXPECT_FALSE(found.modules[0].set.others);
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

/// The message of nlohmann's error in `use`.
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
                 "schema 2; this version of incite reads schema 1. Decompose again, or use the version that wrote it");
  // Nothing else in such a document is read.
  expect_refused(R"({"schema": 99})",
                 "schema 99; this version of incite reads schema 1. Decompose again, or use the version that wrote it");
}

TEST_F(ReadDecomposition, RefusesModulesThatAreNotOfTheModelOrNotBesideTheDocument) {
  const std::string rest = "not a decomposition, or damaged: its modules do not match its model; decompose again";
  const auto with = [](const char* key, const json& value) {
    json document = document_of(full_decomposition());
    document["modules"][1][key] = value;
    return document.dump();
  };
  expect_refused(with("output", 3), rest);
  expect_refused(with("output", -1), rest);
  const auto of_set = [](const json& outputs) {
    json document = document_of(full_decomposition());
    document["modules"][1].erase("output");
    document["modules"][1]["name"] = "some";
    document["modules"][1]["outputs"] = outputs;
    return document.dump();
  };
  for (const json& outputs : {json::array(), json{0, 3}, json{-1, 0}, json{2, 1}, json{1, 1}})
    expect_refused(of_set(outputs), rest);
  EXPECT_EQ(read(of_set({0, 2})).modules[1].set.name, "some");
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
