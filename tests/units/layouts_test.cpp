// Units of networks whose labels vary along several axes on their way: shuffles, chunks, attention, recurrent layers.

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "program/executor.hpp"
#include "slicing/slice.hpp"
#include "support/masking.hpp"
#include "support/random_network.hpp"
#include "support/script.hpp"
#include "units/unit_map.hpp"

namespace incite {
namespace {

using test::normal;
using Groups = std::vector<std::pair<int64_t, int64_t>>;

struct Analysed {
  Analysed(const std::string& body, const test::Parameters& parameters, at::Tensor batch)
      : input(std::move(batch)),
        program(test::program_from("def forward(self, x):\n" + body, parameters, input)),
        map(analyse(program, sample_values(program, input))) {}

  /// Units and pinned units of each group.
  Groups groups() const {
    Groups all;
    for (const Group& group : map.groups)
      all.emplace_back(group.units.size(), map.pinned_units(group));
    return all;
  }

  /// The difference between a slice without every second removable unit of a group and the masked original; fails where
  /// masking changes nothing.
  double cut_every_second(size_t group) const {
    Selection keep(map.units.size(), true);
    for (size_t i = 1; i < map.groups[group].units.size(); i += 2) {
      const int32_t unit = map.groups[group].units[i];
      keep[static_cast<size_t>(unit)] = map.units[static_cast<size_t>(unit)].pinned;
    }
    EXPECT_TRUE(test::masking_changes(program, map, keep, input));
    return slice_difference(program, map, keep, slice(program, map, keep), input);
  }

  bool pinned_by(const std::string& op, PinReason reason, size_t units) const {
    for (const Pin& pin : map.pins) {
      if (pin.op == op && pin.reason == reason && pin.units.size() == units) return true;
    }
    return false;
  }

  at::Tensor input;
  Program program;
  UnitMap map;
};

const at::Tensor images = normal({3, 2, 6, 6}, 7);
const at::Tensor sequence = normal({3, 5, 6}, 8);

const test::Parameters two_convolutions = {
    {"a.weight", normal({8, 2, 3, 3}, 1)}, {"b.weight", normal({6, 8, 1, 1}, 2)}, {"head.weight", normal({3, 6}, 3)}};

TEST(Layouts, LeaveUnitsApartInAChannelShuffle) {
  const Analysed net(R"(
    x = torch.relu(torch.conv2d(x, self.a.weight))
    x = x.view(x.size(0), 2, 4, 4, 4).transpose(1, 2).contiguous().view(x.size(0), 8, 4, 4)
    x = torch.relu(torch.conv2d(x, self.b.weight))
    return torch.linear(x.mean([2, 3]), self.head.weight)
)",
                     two_convolutions, images);
  EXPECT_EQ(net.groups(), (Groups{{8, 0}, {6, 0}, {3, 3}}));
  const auto& reads = net.map.parameters[static_cast<size_t>(net.map.layers[1].weight)][1];
  const std::vector<int32_t> shuffled = {0, 4, 1, 5, 2, 6, 3, 7};
  EXPECT_EQ(reads, shuffled);
  ASSERT_EQ(net.map.rearrangements.size(), 1U);
  EXPECT_EQ(net.map.rearrangements[0].positions, (std::vector<int64_t>{0, 4, 1, 5, 2, 6, 3, 7}));
  EXPECT_LE(net.cut_every_second(0), slice_tolerance);
}

TEST(Layouts, LeaveUnitsApartInChunksOfUnequalCuts) {
  const Analysed net(R"(
    x = torch.relu(torch.conv2d(x, self.a.weight))
    y, z = torch.chunk(x, 2, 1)
    x = torch.cat([z, torch.tanh(y)], 1)
    x = torch.relu(torch.conv2d(x, self.b.weight))
    return torch.linear(x.mean([2, 3]), self.head.weight)
)",
                     two_convolutions, images);
  EXPECT_EQ(net.groups(), (Groups{{8, 0}, {6, 0}, {3, 3}}));
  Selection keep(net.map.units.size(), true);
  for (const size_t unit : {0, 1, 2, 5})  // three of the first chunk, one of the second
    keep[unit] = false;
  EXPECT_TRUE(test::masking_changes(net.program, net.map, keep, net.input));
  const Program sliced = slice(net.program, net.map, keep);
  EXPECT_LE(slice_difference(net.program, net.map, keep, sliced, net.input), slice_tolerance);
}

TEST(Layouts, MoveTheIndexOfASelectedChannel) {
  const Analysed net(R"(
    x = torch.relu(torch.conv2d(x, self.a.weight))
    x = torch.cat([x, x[:, 5].unsqueeze(1)], 1)
    return torch.linear(x.mean([2, 3]), self.b.weight)
)",
                     {{"a.weight", normal({8, 2, 3, 3}, 1)}, {"b.weight", normal({3, 9}, 2)}}, images);
  EXPECT_EQ(net.groups(), (Groups{{8, 1}, {3, 3}}));  // the selected one stays
  EXPECT_LE(net.cut_every_second(0), slice_tolerance);
}

TEST(Layouts, TieWhatAPixelShuffleInterleaves) {
  const Analysed net(R"(
    x = torch.pixel_shuffle(torch.conv2d(x, self.a.weight), 2)
    x = torch.relu(torch.conv2d(x, self.b.weight))
    return torch.linear(x.mean([2, 3]), self.head.weight)
)",
                     {{"a.weight", normal({12, 2, 3, 3}, 1)},
                      {"b.weight", normal({6, 3, 1, 1}, 2)},
                      {"head.weight", normal({3, 6}, 3)}},
                     images);
  EXPECT_EQ(net.groups(), (Groups{{3, 0}, {6, 0}, {3, 3}}));
  EXPECT_LE(net.cut_every_second(0), slice_tolerance);
}

TEST(Layouts, SettleAlongTheAxisThatLeavesMostUnits) {
  // What is added differs along both axes, and can be cut along one: three units of two channels are more than two of
  // three.
  const Analysed net(R"(
    x = torch.conv2d(x, self.a.weight).unflatten(1, [2, 3]) + self.offset
    x = torch.conv2d(torch.relu(x.flatten(1, 2)), self.b.weight)
    return torch.linear(x.mean([2, 3]), self.head.weight)
)",
                     {{"a.weight", normal({6, 2, 3, 3}, 1)},
                      {"offset", normal({2, 3, 1, 1}, 4)},
                      {"b.weight", normal({5, 6, 1, 1}, 2)},
                      {"head.weight", normal({3, 5}, 3)}},
                     images);
  EXPECT_EQ(net.groups(), (Groups{{3, 0}, {5, 0}, {3, 3}}));
  EXPECT_LE(net.cut_every_second(0), slice_tolerance);
}

// Seed 7388 of RandomNetworks: a gate of one channel ties the pixels of both, so units lie along rows of pixels.
TEST(Layouts, PinWhatAPixelShuffleSpreadsOverPixels) {
  const Analysed net(R"(
    x = torch.pixel_shuffle(torch.conv2d(x, self.a.weight), 2)
    x = x * torch.sigmoid(x.select(1, 1).unsqueeze(1))
    return torch.linear(x.permute(0, 2, 3, 1).flatten(1), self.head.weight)
)",
                     {{"a.weight", normal({8, 2, 3, 3}, 1)}, {"head.weight", normal({3, 128}, 3)}}, images);
  EXPECT_EQ(net.map.removable_units(), 0);
  EXPECT_TRUE(net.pinned_by("aten::pixel_shuffle", PinReason::layout, 2));
}

TEST(Layouts, PadChannelsWithZerosOfNoUnit) {
  const Analysed net(R"(
    x = torch.relu(torch.conv2d(x, self.a.weight))
    y = torch.conv2d(x, self.b.weight)
    x = torch.relu(torch.pad(x, [0, 0, 0, 0, 1, 2]) + y)
    return torch.linear(x.mean([2, 3]), self.head.weight)
)",
                     {{"a.weight", normal({4, 2, 3, 3}, 1)},
                      {"b.weight", normal({7, 4, 1, 1}, 2)},
                      {"head.weight", normal({3, 7}, 3)}},
                     images);
  EXPECT_EQ(net.groups(), (Groups{{7, 3}, {3, 3}}));  // those beside the padding are added to nothing
  EXPECT_LE(net.cut_every_second(0), slice_tolerance);
}

TEST(Attention, HasWholeHeadsForUnits) {
  const std::string project = R"(
    qkv = torch.linear(x, self.qkv.weight, self.qkv.bias).reshape(x.size(0), 5, 3, 4, 2).permute(2, 0, 3, 1, 4)
    q, k, v = qkv[0], qkv[1], qkv[2]
)";
  const std::string join = R"(
    x = torch.linear(x.transpose(1, 2).reshape(-1, 5, 8), self.out.weight)
    return torch.linear(x.mean(1), self.head.weight)
)";
  const test::Parameters parameters = {{"qkv.weight", normal({24, 6}, 1)},
                                       {"qkv.bias", normal({24}, 2)},
                                       {"out.weight", normal({7, 8}, 3)},
                                       {"head.weight", normal({3, 7}, 4)}};
  for (const std::string attend :
       {"    x = torch.scaled_dot_product_attention(q, k, v)\n",
        "    x = torch.softmax((q * 0.5) @ k.transpose(-2, -1), -1) @ v\n",
        "    x = torch.einsum('bhij,bhjd->bhid', [torch.einsum('bhid,bhjd->bhij', [q, k]), v])\n"}) {
    const Analysed net(project + attend + join, parameters, sequence);
    EXPECT_EQ(net.groups(), (Groups{{4, 0}, {7, 0}, {3, 3}})) << attend;
    EXPECT_EQ(net.map.units[0].members.size(), 6U);  // two channels each of query, key and value
    EXPECT_LE(net.cut_every_second(0), slice_tolerance) << attend;
  }
}

TEST(Attention, CutsHeadsThatAreMergedIntoTheBatch) {
  const Analysed net(R"(
    n = x.size(0)
    x = x.transpose(0, 1)
    q = torch.linear(x, self.q.weight).view(5, n * 4, 2).transpose(0, 1)
    k = torch.linear(x, self.k.weight).view(5, n * 4, 2).transpose(0, 1)
    v = torch.linear(x, self.v.weight).view(5, n * 4, 2).transpose(0, 1)
    x = torch.bmm(torch.softmax(torch.bmm(q, k.transpose(1, 2)), -1), v)
    x = x.transpose(0, 1).contiguous().view(5, n, 8).mean(0)
    return torch.linear(x, self.head.weight)
)",
                     {{"q.weight", normal({8, 6}, 1)},
                      {"k.weight", normal({8, 6}, 2)},
                      {"v.weight", normal({8, 6}, 3)},
                      {"head.weight", normal({3, 8}, 4)}},
                     sequence);
  EXPECT_EQ(net.groups(), (Groups{{4, 0}, {3, 3}}));
  EXPECT_LE(net.cut_every_second(0), slice_tolerance);
}

TEST(Attention, CutsABiasOfEachHead) {
  const Analysed net(R"(
    q = torch.linear(x, self.q.weight).view(-1, 5, 4, 2).transpose(1, 2)
    k = torch.linear(x, self.k.weight).view(-1, 5, 4, 2).transpose(1, 2)
    bias = self.table.weight.t().reshape(4, 5, 5).exp()
    x = torch.softmax(q @ k.transpose(-2, -1) + bias, -1) @ q
    return torch.linear(x.transpose(1, 2).reshape(-1, 5, 8).mean(1), self.head.weight)
)",
                     {{"q.weight", normal({8, 6}, 1)},
                      {"k.weight", normal({8, 6}, 2)},
                      {"table.weight", normal({25, 4}, 3)},
                      {"head.weight", normal({3, 8}, 4)}},
                     sequence);
  EXPECT_EQ(net.groups(), (Groups{{4, 0}, {3, 3}}));
  ASSERT_EQ(net.map.crops.size(), 1U);
  EXPECT_LE(net.cut_every_second(0), slice_tolerance);
}

TEST(Normalisation, PinsTheChannelsThatItMixesAndNoOthers) {
  const Analysed net(R"(
    x = torch.linear(x, self.a.weight)
    x = x + torch.linear(torch.gelu(torch.linear(torch.layer_norm(x, [6]), self.b.weight)), self.c.weight)
    return torch.linear(torch.layer_norm(x, [6]).mean(1), self.head.weight)
)",
                     {{"a.weight", normal({6, 6}, 1)},
                      {"b.weight", normal({9, 6}, 2)},
                      {"c.weight", normal({6, 9}, 3)},
                      {"head.weight", normal({3, 6}, 4)}},
                     sequence);
  EXPECT_EQ(net.groups(), (Groups{{6, 6}, {9, 0}, {3, 3}}));
  EXPECT_TRUE(net.pinned_by("aten::layer_norm", PinReason::reduced, 6));
}

TEST(Normalisation, MakesOneUnitOfAGroupOfGroupNorm) {
  const Analysed net(R"(
    x = torch.group_norm(torch.conv2d(x, self.a.weight), 4, self.norm.weight, self.norm.bias, 0.01)
    x = torch.relu(torch.conv2d(x, self.b.weight))
    return torch.linear(x.mean([2, 3]), self.head.weight)
)",
                     {{"a.weight", normal({8, 2, 3, 3}, 1)},
                      {"norm.weight", normal({8}, 4)},
                      {"norm.bias", normal({8}, 5)},
                      {"b.weight", normal({6, 8, 1, 1}, 2)},
                      {"head.weight", normal({3, 6}, 3)}},
                     images);
  EXPECT_EQ(net.groups(), (Groups{{4, 0}, {6, 0}, {3, 3}}));
  EXPECT_LE(net.cut_every_second(0), slice_tolerance);
}

TEST(Recurrent, HasHiddenUnitsWithAllTheirGates) {
  const test::Parameters parameters = {
      {"rnn.weight_ih_l0", normal({20, 6}, 1)}, {"rnn.weight_hh_l0", normal({20, 5}, 2)},
      {"rnn.bias_ih_l0", normal({20}, 3)},      {"rnn.bias_hh_l0", normal({20}, 4)},
      {"rnn.weight_ih_l1", normal({20, 5}, 5)}, {"rnn.weight_hh_l1", normal({20, 5}, 6)},
      {"rnn.bias_ih_l1", normal({20}, 7)},      {"rnn.bias_hh_l1", normal({20}, 8)},
      {"head.weight", normal({3, 5}, 9)}};
  const std::string run = R"(
    start = torch.zeros([2, x.size(0), 5])
    y, h, c = torch.lstm(x, [start, start], [self.rnn.weight_ih_l0, self.rnn.weight_hh_l0, self.rnn.bias_ih_l0, self.rnn.bias_hh_l0, self.rnn.weight_ih_l1, self.rnn.weight_hh_l1, self.rnn.bias_ih_l1, self.rnn.bias_hh_l1], True, 2, 0.0, False, False, True)
)";
  for (const std::string read : {"y[:, -1]", "h[-1]", "y.mean(1)", "h[0] + c[1]"}) {
    const Analysed net(run + "    return torch.linear(" + read + ", self.head.weight)\n", parameters, sequence);
    const bool both = read == "h[0] + c[1]";  // ties the layers
    EXPECT_EQ(net.groups(), both ? (Groups{{5, 0}, {3, 3}}) : (Groups{{5, 0}, {5, 0}, {3, 3}})) << read;
    EXPECT_EQ(net.map.layers[0].name, "rnn.l0");
    EXPECT_LE(net.cut_every_second(0), slice_tolerance) << read;
    if (!both) {
      EXPECT_LE(net.cut_every_second(1), slice_tolerance) << read;
    }
  }
}

TEST(Recurrent, TiesBothDirections) {
  const Analysed net(R"(
    start = torch.zeros([2, x.size(0), 4])
    y, h = torch.gru(x, start, [self.rnn.weight_ih_l0, self.rnn.weight_hh_l0, self.rnn.weight_ih_l0_reverse, self.rnn.weight_hh_l0_reverse], False, 1, 0.0, False, True, True)
    return torch.linear(y.mean(1), self.head.weight)
)",
                     {{"rnn.weight_ih_l0", normal({12, 6}, 1)},
                      {"rnn.weight_hh_l0", normal({12, 4}, 2)},
                      {"rnn.weight_ih_l0_reverse", normal({12, 6}, 3)},
                      {"rnn.weight_hh_l0_reverse", normal({12, 4}, 4)},
                      {"head.weight", normal({3, 8}, 5)}},
                     sequence);
  EXPECT_EQ(net.groups(), (Groups{{4, 0}, {3, 3}}));
  EXPECT_LE(net.cut_every_second(0), slice_tolerance);
}

TEST(Embedding, HasThePositionsOfItsVectorsForUnits) {
  const Analysed net(R"(
    x = torch.embedding(self.words.weight, x) + self.places.weight
    return torch.linear(torch.relu(torch.linear(x.mean(1), self.a.weight)), self.head.weight)
)",
                     {{"words.weight", normal({11, 6}, 1)},
                      {"places.weight", normal({5, 6}, 2)},
                      {"a.weight", normal({4, 6}, 3)},
                      {"head.weight", normal({3, 4}, 4)}},
                     at::arange(15, at::kLong).remainder(11).view({3, 5}));
  EXPECT_EQ(net.groups(), (Groups{{6, 0}, {4, 0}, {3, 3}}));
  EXPECT_LE(net.cut_every_second(0), slice_tolerance);
}

TEST(Writes, IntoASliceAreCutBesideIt) {
  const Analysed net(R"(
    x = torch.conv2d(x, self.a.weight)
    x[:, :, 1] += 1.0
    x[:, :, :, :2] = x[:, :, :, 2:] * 2.0
    x = torch.relu(torch.conv2d(x, self.b.weight))
    return torch.linear(x.mean([2, 3]), self.head.weight)
)",
                     two_convolutions, images);
  EXPECT_EQ(net.groups(), (Groups{{8, 0}, {6, 0}, {3, 3}}));
  EXPECT_LE(net.cut_every_second(0), slice_tolerance);
}

// Found by RandomNetworks: labels of a second operand were lost where the first had none.
TEST(Elementwise, TiesASecondOperandWhereTheFirstHasNoLabels) {
  for (const std::string join :
       {"torch.max(start, x)", "torch.minimum(start, x)", "torch.where(start > 0, start, x)"}) {
    const Analysed net(R"(
    start = x[:, :1].repeat([1, 8, 1, 1])[:, :, 1:5, 1:5]
    x = torch.conv2d(x, self.a.weight)
    x = )" + join + R"(
    x = torch.relu(torch.conv2d(x, self.b.weight))
    return torch.linear(x.mean([2, 3]), self.head.weight)
)",
                       two_convolutions, images);
    EXPECT_EQ(net.groups(), (Groups{{8, 8}, {6, 0}, {3, 3}})) << join;  // the input is of no unit
    EXPECT_LE(net.cut_every_second(1), slice_tolerance) << join;
  }
}

TEST(Elementwise, PinsUnitsThatMakeAnotherOperationsParameters) {
  const Analysed net(R"(
    gain = torch.linear(x.mean([2, 3]), self.gain.weight).mean(0)
    x = torch.batch_norm(torch.pad(x, [0, 0, 0, 0, 0, 2]), gain, None, self.mean, self.variance, False, 0.1, 1e-5, False)
    x = torch.relu(torch.conv2d(x, self.b.weight))
    return torch.linear(x.mean([2, 3]), self.head.weight)
)",
                     {{"gain.weight", normal({4, 2}, 1)},
                      {"mean", normal({4}, 4)},
                      {"variance", normal({4}, 5).abs() + 1},
                      {"b.weight", normal({6, 4, 1, 1}, 2)},
                      {"head.weight", normal({3, 6}, 3)}},
                     images);
  EXPECT_TRUE(net.pinned_by("aten::batch_norm", PinReason::computed, 4));
}

TEST(Spans, KeepAChunkThatWouldBeEmpty) {
  const Analysed net(R"(
    x = torch.relu(torch.conv2d(x, self.a.weight))
    y, z = torch.split(x, [2, 6], 1)
    return torch.linear(torch.conv2d(y, self.b.weight).mean([2, 3]) + torch.conv2d(z, self.c.weight).mean([2, 3]), self.head.weight)
)",
                     {{"a.weight", normal({8, 2, 3, 3}, 1)},
                      {"b.weight", normal({4, 2, 1, 1}, 2)},
                      {"c.weight", normal({4, 6, 1, 1}, 3)},
                      {"head.weight", normal({3, 4}, 4)}},
                     images);
  Selection keep(net.map.units.size(), true);
  keep[0] = keep[1] = false;  // all of the first chunk, but not of the layer
  ASSERT_EQ(empty_spans(net.map, keep).size(), 1U);
  EXPECT_EQ(net.map.spans[empty_spans(net.map, keep)[0]], (std::vector<int32_t>{0, 1}));
}

TEST(Spans, KeepAPartThatIsReadByNoLayer) {
  const Analysed net(R"(
    y, z = torch.split(torch.conv2d(x, self.a.weight), [2, 6], 1)
    x = torch.cat([torch.max_pool2d(y, [2, 2]), torch.avg_pool2d(z, [2, 2])], 1)
    return torch.linear(x.mean([2, 3]), self.head.weight)
)",
                     {{"a.weight", normal({8, 2, 3, 3}, 1)}, {"head.weight", normal({3, 8}, 4)}}, images);
  Selection keep(net.map.units.size(), true);
  keep[0] = keep[1] = false;
  ASSERT_EQ(empty_spans(net.map, keep).size(), 1U);  // pooling takes no value without channels
  EXPECT_EQ(net.map.spans[empty_spans(net.map, keep)[0]], (std::vector<int32_t>{0, 1}));
}

}  // namespace
}  // namespace incite
