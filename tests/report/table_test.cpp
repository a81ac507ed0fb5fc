#include "report/table.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/output_sets.hpp"

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

TEST(Table, ShortensItsElasticColumnsToAWidth) {
  Table table({"name", "place", "n"}, {0, 1});
  table.add({"encoder.layers.11.linear", "transformer.py:1234", "1,536"});
  table.add({"fc", "net.py:9", "10"});
  EXPECT_EQ(table.text(40, {0, 1}),
            "name             place                 n\n"
            "---------------  ----------------  -----\n"
            "encode...linear  transf...py:1234  1,536\n"
            "fc               net.py:9             10\n");
  EXPECT_EQ(table.text(80, {0, 1}), table.text());
}

TEST(Table, KeepsAnElasticColumnLegible) {
  Table table({"name", "n"});
  table.add({"encoder.layers", "1"});
  EXPECT_EQ(table.text(5, {0}),
            "name      n\n"
            "--------  -\n"
            "en...ers  1\n");
}

TEST(Shortened, LeavesOutTheMiddle) {
  EXPECT_EQ(shortened("layer", 5), "layer");
  EXPECT_EQ(shortened("layers", 5), "l...s");
  EXPECT_EQ(shortened("layers", 3), "...");
  EXPECT_EQ(shortened("layers", 1), ".");
}

TEST(Shortened, CutsNoCharacterInTwo) {
  EXPECT_EQ(shortened("\u00e9\u00e9\u00e9\u00e9\u00e9", 8), "\u00e9...\u00e9");
}

TEST(HumanRatio, SeparatesThousands) {
  EXPECT_EQ(human_ratio(2.694), "2.69x");
  EXPECT_EQ(human_ratio(1234.5), "1,234.50x");
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
  d.modules[0] = {test::one(0), "module-0.pt", 9000, 42291, 4.936, {}, 0, 0, {}};
  d.modules[1] = {test::one(1), "module-1.pt", 22213, 1023, 2.0, {}, 0, 0, {}};
  d.evaluation.samples = 2000;
  d.evaluation.original.score = 0.99;
  d.evaluation.combined.score = 0.9875;
  d.evaluation.modules.resize(2);
  d.evaluation.modules[0].balanced_accuracy = 0.9912;
  d.evaluation.modules[1].balanced_accuracy = 1;
  d.evaluation.originals.resize(2);
  d.evaluation.originals[0].balanced_accuracy = 0.995;
  d.evaluation.originals[1].balanced_accuracy = 0.9975;
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
            "module       parameters      size  compression  balanced accuracy  original\n"
            "-----------  ----------  --------  -----------  -----------------  --------\n"
            "module-0.pt       9,000  41.3 KiB        4.94x            99.12 %   99.50 %\n"
            "module-1.pt      22,213    1023 B        2.00x           100.00 %   99.75 %\n"
            "\n"
            "Accuracy on 2,000 samples: original 99.00 %, modules together 98.75 % (-0.25 points)\n"
            "Mean compression 3.47x, mean overlap of modules 25.00 %\n"
            "Seconds: load 0.3, total 12.0\n");
}

TEST(DecompositionTable, GivesTheIntervalOfAClassWithFewSamples) {
  Decomposition d = small_decomposition();
  d.evaluation.modules[0] = test::of_one({2, 1, 1, 1, 1, 1, 1, 2, 450});  // 1 - 0.658 / 2
  d.evaluation.originals[0] = d.evaluation.modules[0];
  EXPECT_NE(to_table(d).find("module-0.pt       9,000  41.3 KiB        4.94x           100.00 %  100.00 %\n"
                             "                                                         (67-100)  (67-100)\n"
                             "module-1.pt "),
            std::string::npos)
      << to_table(d);
}

TEST(DecompositionTable, GivesErrorsForRegressionAndSaysWhoseTruthItIs) {
  Decomposition d = small_decomposition();
  d.task = d.evaluation.task = Task::regression;
  d.own_targets = true;
  d.modules.resize(1);
  d.evaluation.original.score = 0.01;
  d.evaluation.combined.score = 0.0125;
  d.outputs = 1;
  d.evaluation.combined.errors = {{0.0125, 0.02, 0.9}};
  d.evaluation.original.errors = {{0.01, 0.02, 0.9}};
  d.evaluation.module_errors = d.evaluation.combined.errors;
  d.evaluation.original_errors = d.evaluation.original.errors;
  EXPECT_EQ(to_table(d),
            "net.pt: 44,426 parameters, 1 output (values), scored on 10,000 samples\n"
            "\n"
            "module       parameters      size  compression  mean absolute error  original\n"
            "-----------  ----------  --------  -----------  -------------------  --------\n"
            "module-0.pt       9,000  41.3 KiB        4.94x             0.012500  0.010000\n"
            "\n"
            "Mean absolute error on 2,000 samples: original 0.010000, modules together 0.012500 (+25.00 %)\n"
            "No target was given: the model's own outputs serve as targets.\n"
            "Compression 3.47x\n"
            "Seconds: load 0.3, total 12.0\n");
}

TEST(DecompositionTable, SaysWhatASearchHasFound) {
  Decomposition d = small_decomposition();
  d.max_loss = 1;
  d.steps = {{4, 0.5, 0.25}, {8, 0.9, 0.2}, {2, 0.1, 0.1}};
  EXPECT_NE(to_table(d).find("Search: 3 sizes tried; at 4.00x modules lose at most 0.91 points on validation samples, "
                             "with 95 % confidence\n"),
            std::string::npos);
  d.max_loss = 0.125;
  d.task = d.evaluation.task = Task::regression;
  d.evaluation.combined.errors.resize(2);
  d.evaluation.original.errors.resize(2);
  d.evaluation.module_errors.resize(2);
  d.evaluation.original_errors.resize(2);
  EXPECT_NE(to_table(d).find("Search: none of 3 sizes keeps to 0.125, so modules are as large as possible; at 2.00x "
                             "modules lose at most 0.26 % on validation samples, with 95 % confidence\n"),
            std::string::npos);
}

TEST(DecompositionTable, ShowsAllMeasuresOfOneClassifierUnderTheOriginals) {
  Decomposition d = small_decomposition();
  d.modules.resize(1);
  d.modules[0].set = test::one(3);
  d.modules[0].file = "module-3.pt";
  d.evaluation.combined.score = NAN;
  d.evaluation.test_samples = 450;
  d.evaluation.originals = {test::of_one({40, 0.98, 0.975, 0.85, 0.9, 0.99, 0.95, 40, 450})};
  // Precision is over 26 samples: 26 + 3.84 = 29.84, (24 + 1.92) / 29.84 = 0.8686, 1.96 / 29.84 * sqrt(24 / 13 + 0.96)
  // = 0.1100.
  d.evaluation.modules = {test::of_one({40, 0.97, 24.0 / 26, 0.625, 0.75, 0.98, 0.85, 26, 450})};
  EXPECT_EQ(to_table(d),
            "net.pt: 44,426 parameters, 2 outputs (logits), scored on 10,000 samples\n"
            "\n"
            "module       parameters      size  compression  balanced accuracy  original\n"
            "-----------  ----------  --------  -----------  -----------------  --------\n"
            "module-3.pt       9,000  41.3 KiB        4.94x            85.00 %   95.00 %\n"
            "\n"
            "class  model        accuracy  balanced  precision   recall       F1     AUC\n"
            "-----  -----------  --------  --------  ---------  -------  -------  ------\n"
            "    3  original      98.00 %   95.00 %    97.50 %  85.00 %  90.00 %  0.9900\n"
            "       module-3.pt   97.00 %   85.00 %    92.31 %  62.50 %  75.00 %  0.9800\n"
            "                                          (76-98)\n"
            "\n"
            "Measured on 450 samples\n"
            "Compression 3.47x\n"
            "Seconds: load 0.3, total 12.0\n");
}

TEST(DecompositionTable, SaysThatOnlySamplesOfClassesWithModulesCount) {
  Decomposition d = small_decomposition();
  d.evaluation.samples = 91;
  d.evaluation.test_samples = 450;
  EXPECT_NE(
      to_table(d).find("\nAccuracy on 91 of 450 samples, those of classes with modules: original 99.00 %, modules "
                       "together 98.75 % (-0.25 points)\n"),
      std::string::npos)
      << to_table(d);
}

TEST(DecompositionTable, GivesTheIntervalOfAnAccuracyOverFewSamples) {
  Decomposition d = small_decomposition();
  d.evaluation.samples = d.evaluation.test_samples = 2;
  d.evaluation.original.score = 1;
  d.evaluation.combined.score = 0.5;
  // Of 2 of 2: 0.342 to 1; of 1 of 2: 0.5 -+ 0.405 (E. B. Wilson's equation).
  EXPECT_NE(
      to_table(d).find("Accuracy on 2 samples: original 100.00 % (34-100), modules together 50.00 % (9-91) (-50.00 "
                       "points)\n"),
      std::string::npos)
      << to_table(d);
}

Decomposition large_decomposition(int64_t modules) {
  Decomposition d = small_decomposition();
  d.modules.assign(static_cast<size_t>(modules), d.modules[0]);
  d.evaluation.modules.assign(static_cast<size_t>(modules), SetMeasures());
  d.evaluation.originals.assign(static_cast<size_t>(modules), d.evaluation.originals[0]);
  for (size_t i = 0; i < d.modules.size(); ++i) {
    d.modules[i].file = fmt::format("module-{}.pt", i);
    d.evaluation.modules[i].balanced_accuracy = static_cast<double>((i * 7) % d.modules.size()) / 1000;  // each once
  }
  return d;
}

TEST(DecompositionTable, ShowsAllOfThirtyModules) {
  const std::string text = to_table(large_decomposition(30));
  for (int i = 0; i < 30; ++i)
    EXPECT_NE(text.find(fmt::format("module-{}.pt ", i)), std::string::npos);
  EXPECT_EQ(text.find("best"), std::string::npos);
}

TEST(DecompositionTable, ShowsTheBestAndTheWorstOfMany) {
  Decomposition d = large_decomposition(1000);
  // 7 i mod 1000 is 999 for 857, 998 for 714, 997 for 571, 996 for 428, 995 for 285; 0 to 4 for 0, 143, 286, 429, 572.
  d.evaluation.modules[3].balanced_accuracy = NAN;
  const std::string text = to_table(d);
  EXPECT_NE(text.find("module-857.pt       9,000  41.3 KiB        4.94x            99.90 %   99.50 %\n"
                      "module-714.pt       9,000  41.3 KiB        4.94x            99.80 %   99.50 %\n"
                      "module-571.pt       9,000  41.3 KiB        4.94x            99.70 %   99.50 %\n"
                      "module-428.pt       9,000  41.3 KiB        4.94x            99.60 %   99.50 %\n"
                      "module-285.pt       9,000  41.3 KiB        4.94x            99.50 %   99.50 %\n"
                      "...                   ...       ...          ...                ...       ...\n"
                      "module-572.pt       9,000  41.3 KiB        4.94x             0.40 %   99.50 %\n"
                      "module-429.pt       9,000  41.3 KiB        4.94x             0.30 %   99.50 %\n"
                      "module-286.pt       9,000  41.3 KiB        4.94x             0.20 %   99.50 %\n"
                      "module-143.pt       9,000  41.3 KiB        4.94x             0.10 %   99.50 %\n"
                      "module-0.pt         9,000  41.3 KiB        4.94x             0.00 %   99.50 %\n"
                      "The best 5 and the worst 5 of 1,000 by balanced accuracy; --json has all.\n"
                      "\n"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace incite
