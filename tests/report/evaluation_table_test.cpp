#include "report/evaluation_table.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "support/output_sets.hpp"

namespace incite {
namespace {

using test::of_one;
using test::one;

ModulesEvaluation small_evaluation() {
  ModulesEvaluation e;
  e.decomposition.parameters = 44426;
  e.decomposition.bytes = 180224;
  e.decomposition.multiply_adds = 416520;
  e.decomposition.modules.resize(2);
  e.decomposition.modules[0] = {one(0), "module-0.pt", 9000, 42291, 4.936, {}, 0, 100000, {}};
  e.decomposition.modules[1] = {one(1), "module-1.pt", 22213, 1023, 2.0, {}, 0, 200000, {}};
  e.evaluation.samples = 500;
  e.evaluation.original.score = 0.5;
  e.evaluation.original.ece = 0.0125;
  e.evaluation.combined.score = 0.625;
  e.evaluation.combined.ece = 0.1;
  e.evaluation.agreement = 0.75;
  e.evaluation.test_samples = 500;
  e.evaluation.modules = {of_one({200, 0.75, 0.5, 0.25, 0.3333, 0.98766, 0.625, 100, 500}),
                          of_one({0, 1, NAN, NAN, NAN, NAN})};
  e.evaluation.originals = {of_one({200, 0.875, 1, 0.5, 0.6667, 0.99, 0.75, 100, 500}),
                            of_one({0, 1, NAN, NAN, NAN, NAN})};
  return e;
}

TEST(ModulesTable, SaysHowGoodModulesAreOnTheOtherData) {
  // 180224 bytes are 176 KiB; 42291 + 1023 are 42.3 KiB.
  EXPECT_EQ(to_table(small_evaluation()),
            "class  model        accuracy  balanced  precision   recall       F1     AUC\n"
            "-----  -----------  --------  --------  ---------  -------  -------  ------\n"
            "    0  original      87.50 %   75.00 %   100.00 %  50.00 %  66.67 %  0.9900\n"
            "       module-0.pt   75.00 %   62.50 %    50.00 %  25.00 %  33.33 %  0.9877\n"
            "    1  original     100.00 %         -          -        -        -       -\n"
            "       module-1.pt  100.00 %         -          -        -        -       -\n"
            "\n"
            "cost         parameters       size  multiply-adds\n"
            "-----------  ----------  ---------  -------------\n"
            "original         44,426  176.0 KiB        416,520\n"
            "all modules      31,213   42.3 KiB        300,000\n"
            "\n"
            "Accuracy on 500 samples: original 50.00 %, modules together 62.50 % (+12.50 points)\n"
            "Agreement with the original: 75.00 % of the samples\n"
            "Expected calibration error: original 1.25 %, modules together 10.00 %\n");
}

TEST(ModulesTable, HasALineForEachSet) {
  ModulesEvaluation e = small_evaluation();
  e.decomposition.modules[0].set = test::some({0, 2});
  e.decomposition.modules[0].file = "module-some.pt";
  for (std::vector<SetMeasures>* measures : {&e.evaluation.modules, &e.evaluation.originals}) {
    (*measures)[0].support = (*measures)[0].claims = 0;
    (*measures)[0].classes.resize(2);
  }
  const std::string text = to_table(e);
  EXPECT_NE(text.find("class  model           accuracy  balanced  precision   recall       F1     AUC\n"
                      "-----  --------------  --------  --------  ---------  -------  -------  ------\n"
                      " some  original         87.50 %   75.00 %   100.00 %  50.00 %  66.67 %  0.9900\n"
                      "       module-some.pt   75.00 %   62.50 %    50.00 %  25.00 %  33.33 %  0.9877\n"
                      "    1  original        100.00 %         -          -        -        -       -\n"),
            std::string::npos)
      << text;
}

TEST(ModulesTable, HasTheLatencyThatWasMeasured) {
  ModulesEvaluation e = small_evaluation();
  e.latency = LatencyResult{{0.5, 8}, {{0.25, 4}, {0.125, 2}}, {0.375, 6.5}};
  const std::string text = to_table(e);
  EXPECT_NE(text.find("cost         parameters       size  multiply-adds  ms for 1  ms for 256\n"
                      "-----------  ----------  ---------  -------------  --------  ----------\n"
                      "original         44,426  176.0 KiB        416,520     0.500       8.000\n"
                      "all modules      31,213   42.3 KiB        300,000     0.375       6.500\n"),
            std::string::npos)
      << text;
}

TEST(ModulesTable, SaysNothingOfModulesTogetherWhereThereIsOneClassifier) {
  ModulesEvaluation e = small_evaluation();
  e.evaluation.combined = ModelMeasures();
  EXPECT_EQ(to_table(e).find("together"), std::string::npos);
}

TEST(ModulesTable, HasTheErrorsOfARegression) {
  ModulesEvaluation e = small_evaluation();
  e.evaluation.task = Task::regression;
  e.evaluation.original.errors = {{0.01, 0.02, 0.9999}, {0.01, 0.02, NAN}};
  e.evaluation.combined.errors = {{0.0125, 0.025, -0.5}, {0.0125, 0.025, NAN}};
  e.evaluation.original_errors = e.evaluation.original.errors;
  e.evaluation.module_errors = e.evaluation.combined.errors;
  e.evaluation.original.score = 0.01;
  e.evaluation.combined.score = 0.0125;
  const std::string text = to_table(e);
  EXPECT_NE(text.find("output  model             MAE      RMSE       R2\n"
                      "------  -----------  --------  --------  -------\n"
                      "     0  original     0.010000  0.020000   0.9999\n"
                      "        module-0.pt  0.012500  0.025000  -0.5000\n"
                      "     1  original     0.010000  0.020000        -\n"
                      "        module-1.pt  0.012500  0.025000        -\n"),
            std::string::npos)
      << text;
  EXPECT_NE(
      text.find("\nMean absolute error on 500 samples: original 0.010000, modules together 0.012500 (+25.00 %)\n"),
      std::string::npos);
  EXPECT_EQ(text.find("calibration"), std::string::npos);
}

TEST(ModulesTable, FitsEightyColumnsAndAScreenForAThousandModules) {
  ModulesEvaluation e = small_evaluation();
  e.decomposition.modules.assign(1000, e.decomposition.modules[0]);
  for (size_t i = 0; i < 1000; ++i) {
    e.decomposition.modules[i].set = one(static_cast<int64_t>(i));
    e.decomposition.modules[i].file = fmt::format("module-{}.pt", i);
  }
  e.decomposition.parameters = 138357544;  // VGG-16
  e.decomposition.bytes = int64_t{1} << 29;
  e.decomposition.multiply_adds = 15470264320;
  for (ModuleResult& module : e.decomposition.modules) {
    module.parameters = 50000000;
    module.multiply_adds = 6000000000;
  }
  // Half of the classes have 20 samples.
  e.evaluation.modules.assign(1000, of_one({20, 1, 1, 1, 1, 1, 1, 20, 5000}));
  e.evaluation.originals.assign(1000, of_one({50, 1, 1, 1, 1, 1, 1, 50, 5000}));
  e.latency = LatencyResult{{500, 80000}, {}, {123456.789, 12345678.9}};
  e.evaluation.combined = ModelMeasures();  // sentences are wrapped where they are shown
  std::istringstream lines(to_table(e));
  int64_t count = 0;
  for (std::string line; std::getline(lines, line); ++count)
    EXPECT_LE(line.size(), 80U) << line;
  EXPECT_LE(count, 45);
}

ModelEvaluation model_evaluation() {
  ModelEvaluation e;
  e.model.file = "composed.pt";
  e.outputs = 2;
  e.samples = 1500;
  e.measures.score = 0.9;
  e.measures.ece = 0.05;
  e.measures.classes = {{1000, 0.9, 0.5, 0.25, 0.3333, 0.5}, {500, 0.9, 1, 0.75, 0.8571, 1}};
  e.cost = {9000, 42291, 100000};
  return e;
}

TEST(ModelTable, HasALineForEachClass) {
  EXPECT_EQ(to_table(model_evaluation()),
            "composed.pt: 2 outputs (logits)\n"
            "\n"
            "class  samples  precision   recall       F1     AUC\n"
            "-----  -------  ---------  -------  -------  ------\n"
            "0        1,000    50.00 %  25.00 %  33.33 %  0.5000\n"
            "1          500   100.00 %  75.00 %  85.71 %  1.0000\n"
            "\n"
            "cost   parameters      size  multiply-adds\n"
            "-----  ----------  --------  -------------\n"
            "model       9,000  41.3 KiB        100,000\n"
            "\n"
            "Accuracy on 1,500 samples: 90.00 %, expected calibration error 5.00 %\n");
}

TEST(ModelTable, HasTheIntervalsOfWhatIsOverFewSamples) {
  ModelEvaluation e = model_evaluation();
  e.samples = 12;
  e.measures.score = 11.0 / 12;
  // 1 of 1: 0.21 to 1; 1 of 2: 0.09 to 0.91; 10 of 11: 0.62 to 0.98; 11 of 12: 0.65 to 0.99.
  e.measures.classes = {{10, 0, 10.0 / 11, 1, 0.95, 1, 0, 11, 12}, {2, 0, 1, 0.5, 0.6667, 1, 0, 1, 12}};
  const std::string text = to_table(e);
  EXPECT_NE(text.find("0           10    90.91 %  100.00 %  95.00 %  1.0000\n"
                      "                  (62-98)  (72-100)\n"
                      "1            2   100.00 %   50.00 %  66.67 %  1.0000\n"
                      "                 (21-100)    (9-91)\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\nAccuracy on 12 samples: 91.67 % (65-99), expected calibration error 5.00 %\n"),
            std::string::npos)
      << text;
}

TEST(ModelTable, HasALineForEachOutputOfARegression) {
  ModelEvaluation e = model_evaluation();
  e.task = Task::regression;
  e.measures = ModelMeasures();
  e.measures.score = 0.5;
  e.measures.errors = {{0.25, 0.5, 0.75}, {0.75, 1, NAN}};
  e.outputs = 1;
  const std::string text = to_table(e);
  EXPECT_EQ(text.substr(0, text.find('\n')), "composed.pt: 1 output (values)");
  EXPECT_NE(text.find("output       MAE      RMSE      R2\n"
                      "------  --------  --------  ------\n"
                      "0       0.250000  0.500000  0.7500\n"
                      "1       0.750000  1.000000       -\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\nMean absolute error on 1,500 samples: 0.500000\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace incite
