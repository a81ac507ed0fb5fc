#include "verbs/decompose/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "support/expect_error.hpp"

namespace incite {
namespace {

using test::expect_error;

using Texts = std::map<std::string, std::string>;

/// What each option affects, and a text other than its default.
struct Expected {
  Affects affects;
  const char* text;
};
const std::map<std::string, Expected> all = {
    {"model", {Affects::nothing, "other.pt"}},
    {"data", {Affects::nothing, "other.npz"}},
    {"task", {Affects::scores, "regression"}},
    {"input-key", {Affects::scores, "images"}},
    {"target-key", {Affects::scores, "labels"}},
    {"input-scale", {Affects::scores, "0.5"}},
    {"input-shape", {Affects::scores, "1,28,28"}},
    {"input-layout", {Affects::scores, "nhwc"}},
    {"output", {Affects::scores, "logits"}},
    {"test", {Affects::scores, "test.npz"}},
    {"test-input-key", {Affects::nothing, "images"}},
    {"test-target-key", {Affects::nothing, "labels"}},
    {"metric", {Affects::scores, "flips"}},
    {"scoring", {Affects::scores, "gradient"}},
    {"factors", {Affects::scores, "1.1,0.9"}},
    {"clustering", {Affects::scores, "none"}},
    {"cluster-size", {Affects::scores, "3"}},
    {"keep", {Affects::run, "0.5"}},
    {"target-compression", {Affects::run, "3"}},
    {"max-loss", {Affects::run, "1"}},
    {"allocation", {Affects::modules, "uniform"}},
    {"samples", {Affects::run, "100"}},
    {"agreement", {Affects::run, "0.9"}},
    {"scores", {Affects::nothing, "scores.npz"}},
    {"repair", {Affects::modules, "mean"}},
    {"head", {Affects::modules, "adam"}},
    {"epochs", {Affects::modules, "3"}},
    {"calibration", {Affects::modules, "scales"}},
    {"finetune", {Affects::modules, "2"}},
    {"outputs", {Affects::modules, "0,3"}},
    {"modules", {Affects::modules, "digits=0-4 rest=7"}},
    {"names", {Affects::nothing, "cat,dog"}},
    {"held-out", {Affects::scores, "0.3"}},
    {"seed", {Affects::scores, "7"}},
    {"device", {Affects::run, "cuda:1"}},
    {"tf32", {Affects::run, ""}},
    {"memory", {Affects::run, "1000000"}},
    {"out", {Affects::nothing, "folder"}},
    {"format", {Affects::nothing, "pt2"}},
    {"force", {Affects::nothing, ""}},
    {"resume", {Affects::nothing, ""}},
    {"keep-scores", {Affects::nothing, ""}},
    {"preset", {Affects::nothing, "paper"}},
};

/// The key of the options with this effect.
ScoresKey key_for(const Texts& given, Affects what) {
  DecomposeOptions options = read_options(given);
  options.task = options.task.value_or(Task::classification);
  options.metric = options.metric.value_or(options.classification_metric);
  const double share = std::holds_alternative<Keep>(options.size)      ? 0.5
                       : std::holds_alternative<MaxLoss>(options.size) ? 0.6
                                                                       : 1 / std::get<Compression>(options.size).times;
  return key_of({options, options.data.input_scale, share, 1}, what);
}

TEST(OptionTable, HasEveryOptionWithWhatItChanges) {
  std::set<std::string> names;
  for (const Option& option : decompose_options()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name << " is there twice";
    const auto expected = all.find(option.name);
    ASSERT_NE(expected, all.end()) << option.name << ": say here what it changes";
    EXPECT_EQ(option.affects, expected->second.affects) << option.name;
    EXPECT_FALSE(option.help.empty()) << option.name;
  }
  EXPECT_EQ(names.size(), all.size());
}

TEST(OptionTable, KeysChangeWithTheOptionsThatTheyDependOn) {
  for (const auto& [name, expected] : all) {
    if (name == "preset") continue;  // it stands for several
    Texts given;
    if (name.starts_with("test-")) given["test"] = "test.npz";
    const Texts before = given;
    given[name] = expected.text;
    for (const Affects what : {Affects::scores, Affects::run, Affects::modules}) {
      const bool changed = key_for(given, what) != key_for(before, what);
      EXPECT_EQ(changed, what == expected.affects) << "--" << name << " " << expected.text;
    }
  }
}

TEST(OptionTable, ShowsTheDefaultsThatAreInForce) {
  for (const Option& option : decompose_options()) {
    if (option.initial.empty() || option.value == nullptr) continue;
    for (const Affects what : {Affects::scores, Affects::run, Affects::modules})
      EXPECT_EQ(key_for({{option.name, option.initial}}, what), key_for({}, what)) << option.name;
  }
}

TEST(OptionTable, MakesTheSettingsOfTheDocument) {
  DecomposeOptions options = read_options({{"keep", "0.5"}, {"outputs", "3,1"}, {"modules", "odd=1,3"}});
  options.task = Task::classification;
  options.metric = Metric::flips;
  std::map<std::string, Setting::second_type> settings;
  for (const auto& [name, value] : settings_of({options, 0.5, 0.5, 2})) {
    EXPECT_TRUE(settings.emplace(name, value).second) << name;
  }
  EXPECT_EQ(std::get<double>(settings.at("keep")), 0.5);
  EXPECT_TRUE(std::isnan(std::get<double>(settings.at("target_compression"))));
  EXPECT_TRUE(std::isnan(std::get<double>(settings.at("max_loss"))));
  EXPECT_EQ(std::get<std::string>(settings.at("metric")), "flips");
  EXPECT_EQ(std::get<int64_t>(settings.at("threads")), 2);
  EXPECT_EQ(std::get<std::vector<int64_t>>(settings.at("outputs")), (std::vector<int64_t>{1, 3}));
  EXPECT_EQ(std::get<std::string>(settings.at("modules")), "odd=1,3");
  for (const Option& option : decompose_options()) {
    if (option.value == nullptr) continue;
    std::string name = option.name;
    std::replace(name.begin(), name.end(), '-', '_');
    EXPECT_TRUE(settings.contains(name)) << name;
  }
}

TEST(ReadOptions, GivesTheDefaultsWhereNothingIsGiven) {
  const DecomposeOptions found = read_options({});
  const DecomposeOptions expected;
  EXPECT_EQ(std::get<Compression>(found.size).times, default_compression);
  EXPECT_EQ(found.agreement, expected.agreement);
  EXPECT_EQ(found.samples, 0);
  EXPECT_EQ(found.calibration, CalibrationMethod::layers);
  EXPECT_FALSE(found.data.target_required);
  EXPECT_TRUE(read_options({{"target-key", "y"}}).data.target_required);
}

TEST(ReadOptions, PutsWhatIsGivenOverThePreset) {
  const DecomposeOptions paper = read_options({{"preset", "paper"}});
  EXPECT_EQ(std::get<Keep>(paper.size).share, 0.6);
  EXPECT_EQ(paper.classification_metric, Metric::flips);
  EXPECT_EQ(paper.clustering, ClusteringMethod::agglomerative);
  EXPECT_EQ(paper.cluster_size, 10);
  EXPECT_EQ(paper.calibration, CalibrationMethod::none);
  EXPECT_EQ(paper.repair, RepairMethod::none);
  EXPECT_EQ(paper.head, HeadMethod::adam);
  EXPECT_THAT(paper.factors, testing::ElementsAre(1.1, 0.9, 0));
  const DecomposeOptions given =
      read_options({{"preset", "paper"}, {"max-loss", "1"}, {"head", "lbfgs"}, {"factors", "0"}});
  EXPECT_EQ(std::get<MaxLoss>(given.size).most, 1);
  EXPECT_EQ(given.head, HeadMethod::lbfgs);
  EXPECT_THAT(given.factors, testing::ElementsAre(0));
}

TEST(ReadOptions, ReadsTestDataLikeTheData) {
  const DecomposeOptions options = read_options({{"data", "a.npz"},
                                                 {"input-key", "images"},
                                                 {"input-scale", "2"},
                                                 {"test", "b.npz"},
                                                 {"test-target-key", "labels"}});
  EXPECT_EQ(options.test->file, "b.npz");
  EXPECT_EQ(options.test->input_key, "images");
  EXPECT_EQ(options.test->target_key, "labels");
  EXPECT_EQ(options.test->input_scale, 2);
}

TEST(ReadOptions, LeavesTheOriginalsHeadAsItIs) {
  const DecomposeOptions options = read_options({{"head", "original"}});
  EXPECT_EQ(options.repair, RepairMethod::none);
  EXPECT_EQ(options.calibration, CalibrationMethod::none);
  EXPECT_EQ(read_options({{"head", "original"}, {"repair", "mean"}}).repair, RepairMethod::mean);
}

TEST(ReadOptions, ReadsOutputsAndSetsOfThem) {
  EXPECT_THAT(read_options({}).outputs, testing::IsEmpty());
  EXPECT_FALSE(read_options({}).present);
  EXPECT_THAT(read_options({}).modules, testing::IsEmpty());
  EXPECT_THAT(read_options({{"outputs", "3,0-1"}}).outputs, testing::ElementsAre(0, 1, 3));
  const DecomposeOptions present = read_options({{"outputs", "present"}});
  EXPECT_TRUE(present.present);
  EXPECT_THAT(present.outputs, testing::IsEmpty());
  const DecomposeOptions sets = read_options({{"modules", "digits=0-2 rest=7"}});
  ASSERT_EQ(sets.modules.size(), 2U);
  EXPECT_EQ(sets.modules[0].name, "digits");
  EXPECT_THAT(sets.modules[0].outputs, testing::ElementsAre(0, 1, 2));
  EXPECT_EQ(sets.modules[1].name, "rest");
  EXPECT_THAT(sets.modules[1].outputs, testing::ElementsAre(7));
  EXPECT_THAT(read_options({{"modules", "each"}}).modules, testing::IsEmpty());
}

TEST(ReadOptions, RefusesWhatDoesNotGoTogether) {
  expect_error(
      [] {
        read_options({{"keep", "0.5"}, {"max-loss", "1"}});
      },
      ExitCode::usage, "--keep, --target-compression and --max-loss exclude each other; expected one of them");
  expect_error(
      [] {
        read_options({{"samples", "all"}, {"agreement", "0.9"}});
      },
      ExitCode::usage, "--agreement is for --samples auto; not for --samples all");
  expect_error(
      [] {
        read_options({{"keep", "0.5"}, {"allocation", "global"}});
      },
      ExitCode::usage,
      "--allocation global does not work with --keep, a share of each group; pass --target-compression");
  expect_error(
      [] {
        read_options({{"outputs", "a"}});
      },
      ExitCode::usage, "--outputs a: expected all, present, or numbers of outputs such as 0,3-7");
  expect_error(
      [] {
        read_options({{"modules", "a"}});
      },
      ExitCode::usage, "--modules a: expected each, all, sets such as digits=0-4 rest=5,7-9, or a file of such sets");
}

}  // namespace
}  // namespace incite
