#include "scoring/contributions.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>

#include "program/executor.hpp"
#include "support/expect_error.hpp"
#include "support/script.hpp"

namespace incite {
namespace {

constexpr const char* two_layers = R"(
def forward(self, x):
    return torch.linear(torch.relu(torch.linear(x, self.fc1.weight, self.fc1.bias)), self.fc2.weight, self.fc2.bias)
)";

/// Two inputs, two hidden units, two outputs, with numbers small enough to work out on paper:
///
///     a = relu([x1 + x2, x1 - x2 + 1])     y = [a1 + 2 a2, 3 a1 - a2]
///
/// and two samples: x = (1, 2) gives a = (3, 0), y = (3, 9); x = (2, 0) gives a = (2, 3), y = (8, 3).
struct OnPaper {
  at::Tensor input = at::tensor({1.0F, 2.0F, 2.0F, 0.0F}).view({2, 2});
  Program program = test::program_from(two_layers,
                                       {{"fc1.weight", at::tensor({1.0F, 1.0F, 1.0F, -1.0F}).view({2, 2})},
                                        {"fc1.bias", at::tensor({0.0F, 1.0F})},
                                        {"fc2.weight", at::tensor({1.0F, 2.0F, 3.0F, -1.0F}).view({2, 2})},
                                        {"fc2.bias", at::tensor({0.0F, 0.0F})}},
                                       input);
  UnitMap map = analyse(program, sample_values(program, input));
  std::vector<Cluster> clusters = cluster_units(program, map, {.method = ClusteringMethod::none});

  Contributions scored(Metric metric, std::vector<double> factors, OutputKind kind = OutputKind::logits) const {
    Dataset data;
    data.input = input;
    ScoringParams params;
    params.metric = metric;
    params.factors = std::move(factors);
    return score(program, map, clusters, kind, data, at::arange(2, at::kLong), params);
  }
};

/// `expected` are sums over the samples.
void expect_scores(const Contributions& found, const std::vector<double>& expected) {
  const at::Tensor means = at::tensor(expected, at::kDouble).view(found.scores.sizes()) / found.samples;
  EXPECT_TRUE(at::allclose(found.scores, means, 1e-6, 1e-6)) << found.scores;
}

TEST(Contributions, MutatesEachHiddenUnitAndNoOutput) {
  const OnPaper paper;
  ASSERT_EQ(paper.clusters.size(), 2U);
  EXPECT_EQ(paper.scored(Metric::absolute, {1.1, 0.9, 0}).mutants, 6);
  EXPECT_EQ(paper.scored(Metric::absolute, {1.1, 0.9, 0}).samples, 2);
}

TEST(Contributions, AreTheAbsoluteDifferencesWorkedOutByHand) {
  // Times 0: unit 1 gone leaves y = (0, 0) and (6, -3): |3| + |2| = 5, |9| + |6| = 15.
  //          unit 2 gone leaves y = (3, 9) and (2, 6):  0 + 6 = 6,    0 + 3 = 3.
  expect_scores(OnPaper().scored(Metric::absolute, {0}), {5, 15, 6, 3});
  // Times 1.1 and 0.9 both move by a tenth of that, since relu is linear where it is not 0.
  expect_scores(OnPaper().scored(Metric::absolute, {1.1}), {0.5, 1.5, 0.6, 0.3});
  expect_scores(OnPaper().scored(Metric::absolute, {1.1, 0.9, 0}), {6, 18, 7.2, 3.6});
}

TEST(Contributions, CountFlipsOfTheChosenClass) {
  // The classes are 1 (3 < 9) and 0 (8 > 3). Unit 1 gone: (0, 0) is class 0, so sample 1 flips from 1 to 0; (6, -3)
  // stays 0. Unit 2 gone: (3, 9) stays 1; (2, 6) flips from 0 to 1. A flip counts for the class left and for the class
  // taken.
  expect_scores(OnPaper().scored(Metric::flips, {0}), {1, 1, 1, 1});
  expect_scores(OnPaper().scored(Metric::flips, {1.1}), {0, 0, 0, 0});
}

TEST(Contributions, TakeProbabilitiesOfLogits) {
  // softmax(3, 9)[0] = 1 / (1 + e^6), softmax(8, 3)[0] = 1 / (1 + e^-5); unit 1 gone: 1/2 and 1 / (1 + e^-9).
  const double unit1 = (0.5 - 1 / (1 + std::exp(6.0))) + (1 / (1 + std::exp(-9.0)) - 1 / (1 + std::exp(-5.0)));
  // Unit 2 gone: sample 1 stays, softmax(2, 6)[0] = 1 / (1 + e^4).
  const double unit2 = 1 / (1 + std::exp(-5.0)) - 1 / (1 + std::exp(4.0));
  expect_scores(OnPaper().scored(Metric::probability, {0}), {unit1, unit1, unit2, unit2});
  // Of outputs that are probabilities already, the differences themselves.
  expect_scores(OnPaper().scored(Metric::probability, {0}, OutputKind::probabilities), {5, 15, 6, 3});
}

TEST(Contributions, RefuseABudgetThatHoldsNotOneSample) {
  const OnPaper paper;
  Dataset data;
  data.input = paper.input;
  ScoringParams params;
  params.memory = 8;
  const Error error = test::error_of([&] {
    score(paper.program, paper.map, paper.clusters, OutputKind::logits, data, at::arange(2, at::kLong), params);
  });
  EXPECT_EQ(error.code(), ExitCode::device);
  EXPECT_STREQ(error.what(),
               "a memory budget of 8 bytes is too small to score one sample: it takes 48; raise --memory");
}

TEST(Contributions, NameASampleForWhichTheModelGivesNaN) {
  const OnPaper paper;
  Dataset data;
  data.input = at::tensor({1.0F, 2.0F, 3e38F, 3e38F}).view({2, 2});
  test::expect_error(
      [&] { score(paper.program, paper.map, paper.clusters, OutputKind::logits, data, at::arange(2, at::kLong), {}); },
      ExitCode::data_mismatch, "the model's output for sample 1 is NaN or infinite; check the data and --input-scale");
}

/// A hidden layer of eight units, half of which matter a hundred times as much as the others, and many samples.
struct Clear {
  at::Tensor input = at::rand({4096, 8}, at::detail::createCPUGenerator(1)) * 2 - 1;
  at::Tensor strength = at::tensor({1.0F, 0.01F, 1.0F, 0.01F, 1.0F, 0.01F, 1.0F, 0.01F});
  Program program = test::program_from(two_layers,
                                       {{"fc1.weight", at::eye(8)},
                                        {"fc1.bias", at::zeros({8})},
                                        {"fc2.weight", at::stack({strength, -strength, strength * 0.5})},
                                        {"fc2.bias", at::zeros({3})}},
                                       input.narrow(0, 0, 4));
  UnitMap map = analyse(program, sample_values(program, input.narrow(0, 0, 2)));
  std::vector<Cluster> clusters = cluster_units(program, map, {.method = ClusteringMethod::none});

  Contributions scored(const ScoringParams& params) const {
    Dataset data;
    data.input = input;
    return score(program, map, clusters, OutputKind::logits, data, at::arange(input.size(0), at::kLong), params);
  }

  static StopRule stop(double agreement) {
    const auto best_half = [](const at::Tensor& scores) {
      return scores > std::get<0>(scores.median(-2, /*keepdim=*/true));
    };
    return {best_half, agreement};
  }
};

TEST(Contributions, StopWhenTheChoiceIsKnown) {
  const Clear clear;
  ScoringParams params;
  const Contributions all = clear.scored(params);
  EXPECT_EQ(all.samples, 4096);
  params.stop.emplace(Clear::stop(0.99));
  const Contributions some = clear.scored(params);
  EXPECT_LE(some.samples, 512);
  EXPECT_GE(some.state.agreement[0].item<double>(), 0.99);
  EXPECT_TRUE(params.stop->choose(some.scores).equal(params.stop->choose(all.scores)));
  // 256 samples, spread over strata, stand for 4096.
  EXPECT_TRUE(at::allclose(some.scores, all.scores, 0.15, 1e-4)) << some.scores << all.scores;
}

TEST(Contributions, AreThoseOfAllSamplesWhenTheChoiceIsNeverKnown) {
  const Clear clear;
  ScoringParams params;
  const Contributions all = clear.scored(params);
  params.stop.emplace(Clear::stop(2));
  const Contributions to_the_end = clear.scored(params);
  EXPECT_EQ(to_the_end.samples, 4096);
  EXPECT_GT(to_the_end.state.sizes.size(0), 1);
  EXPECT_TRUE(at::allclose(to_the_end.scores, all.scores, 1e-6, 1e-9));
  params.metric = Metric::flips;
  const Contributions flips = clear.scored(params);
  params.stop.reset();
  EXPECT_TRUE(flips.scores.equal(clear.scored(params).scores));
}

TEST(Contributions, GoOnFromASavedState) {
  const Clear clear;
  ScoringParams params;
  params.stop.emplace(Clear::stop(2));
  std::vector<ScoringState> states;
  params.save = [&](const ScoringState& state) { states.push_back(state); };
  const Contributions whole = clear.scored(params);
  ASSERT_GT(states.size(), 3U);
  params.resume = states[1];
  EXPECT_TRUE(clear.scored(params).scores.equal(whole.scores));
  params.resume = states.back();
  EXPECT_TRUE(clear.scored(params).scores.equal(whole.scores));
}

TEST(Contributions, HalveABatchThatDoesNotFitIntoMemory) {
  const std::string source = R"(
def forward(self, x):
    x = torch.relu(torch.linear(x, self.fc1.weight, self.fc1.bias))
    x = torch.relu(torch.linear(x, self.fc2.weight, self.fc2.bias))
    return torch.linear(x, self.fc3.weight, self.fc3.bias)
)";
  Dataset data;
  data.input = at::tensor({1.0F, 2.0F, 2.0F, 1.0F}).view({2, 2});
  const at::Tensor square = at::tensor({1.0F, 2.0F, -1.0F, 3.0F}).view({2, 2});
  const at::Tensor zeros = at::zeros({2});
  Program program = test::program_from(source,
                                       {{"fc1.weight", square.clone()},
                                        {"fc1.bias", zeros.clone()},
                                        {"fc2.weight", square.clone()},
                                        {"fc2.bias", zeros.clone()},
                                        {"fc3.weight", square.clone()},
                                        {"fc3.bias", zeros.clone()}},
                                       data.input);
  const UnitMap map = analyse(program, sample_values(program, data.input));
  const std::vector<Cluster> clusters = cluster_units(program, map, {.method = ClusteringMethod::none});
  const auto scored = [&](const ScoringParams& params) {
    return score(program, map, clusters, OutputKind::logits, data, at::arange(2, at::kLong), params);
  };
  ScoringParams three;
  three.factors = {1.1, 0.9, 0};
  const Contributions expected = scored(three);
  EXPECT_EQ(expected.batch, 6);
  std::atomic<int64_t> refusals = 0;
  Node& last = program.nodes.back();
  ASSERT_EQ(last.op, "aten::linear");
  last.run = [run = last.run, &refusals](std::vector<c10::IValue>& stack) {
    if (stack[0].toTensor().size(0) > 4) {
      ++refusals;
      C10_THROW_ERROR(OutOfMemoryError, "no room");
    }
    run(stack);
  };
  const Contributions found = scored(three);  // six mutants of two samples: halved to three, one of them to two
  EXPECT_TRUE(at::allclose(found.scores, expected.scores, 1e-6, 1e-6));
  EXPECT_EQ(refusals, 3);
}

TEST(Contributions, AreTheSameToTheLastBitForAnyNumberOfThreads) {
  const Clear clear;
  ScoringParams params;
  params.factors = {1.1, 0.9, 0};
  params.most = ChunkSizes{48, 96};  // several chunks in a round, several tasks in a group
  const auto scored = [&](int threads) {
    at::set_num_threads(threads);
    return clear.scored(params);
  };
  const int before = at::get_num_threads();
  for (const double agreement : {0.0, 0.99, 2.0}) {
    params.stop.reset();
    if (agreement > 0) params.stop.emplace(Clear::stop(agreement));
    const Contributions alone = scored(1);
    for (const int threads : {2, 3}) {
      const Contributions together = scored(threads);
      EXPECT_TRUE(together.scores.equal(alone.scores)) << agreement << " " << threads;
      EXPECT_TRUE(together.state.blocks.equal(alone.state.blocks)) << agreement << " " << threads;
      EXPECT_TRUE(together.state.samples.equal(alone.state.samples)) << agreement << " " << threads;
    }
  }
  at::set_num_threads(before);
}

TEST(Contributions, AreTheSameWhereWorkersHalveTheirBatches) {
  const Clear clear;
  ScoringParams params;
  params.factors = {1.1, 0.9, 0};
  params.most = ChunkSizes{64, 64 * 24};
  const Contributions expected = clear.scored(params);
  Program program = clear.program;
  Node& last = program.nodes.back();
  last.run = [run = last.run](std::vector<c10::IValue>& stack) {
    if (stack[0].toTensor().size(0) > 128) C10_THROW_ERROR(OutOfMemoryError, "no room");
    run(stack);
  };
  Dataset data;
  data.input = clear.input;
  const int before = at::get_num_threads();
  at::set_num_threads(3);
  const Contributions found = score(program, clear.map, clear.clusters, OutputKind::logits, data,
                                    at::arange(clear.input.size(0), at::kLong), params);
  at::set_num_threads(before);
  EXPECT_LE(found.batch, 24);
  EXPECT_TRUE(at::allclose(found.scores, expected.scores, 1e-6, 1e-9));
}

TEST(Contributions, StopWhenProgressThrows) {
  const OnPaper paper;
  Dataset data;
  data.input = paper.input;
  int64_t last = 0;
  const Progress progress = [&](const ProgressEvent& event) {
    EXPECT_EQ(event.total, 4);  // two mutants of two samples
    EXPECT_GT(event.done, last);
    last = event.done;
  };
  score(paper.program, paper.map, paper.clusters, OutputKind::logits, data, at::arange(2, at::kLong), {}, progress);
  EXPECT_EQ(last, 4);
  EXPECT_THROW(score(paper.program, paper.map, paper.clusters, OutputKind::logits, data, at::arange(2, at::kLong), {},
                     [](const ProgressEvent&) { throw Error(ExitCode::interrupted, "stop"); }),
               Error);
}

}  // namespace
}  // namespace incite
