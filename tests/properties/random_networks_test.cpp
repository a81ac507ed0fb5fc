// The invariants of the design, on random networks. A seed that fails is named in the message; random_network(seed)
// makes it again.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/jit/serialization/import.h>
#include <torch/csrc/jit/serialization/pickle.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>

#include "base/random.hpp"
#include "program/executor.hpp"
#include "program/for_running.hpp"
#include "program/load.hpp"
#include "program/save.hpp"
#include "scoring/contributions.hpp"
#include "selection/select.hpp"
#include "slicing/head.hpp"
#include "slicing/shared_start.hpp"
#include "slicing/side_by_side.hpp"
#include "slicing/slice.hpp"
#include "support/masking.hpp"
#include "support/npz_forge.hpp"
#include "support/random_network.hpp"
#include "support/random_normal.hpp"
#include "units/output_kind.hpp"

namespace incite {
namespace {

using test::random_network;
using test::RandomNetwork;

/// Networks that each test runs on; INCITE_SEEDS=FIRST:COUNT asks for others.
struct Seeds {
  uint64_t first = 0;
  uint64_t count = 500;
};

Seeds asked_seeds() {
  Seeds seeds;
  if (const char* asked = std::getenv("INCITE_SEEDS"); asked != nullptr) {
    char* rest = nullptr;
    seeds.first = std::strtoull(asked, &rest, 10);
    if (*rest == ':') seeds.count = std::strtoull(rest + 1, &rest, 10);
    if (*rest != '\0' || seeds.count == 0) throw std::invalid_argument("INCITE_SEEDS: expected FIRST:COUNT");
  }
  return seeds;
}

const Seeds seeds = asked_seeds();

double relative_difference(const at::Tensor& found, const at::Tensor& expected) {
  if (found.sizes() != expected.sizes()) return INFINITY;
  return (found - expected).abs().max().item<double>() / std::max(expected.abs().max().item<double>(), 1e-30);
}

/// A network as the program that incite makes of its file.
struct Loaded {
  explicit Loaded(uint64_t seed) : network(random_network(seed)), file(folder / "model.pt") {
    network.module().save(file.string());
    program = load_program(file, network.input(4, seed));
    map = analyse(program, sample_values(program, network.input(2, seed)));
  }

  test::TempDir folder;
  RandomNetwork network;
  std::filesystem::path file;
  Program program;
  UnitMap map;
};

/// Runs `check` on the network of each seed; a failure names its seed and shows its source.
template <typename Check>
void for_each_network(Check&& check) {
  const at::NoGradGuard no_grad;
  for (uint64_t seed = seeds.first; seed < seeds.first + seeds.count; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed " << seed << "\n" << random_network(seed).source);
    try {
      Loaded loaded(seed);
      check(seed, loaded);
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
    if (::testing::Test::HasFailure()) return;
  }
}

/// A selection that takes out each removable unit with a chance of 40 %, but leaves no layer empty.
Selection random_selection(const UnitMap& map, uint64_t seed) {
  Random random(seed);
  Selection keep;
  for (const Unit& unit : map.units)
    keep.push_back(unit.pinned || random.uniform() < 0.6);
  for (const size_t span : empty_spans(map, keep)) {
    const auto& units = map.spans[span];
    keep[static_cast<size_t>(units[random.below(units.size())])] = true;
  }
  return keep;
}

bool removes_any(const Selection& keep) {
  return std::find(keep.begin(), keep.end(), false) != keep.end();
}

TEST(RandomNetworks, ProgramsGiveWhatTheirModelsGive) {
  for_each_network([](uint64_t seed, Loaded& loaded) {
    torch::jit::Module original = torch::jit::load(loaded.file.string());
    const Executor executor(loaded.program);
    for (const int64_t samples : {1, 7}) {
      const at::Tensor input = loaded.network.input(samples, seed + 1000);
      EXPECT_LE(relative_difference(executor(input), original.forward({input.clone()}).toTensor()), 1e-5);
    }
  });
}

TEST(RandomNetworks, ProgramsForRunningGiveTheSame) {
  for_each_network([](uint64_t seed, Loaded& loaded) {
    const at::Tensor input = loaded.network.input(5, seed + 1500);
    const Program fast = for_running(loaded.program);
    EXPECT_LE(relative_difference(Executor(fast)(input), Executor(loaded.program)(input)), 1e-4);
  });
}

TEST(RandomNetworks, SlicesThatKeepAllAreTheOriginalToTheLastBit) {
  for_each_network([](uint64_t seed, Loaded& loaded) {
    const Program sliced = slice(loaded.program, loaded.map, Selection(loaded.map.units.size(), true));
    const at::Tensor input = loaded.network.input(5, seed + 2000);
    EXPECT_TRUE(Executor(sliced)(input).equal(Executor(loaded.program)(input)));
    EXPECT_EQ(sliced.parameter_count(), loaded.program.parameter_count());
  });
}

TEST(RandomNetworks, SlicesAreTheMaskedOriginal) {
  int64_t cut = 0;
  int64_t moved = 0;
  for_each_network([&](uint64_t seed, Loaded& loaded) {
    for (uint64_t draw = 0; draw < 2; ++draw) {
      const Selection keep = random_selection(loaded.map, seed * 2 + draw);
      if (!removes_any(keep)) continue;
      const Program sliced = slice(loaded.program, loaded.map, keep);
      const Batch input = loaded.network.input(6, seed + 3000);
      EXPECT_LE(slice_difference(loaded.program, loaded.map, keep, sliced, input), slice_tolerance);
      EXPECT_LT(sliced.parameter_count(), loaded.program.parameter_count());
      ++cut;
      moved += test::masking_changes(loaded.program, loaded.map, keep, input) ? 1 : 0;
    }
  });
  // Otherwise the comparison says nothing.
  EXPECT_GE(cut, static_cast<int64_t>(seeds.count));
  EXPECT_GE(moved, cut * 95 / 100);
}

Dataset small_dataset(const RandomNetwork& network, uint64_t seed) {
  Dataset data;
  data.input = network.input(9, seed);
  if (network.vocabulary > 0) data.as_integers = {true};
  return data;
}

TEST(RandomNetworks, SlicesSideBySideGiveWhatEachGivesAlone) {
  int64_t shared = 0;
  for_each_network([&](uint64_t seed, Loaded& loaded) {
    const Dataset data = small_dataset(loaded.network, seed + 3500);
    std::vector<Selection> keeps;
    std::vector<Program> slices;
    std::vector<SliceRun> runs;
    for (uint64_t draw = 0; draw < 2; ++draw) {
      keeps.push_back(random_selection(loaded.map, seed * 2 + draw));
      slices.push_back(slice(loaded.program, loaded.map, keeps.back()));
    }
    for (size_t i = 0; i < slices.size(); ++i) {
      runs.push_back(
          {&slices[i], &keeps[i], {slices[i].output}, {}, [](const auto& values, const auto&) { return values; }});
      shared += shared_start(loaded.program, loaded.map, keeps[i], slices[i]).node;
    }
    const Progress progress;
    const at::Tensor samples = at::tensor({8, 0, 3, 5, 4}, at::kLong);
    const SideBySide how{
        .program = loaded.program, .map = loaded.map, .data = data, .most = 2, .workers = 1, .progress = progress};
    const auto found = run_side_by_side(how, runs, samples);
    for (size_t i = 0; i < slices.size(); ++i) {
      const at::Tensor expected = Executor(slices[i])(data.batch(samples, at::kCPU));
      EXPECT_LE(relative_difference(found[i].front(), expected), 1e-4);
    }
  });
  EXPECT_GE(shared, static_cast<int64_t>(seeds.count));
}

/// Multiplies what a node makes, position by position, in the program itself.
void scale_value(Program& program, ValueId value, const at::Tensor& factors) {
  const NodeId maker = program.maker(value);
  const ValueId before = program.add_computed();
  for (ValueId& output : program.nodes[static_cast<size_t>(maker)].outputs) {
    if (output == value) output = before;
  }
  program.nodes.insert(program.nodes.begin() + maker + 1,
                       make_node("aten::mul", "Tensor", {before, program.add_constant(factors)}, {value}, ""));
}

bool holds(const Cluster& cluster, int32_t unit) {
  return std::find(cluster.units.begin(), cluster.units.end(), unit) != cluster.units.end();
}

/// The cluster's weights and biases multiplied for real, as the paper does. The units of a recurrent layer, and of a
/// transposed convolution in groups, are not rows of its weight: what they give is multiplied, to their own layer too.
Program mutant(const Loaded& loaded, const Cluster& cluster, double factor) {
  Program mutated = loaded.program;
  std::set<std::pair<ValueId, int64_t>> done;  // a weight may serve several layers
  for (const Layer& layer : loaded.map.layers) {
    const Node& node = loaded.program.node(layer.node);
    const bool recurrent = node.op == "aten::lstm" || node.op == "aten::gru" || node.op.starts_with("aten::rnn");
    const at::Tensor weight = loaded.program.value(layer.weight).content.toTensor();
    const bool by_row = weight.size(layer.weight_axis) == static_cast<int64_t>(layer.units.size());
    const bool grouped = node.op.starts_with("aten::conv_transpose") && layer.weight_axis == 0;
    if (!recurrent && by_row && !grouped) {
      for (size_t channel = 0; channel < layer.units.size(); ++channel) {
        if (!holds(cluster, layer.units[channel])) continue;
        for (const ValueId id : {layer.weight, layer.bias}) {
          const auto row = static_cast<int64_t>(channel);
          if (id < 0 || !done.emplace(id, row).second) continue;
          c10::IValue& content = mutated.values[static_cast<size_t>(id)].content;
          at::Tensor changed = content.toTensor().clone();
          changed.select(id == layer.weight ? layer.weight_axis : 0, row).mul_(factor);
          content = changed;
        }
      }
      continue;
    }
    std::vector<ValueId> outputs = layer.states;
    outputs.push_back(layer.output);
    for (const ValueId value : outputs) {
      const Labels& labels = loaded.map.activations[static_cast<size_t>(value)];
      if (labels.empty()) continue;
      std::vector<int64_t> shape(static_cast<size_t>(labels.rank), 1);
      shape[static_cast<size_t>(labels.axis)] = static_cast<int64_t>(labels.units.size());
      at::Tensor factors = at::ones({shape[static_cast<size_t>(labels.axis)]});
      for (size_t i = 0; i < labels.units.size(); ++i) {
        if (holds(cluster, labels.units[i])) factors[static_cast<int64_t>(i)] = factor;
      }
      const auto& nodes = mutated.nodes;
      const bool made = std::any_of(nodes.begin(), nodes.end(), [&](const Node& n) {
        return std::find(n.outputs.begin(), n.outputs.end(), value) != n.outputs.end();
      });
      if (made) scale_value(mutated, value, factors.view(shape));
    }
  }
  for (const Feedback& feedback : loaded.map.feedbacks) {
    at::Tensor factors = at::ones({static_cast<int64_t>(feedback.units.size())});
    for (size_t i = 0; i < feedback.units.size(); ++i) {
      if (holds(cluster, feedback.units[i])) factors[static_cast<int64_t>(i)] = factor;
    }
    c10::IValue& weight = mutated.values[static_cast<size_t>(feedback.weight)].content;
    if (done.emplace(feedback.weight, -1).second) weight = weight.toTensor() * factors;
  }
  return mutated;
}

/// Whether rounding in float32 decides which of a sample's outputs is the largest, as when a sigmoid gives 1 twice.
bool is_tie(const at::Tensor& outputs) {
  const at::Tensor largest = std::get<0>(outputs.topk(2));
  const double gap = (largest[0] - largest[1]).item<double>();
  return gap <= 8 * std::numeric_limits<float>::epsilon() * std::max(1.0, largest.abs().max().item<double>());
}

/// Samples of which a tie decides the class, of the original or of a mutant.
int64_t ties(const Loaded& loaded, const Program& mutated, const Dataset& data) {
  const Executor before(loaded.program);
  const Executor after(mutated);
  int64_t count = 0;
  for (int64_t i = 0; i < data.size(); ++i) {
    const at::Tensor input = data.batch(i, 1, at::kCPU)[0];
    if (is_tie(before(input).to(at::kDouble)[0]) || is_tie(after(input).to(at::kDouble)[0])) ++count;
  }
  return count;
}

/// The metric of one mutant, sample by sample, in float64: [outputs].
at::Tensor effect(const Loaded& loaded, const Program& mutated, const Dataset& data, Metric metric, OutputKind kind) {
  const Executor before(loaded.program);
  const Executor after(mutated);
  at::Tensor sum;
  for (int64_t i = 0; i < data.size(); ++i) {
    const at::Tensor input = data.batch(i, 1, at::kCPU)[0];
    const at::Tensor y = before(input).to(at::kDouble)[0];
    const at::Tensor z = after(input).to(at::kDouble)[0];
    at::Tensor difference;
    if (metric == Metric::flips) {
      difference = (at::one_hot(y.argmax(), y.size(0)) - at::one_hot(z.argmax(), y.size(0))).abs().to(at::kDouble);
    } else if (metric == Metric::absolute) {
      difference = (y - z).abs();
    } else {
      difference = (probabilities(y, kind) - probabilities(z, kind)).abs();
    }
    sum = sum.defined() ? sum + difference : difference;
  }
  return sum;
}

/// What rounding in float32 can add to a score: eight units in the last place of each output, under 3 factors.
double rounding(const Loaded& loaded, const Dataset& data) {
  const at::Tensor outputs = Executor(loaded.program)(data.batch(0, data.size(), at::kCPU));
  return 3 * 8 * std::numeric_limits<float>::epsilon() * std::max(1.0, outputs.abs().max().item<double>());
}

TEST(RandomNetworks, ScoresAreThoseOfMutantsMadeAndRunOneByOne) {
  int64_t compared = 0;
  int64_t exact = 0;  // flips that no tie decides
  for_each_network([&](uint64_t seed, Loaded& loaded) {
    const OutputKind kind = output_kind(loaded.program, loaded.map);
    ClusterParams cluster_params;
    cluster_params.cluster_size = 2;
    cluster_params.seed = seed;
    const std::vector<Cluster> clusters = cluster_units(loaded.program, loaded.map, cluster_params);
    if (clusters.empty()) return;
    const Dataset data = small_dataset(loaded.network, seed + 4000);
    const at::Tensor order = at::arange(data.size(), at::kLong);
    ScoringParams params;
    params.factors = {1.1, 0.9, 0};
    for (const Metric metric : {Metric::probability, Metric::flips, Metric::absolute}) {
      params.metric = metric;
      const at::Tensor scores = score(loaded.program, loaded.map, clusters, kind, data, order, params).scores;
      const size_t step = std::max<size_t>(clusters.size() / 4, 1);
      for (size_t c = 0; c < clusters.size(); c += step) {
        at::Tensor expected = at::zeros({loaded.network.outputs}, at::kDouble);
        int64_t undecided = 0;
        for (const double factor : params.factors) {
          const Program mutated = mutant(loaded, clusters[c], factor);
          expected += effect(loaded, mutated, data, metric, kind);
          if (metric == Metric::flips && loaded.network.outputs > 1) undecided += ties(loaded, mutated, data);
        }
        expected /= static_cast<double>(data.size());
        const at::Tensor found = scores[static_cast<int64_t>(c)];
        if (metric == Metric::flips) {
          if (undecided == 0) {
            EXPECT_TRUE(found.equal(expected)) << found << expected;
            ++exact;
          } else {  // each of them flips each output once at most
            const double most = static_cast<double>(undecided) / static_cast<double>(data.size());
            EXPECT_LE((found - expected).abs().max().item<double>(), most * (1 + 1e-12)) << found << expected;
          }
        } else {
          EXPECT_TRUE(at::allclose(found, expected, 1e-4, rounding(loaded, data))) << found << expected;
        }
        ++compared;
      }
    }
  });
  EXPECT_GE(compared, static_cast<int64_t>(seeds.count) * 3);
  EXPECT_GE(exact, compared / 4);
}

TEST(RandomNetworks, ScoresDoNotDependOnBatching) {
  for_each_network([](uint64_t seed, Loaded& loaded) {
    const OutputKind kind = output_kind(loaded.program, loaded.map);
    const std::vector<Cluster> clusters = cluster_units(loaded.program, loaded.map, {});
    if (clusters.empty()) return;
    const Dataset data = small_dataset(loaded.network, seed + 5000);
    const at::Tensor order = at::arange(data.size(), at::kLong);
    for (const Metric metric : {Metric::flips, Metric::probability}) {
      ScoringParams params;
      params.factors = {1.1, 0.9, 0};
      params.metric = metric;
      const Contributions together = score(loaded.program, loaded.map, clusters, kind, data, order, params);
      params.most = ChunkSizes{2, 6};
      const Contributions apart = score(loaded.program, loaded.map, clusters, kind, data, order, params);
      EXPECT_EQ(apart.chunk, 2);
      EXPECT_LE(apart.batch, 3);
      if (metric == Metric::flips) {
        EXPECT_TRUE(together.scores.equal(apart.scores));
      } else {
        EXPECT_TRUE(at::allclose(together.scores, apart.scores, 1e-4, rounding(loaded, data)))
            << (together.scores - apart.scores).abs().max() << together.scores.abs().max();
      }
    }
  });
}

void write(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream stream(file, std::ios::binary);
  stream << bytes;
  ASSERT_TRUE(stream.flush().good()) << file;
}

TEST(RandomNetworks, SlicesGiveTheSameFileEveryTimeAndReadBackAsThemselves) {
  // Where the build says where: python.exchange loads these files in Python and compares.
  const char* exchange = std::getenv("INCITE_EXCHANGE");
  test::TempDir otherwise;
  const std::filesystem::path folder = exchange != nullptr ? std::filesystem::path(exchange) : otherwise / "exchange";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  for_each_network([&](uint64_t seed, Loaded& loaded) {
    const Program sliced = slice(loaded.program, loaded.map, random_selection(loaded.map, seed));
    const std::string bytes = serialise(sliced);
    EXPECT_EQ(bytes, serialise(sliced));
    const at::Tensor input = loaded.network.input(3, seed + 6000);
    const at::Tensor output = Executor(sliced)(input);
    write(folder / fmt::format("{}.pt", seed), bytes);
    const Program read = load_program(folder / fmt::format("{}.pt", seed), input);
    EXPECT_LE(relative_difference(Executor(read)(input), output), 1e-6);
    std::filesystem::copy_file(loaded.file, folder / fmt::format("{}.original.pt", seed));
    const std::vector<char> pickled = torch::jit::pickle_save(c10::ivalue::Tuple::create({input, output}));
    write(folder / fmt::format("{}.io", seed), {pickled.begin(), pickled.end()});
  });
}

/// A random set of a model's outputs, as of a classifier.
OutputSet random_set(int64_t outputs, uint64_t seed) {
  Random random(seed);
  OutputSet set;
  for (int64_t k = 0; k < outputs; ++k) {
    if (random.uniform() < 0.4) set.outputs.push_back(k);
  }
  if (set.outputs.empty()) set.outputs.push_back(static_cast<int64_t>(random.below(static_cast<uint64_t>(outputs))));
  set.others = has_others(set, /*classification=*/true, outputs);
  return set;
}

/// The slice with a head of the set's rows: what decompose makes of it before repair and fitting.
Program with_head(const Loaded& loaded, const Selection& keep, const OutputSet& set, const FittableHead& place,
                  const Head& head) {
  Selection rows = keep;
  for (const int32_t unit : place.layer.units)
    rows[at_index(unit)] = false;
  for (size_t row = 0; row < static_cast<size_t>(set.rows()); ++row)
    rows[at_index(place.layer.units[row])] = true;
  Program module = slice(loaded.program, loaded.map, rows);
  put_head(place, head, Task::classification, module);
  return module;
}

TEST(RandomNetworks, ModulesForRandomSetsAreAsSmallAsCountedAndHaveAColumnForEachOutput) {
  int64_t with_heads = 0;
  int64_t of_several = 0;
  for_each_network([&](uint64_t seed, Loaded& loaded) {
    const int64_t outputs = loaded.network.outputs;
    if (outputs < 2) return;
    const OutputSet set = random_set(outputs, seed);
    ClusterParams cluster_params;
    cluster_params.cluster_size = 2;
    const std::vector<Cluster> clusters = cluster_units(loaded.program, loaded.map, cluster_params);
    if (clusters.empty()) return;
    const at::Tensor scores =
        test::random_normal({static_cast<int64_t>(clusters.size()), outputs}, seed).abs().to(at::kDouble);
    std::optional<FittableHead> place;
    try {
      place.emplace(fittable_head(loaded.program, loaded.map, Task::classification));
    } catch (const Error&) {  // the model's own output layer stays
    }
    const ParameterCount count(loaded.program, loaded.map, place ? set.rows() : 0);
    CompressParams params;
    params.parameters = loaded.program.parameter_count() / 2;
    const Selection keep = compress(count, loaded.map, clusters, scores, set.outputs, params);
    const Program sliced = slice(loaded.program, loaded.map, keep);
    const Batch input = loaded.network.input(6, seed + 7000);
    EXPECT_LE(slice_difference(loaded.program, loaded.map, keep, sliced, input), slice_tolerance);
    EXPECT_EQ(keep,
              compress(count, loaded.map, clusters, scores * at::linspace(1, 900, outputs, at::kDouble), set.outputs,
                       params));  // the outputs' units do not matter
    of_several += set.size() > 1 ? 1 : 0;
    if (!place) {
      EXPECT_EQ(sliced.parameter_count(), count(keep));
      return;
    }
    ++with_heads;
    const at::Tensor old = sliced.value(place->layer.weight).content.toTensor();
    Head head{test::random_normal({set.rows(), old.size(1)}, seed + 1), {}};
    if (place->layer.bias >= 0) head.bias = test::random_normal({set.rows()}, seed + 2);
    const Program module = with_head(loaded, keep, set, *place, head);
    EXPECT_EQ(module.parameter_count(), count(keep));
    const at::Tensor found = Executor(module)(input);
    EXPECT_EQ(found.sizes(), at::IntArrayRef({6, set.rows()}));
    const OutputKind kind = output_kind(loaded.program, loaded.map);
    const at::Tensor odds = log_odds(found, kind, set, /*own_head=*/true);
    EXPECT_EQ(odds.sizes(), at::IntArrayRef({6, set.size()}));
    EXPECT_TRUE(odds.isfinite().all().item<bool>());
    // A sample's largest log-odds are its largest output's, unless rounding decides.
    if (kind == OutputKind::logits || kind == OutputKind::log_probabilities) {
      const at::Tensor rows = set.others ? at::cat({at::zeros({6, 1}, at::kDouble), odds}, 1) : odds;
      EXPECT_TRUE(rows.argmax(1).equal(found.to(at::kDouble).argmax(1)));
    }
    // The file gives the same again.
    test::TempDir folder;
    write(folder / "module.pt", serialise(module));
    EXPECT_LE(relative_difference(Executor(load_program(folder / "module.pt", input))(input), found), 1e-6);
  });
  EXPECT_GE(with_heads, static_cast<int64_t>(seeds.count) / 3);
  EXPECT_GE(of_several, static_cast<int64_t>(seeds.count) / 3);
}

}  // namespace
}  // namespace incite
