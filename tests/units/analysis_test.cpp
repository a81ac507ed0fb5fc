// Over-tying passes slice = mask unseen, so these tests pin down groups and units.

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>

#include "program/executor.hpp"
#include "support/random_network.hpp"
#include "support/script.hpp"
#include "units/unit_map.hpp"

namespace incite {
namespace {

using test::normal;

UnitMap map_of(const std::string& body, const test::Parameters& parameters, const at::Tensor& input) {
  const Program program = test::program_from("def forward(self, x):\n" + body, parameters, input);
  return analyse(program, sample_values(program, input));
}

/// Units and pinned units of each group.
std::vector<std::pair<int64_t, int64_t>> groups_of(const UnitMap& map) {
  std::vector<std::pair<int64_t, int64_t>> groups;
  for (const Group& group : map.groups)
    groups.emplace_back(group.units.size(), map.pinned_units(group));
  return groups;
}
using Groups = std::vector<std::pair<int64_t, int64_t>>;

bool pinned_by(const UnitMap& map, const std::string& op, PinReason reason, size_t units) {
  for (const Pin& pin : map.pins) {
    if (pin.op == op && pin.reason == reason && pin.units.size() == units) return true;
  }
  return false;
}

const test::Parameters convolutions = {{"conv1.weight", normal({4, 1, 3, 3}, 1)}, {"conv1.bias", normal({4}, 2)},
                                       {"conv2.weight", normal({6, 4, 3, 3}, 3)}, {"conv2.bias", normal({6}, 4)},
                                       {"fc.weight", normal({3, 6 * 16}, 5)},     {"fc.bias", normal({3}, 6)}};
const at::Tensor image = normal({2, 1, 8, 8}, 7);

TEST(Analysis, MakesOneGroupOfEachLayerOfAPlainChain) {
  const UnitMap map = map_of(R"(
    x = torch.relu(torch.conv2d(x, self.conv1.weight, self.conv1.bias))
    x = torch.relu(torch.conv2d(x, self.conv2.weight, self.conv2.bias))
    return torch.linear(torch.flatten(x, 1), self.fc.weight, self.fc.bias)
)",
                             convolutions, image);
  EXPECT_EQ(groups_of(map), (Groups{{4, 0}, {6, 0}, {3, 3}}));
  ASSERT_EQ(map.layers.size(), 3U);
  EXPECT_EQ(map.layers[0].name, "conv1");
  EXPECT_EQ(map.layers[2].name, "fc");
  EXPECT_EQ(map.head, 2);
  EXPECT_EQ(map.removable_units(), 10);
}

TEST(Analysis, LabelsEachFlattenedPositionWithItsChannel) {
  const UnitMap map = map_of(R"(
    x = torch.relu(torch.conv2d(x, self.conv1.weight, self.conv1.bias))
    x = torch.relu(torch.conv2d(x, self.conv2.weight, self.conv2.bias))
    return torch.linear(x.permute(0, 2, 3, 1).flatten(1), self.fc.weight, self.fc.bias)
)",
                             convolutions, image);
  const auto& reads = map.parameters[static_cast<size_t>(map.layers[2].weight)][1];
  ASSERT_EQ(reads.size(), 96U);  // channels last: position i is channel i mod 6
  for (size_t i = 0; i < reads.size(); ++i)
    EXPECT_EQ(reads[i], map.layers[1].units[i % 6]);
}

TEST(Analysis, TiesTheSidesOfAResidualAdd) {
  const UnitMap map = map_of(R"(
    x = torch.relu(torch.linear(x, self.a.weight))
    y = torch.relu(torch.linear(x, self.b.weight))
    y = torch.linear(y, self.c.weight)
    return torch.linear(torch.relu(x + y), self.d.weight)
)",
                             {{"a.weight", normal({5, 3}, 1)},
                              {"b.weight", normal({7, 5}, 2)},
                              {"c.weight", normal({5, 7}, 3)},
                              {"d.weight", normal({2, 5}, 4)}},
                             normal({2, 3}, 5));
  EXPECT_EQ(groups_of(map), (Groups{{5, 0}, {7, 0}, {2, 2}}));
  EXPECT_EQ(map.groups[0].layers, (std::vector<int32_t>{0, 2}));
  EXPECT_EQ(map.layers[0].units, map.layers[2].units);
}

TEST(Analysis, PinsWhatIsAddedToTheInput) {
  const UnitMap map =
      map_of(R"(
    x = x + torch.linear(torch.relu(torch.linear(x, self.a.weight)), self.b.weight)
    return torch.linear(x, self.c.weight)
)",
             {{"a.weight", normal({6, 4}, 1)}, {"b.weight", normal({4, 6}, 2)}, {"c.weight", normal({2, 4}, 3)}},
             normal({2, 4}, 4));
  EXPECT_EQ(groups_of(map), (Groups{{6, 0}, {4, 4}, {2, 2}}));
  EXPECT_TRUE(pinned_by(map, "aten::add", PinReason::none, 4));
}

TEST(Analysis, TiesADepthwiseConvolutionChannelByChannel) {
  const UnitMap map = map_of(
      R"(
    x = torch.conv2d(x, self.a.weight)
    x = torch.relu(torch.conv2d(x, self.b.weight, None, [1, 1], [1, 1], [1, 1], 6))
    return torch.linear(x.mean([2, 3]), self.c.weight)
)",
      {{"a.weight", normal({6, 1, 3, 3}, 1)}, {"b.weight", normal({6, 1, 3, 3}, 2)}, {"c.weight", normal({2, 6}, 3)}},
      image);
  EXPECT_EQ(groups_of(map), (Groups{{6, 0}, {2, 2}}));
  EXPECT_EQ(map.layers[0].units, map.layers[1].units);
}

TEST(Analysis, MakesOneUnitOfAGroupOfAGroupedConvolution) {
  const UnitMap map = map_of(
      R"(
    x = torch.conv2d(x, self.a.weight)
    x = torch.relu(torch.conv2d(x, self.b.weight, None, [1, 1], [1, 1], [1, 1], 3))
    return torch.linear(x.mean([2, 3]), self.c.weight)
)",
      {{"a.weight", normal({6, 1, 3, 3}, 1)}, {"b.weight", normal({9, 2, 3, 3}, 2)}, {"c.weight", normal({2, 9}, 3)}},
      image);
  EXPECT_EQ(groups_of(map), (Groups{{3, 0}, {2, 2}}));
}

TEST(Analysis, CutsBatchNormWithItsChannels) {
  const UnitMap map = map_of(R"(
    x = torch.conv2d(x, self.a.weight)
    x = torch.batch_norm(x, self.bn.weight, self.bn.bias, self.bn.running_mean, self.bn.running_var, False, 0.1, 1e-5, False)
    return torch.linear(x.mean([2, 3]), self.c.weight)
)",
                             {{"a.weight", normal({6, 1, 3, 3}, 1)},
                              {"bn.weight", normal({6}, 2)},
                              {"bn.bias", normal({6}, 3)},
                              {"bn.running_mean", normal({6}, 4)},
                              {"bn.running_var", normal({6}, 5).abs() + 1},
                              {"c.weight", normal({2, 6}, 6)}},
                             image);
  EXPECT_EQ(groups_of(map), (Groups{{6, 0}, {2, 2}}));
  int64_t cut = 0;
  for (const auto& dimensions : map.parameters)
    cut += !dimensions.empty() && dimensions[0] == map.layers[0].units ? 1 : 0;
  EXPECT_EQ(cut, 5);  // the convolution's weight and batch norm's four
}

TEST(Analysis, PinsWhatAnUnknownOperationReads) {
  const UnitMap map =
      map_of(R"(
    x = torch.relu(torch.linear(x, self.a.weight))
    x = torch.logcumsumexp(x, 1)
    return torch.linear(torch.relu(torch.linear(x, self.b.weight)), self.c.weight)
)",
             {{"a.weight", normal({6, 4}, 1)}, {"b.weight", normal({5, 6}, 2)}, {"c.weight", normal({2, 5}, 3)}},
             normal({2, 4}, 4));
  EXPECT_EQ(groups_of(map), (Groups{{6, 6}, {5, 0}, {2, 2}}));
  EXPECT_TRUE(pinned_by(map, "aten::logcumsumexp", PinReason::unknown, 6));
}

TEST(Analysis, PinsUnitsThatASoftmaxMixes) {
  const UnitMap map = map_of(R"(
    x = torch.softmax(torch.linear(x, self.a.weight), 1)
    return torch.linear(x, self.b.weight)
)",
                             {{"a.weight", normal({6, 4}, 1)}, {"b.weight", normal({2, 6}, 2)}}, normal({2, 4}, 3));
  EXPECT_EQ(groups_of(map), (Groups{{6, 6}, {2, 2}}));
  EXPECT_TRUE(pinned_by(map, "aten::softmax", PinReason::reduced, 6));
}

TEST(Analysis, PinsASingleUnitThatIsBroadcastOverOthers) {
  const UnitMap map = map_of(R"(
    y = torch.sigmoid(torch.conv2d(x, self.gate.weight))
    x = torch.relu(torch.conv2d(x, self.a.weight)) * y
    return torch.linear(x.mean([2, 3]), self.b.weight)
)",
                             {{"gate.weight", normal({1, 1, 3, 3}, 1)},
                              {"a.weight", normal({6, 1, 3, 3}, 2)},
                              {"b.weight", normal({2, 6}, 3)}},
                             image);
  EXPECT_EQ(groups_of(map), (Groups{{1, 1}, {6, 0}, {2, 2}}));
}

TEST(Analysis, TiesLayersThatShareTheirWeight) {
  const UnitMap map =
      map_of(R"(
    x = torch.relu(torch.linear(x, self.a.weight))
    x = torch.relu(torch.linear(x, self.b.weight))
    x = torch.relu(torch.linear(x, self.b.weight))
    return torch.linear(x, self.c.weight)
)",
             {{"a.weight", normal({6, 4}, 1)}, {"b.weight", normal({6, 6}, 2)}, {"c.weight", normal({2, 6}, 3)}},
             normal({2, 4}, 4));
  EXPECT_EQ(groups_of(map), (Groups{{6, 0}, {2, 2}}));
}

TEST(Analysis, KeepsUnitsApartInAConcatenation) {
  const UnitMap map =
      map_of(R"(
    y = torch.relu(torch.linear(x, self.a.weight))
    z = torch.relu(torch.linear(x, self.b.weight))
    return torch.linear(torch.cat([y, x, z], 1), self.c.weight)
)",
             {{"a.weight", normal({3, 4}, 1)}, {"b.weight", normal({5, 4}, 2)}, {"c.weight", normal({2, 12}, 3)}},
             normal({2, 4}, 4));
  EXPECT_EQ(groups_of(map), (Groups{{3, 0}, {5, 0}, {2, 2}}));
  const auto& reads = map.parameters[static_cast<size_t>(map.layers[2].weight)][1];
  EXPECT_EQ(reads[3], no_unit);
  EXPECT_EQ(reads[7], map.layers[1].units[0]);
}

TEST(Analysis, NotesTheSizesThatShrinkWithAView) {
  const UnitMap map = map_of(R"(
    x = torch.relu(torch.conv2d(x, self.conv1.weight, self.conv1.bias))
    x = torch.relu(torch.conv2d(x, self.conv2.weight, self.conv2.bias))
    return torch.linear(x.view([x.size(0), 96]), self.fc.weight, self.fc.bias)
)",
                             convolutions, image);
  EXPECT_EQ(groups_of(map), (Groups{{4, 0}, {6, 0}, {3, 3}}));
  ASSERT_EQ(map.sizes.size(), 1U);
  EXPECT_EQ(map.sizes[0].element, 1);
}

TEST(Analysis, FindsNoHeadBehindAnOperationThatMixesOutputs) {
  const UnitMap map = map_of("    return torch.cumsum(torch.linear(x, self.a.weight), 1)\n",
                             {{"a.weight", normal({3, 4}, 1)}}, normal({2, 4}, 2));
  EXPECT_EQ(map.head, -1);
  EXPECT_EQ(map.removable_units(), 0);
}

TEST(Analysis, ListsWhatIsKeptWholeAndWhy) {
  const UnitMap map = map_of(R"(
    x = torch.linear(x + self.shift, self.scale * self.fc1, self.bias)
    x = torch.linear(x, self.fc2.weight)
    x = torch.layer_norm(x, [5], self.norm.weight, self.norm.bias)
    return torch.linear(torch.bilinear(x, x, self.pair.weight, None), self.fc3.weight)
)",
                             {{"shift", normal({4}, 1)},
                              {"scale", normal({1}, 2)},
                              {"fc1", normal({6, 4}, 3)},
                              {"bias", normal({6}, 4)},
                              {"fc2.weight", normal({5, 6}, 5)},
                              {"norm.weight", normal({5}, 6)},
                              {"norm.bias", normal({5}, 7)},
                              {"pair.weight", normal({4, 5, 5}, 8)},
                              {"fc3.weight", normal({3, 4}, 9)}},
                             normal({2, 4}, 10));
  std::vector<std::tuple<std::string, std::string, PinReason, size_t>> found;
  for (const WholeLayer& layer : map.whole_layers)
    found.emplace_back(layer.name, layer.op, layer.reason, layer.parameters.size());
  using Whole = std::tuple<std::string, std::string, PinReason, size_t>;
  EXPECT_THAT(found, testing::UnorderedElementsAre(Whole{"shift", "aten::add", PinReason::none, 1},
                                                   Whole{"scale", "aten::linear", PinReason::computed, 1},
                                                   Whole{"fc1", "aten::linear", PinReason::computed, 1},
                                                   Whole{"bias", "aten::linear", PinReason::none, 1},
                                                   Whole{"norm", "aten::layer_norm", PinReason::reduced, 2},
                                                   Whole{"pair", "aten::bilinear", PinReason::unknown, 1}));
}

TEST(Analysis, FreesTheUnitsThatASqueezeWithoutADimensionReads) {
  const UnitMap map = map_of(
      R"(
    x = torch.relu(torch.conv2d(x, self.conv1.weight, self.conv1.bias))
    return torch.linear(torch.adaptive_avg_pool2d(x, [1, 1]).squeeze(), self.fc.weight)
)",
      {{"conv1.weight", normal({4, 1, 3, 3}, 1)}, {"conv1.bias", normal({4}, 2)}, {"fc.weight", normal({3, 4}, 3)}},
      image);
  EXPECT_EQ(groups_of(map), (Groups{{4, 0}, {3, 3}}));
}

}  // namespace
}  // namespace incite
