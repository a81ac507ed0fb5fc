#include "evaluation/overlap.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/unit_maps.hpp"

namespace incite {
namespace {

using test::UnitMapBuilder;

/// Four units of layer 0, a group, and two of layer 1, the head.
UnitMap small_map() {
  UnitMapBuilder builder(2);
  builder.add_layer(0, 0, 4);
  builder.add_layer(1, 1, 2, /*pinned=*/true);
  builder.set_head(1);
  return builder.build();
}

void expect_matrix(const at::Tensor& found, const std::vector<double>& expected, int64_t modules) {
  ASSERT_EQ(found.scalar_type(), at::kDouble);
  ASSERT_EQ(found.sizes(), at::IntArrayRef({modules, modules}));
  EXPECT_TRUE(at::allclose(found, at::tensor(expected, at::kDouble).view({modules, modules}), 0, 1e-15)) << found;
}

TEST(Overlap, IsTheUnitsOfBothOverTheUnitsOfEither) {
  const std::vector<Selection> selections = {
      {true, true, true, false, true, true},    // {0, 1, 2}
      {false, true, true, true, true, true},    // {1, 2, 3}
      {true, false, false, false, true, true},  // {0}
  };
  // {0, 1, 2} and {1, 2, 3}: 2 of 4. {0, 1, 2} and {0}: 1 of 3. {1, 2, 3} and {0}: 0 of 4.
  expect_matrix(overlap_matrix(small_map(), selections), {1, 0.5, 1.0 / 3, 0.5, 1, 0, 1.0 / 3, 0, 1}, 3);
}

TEST(Overlap, DoesNotCountTheHeadsUnits) {
  // With the head's two units, 0 and 2 of 4 would be alike.
  const std::vector<Selection> selections = {{true, true, false, false, true, true},
                                             {false, false, true, true, true, true}};
  expect_matrix(overlap_matrix(small_map(), selections), {1, 0, 0, 1}, 2);
}

TEST(Overlap, CountsAllLayersWhereThereIsNoHead) {
  UnitMap map = small_map();
  map.head = -1;
  const std::vector<Selection> selections = {{true, true, false, false, true, true},
                                             {false, false, true, true, true, true}};
  expect_matrix(overlap_matrix(map, selections), {1, 1.0 / 3, 1.0 / 3, 1}, 2);  // 2 of 6
}

TEST(Overlap, CountsAUnitOnceForEachOfItsLayers) {
  UnitMapBuilder builder(3);
  builder.add(0, {{0, 0}, {1, 0}});
  builder.add(0, {{0, 1}});
  builder.add(0, {{1, 1}});
  builder.set_head(2);
  // Both have unit 0, in two layers; one has unit 1 besides, the other unit 2: 2 of 4.
  expect_matrix(overlap_matrix(builder.build(), {{true, true, false}, {true, false, true}}), {1, 0.5, 0.5, 1}, 2);
}

TEST(Overlap, CountsAUnitOnceForEachOfItsChannels) {
  UnitMapBuilder builder(1);
  builder.add(0, {{0, 0}, {0, 1}, {0, 2}});
  builder.add(0, {{0, 3}});
  expect_matrix(overlap_matrix(builder.build(), {{true, true}, {true, false}}), {1, 0.75, 0.75, 1}, 2);
}

TEST(Overlap, LeavesOutOnlyTheHeadsChannelsOfAUnitThatHasOthers) {
  UnitMapBuilder builder(2);
  builder.add(0, {{0, 0}, {1, 0}});
  builder.add(0, {{0, 1}, {1, 1}});
  builder.add(1, {{0, 2}});
  builder.set_head(1);
  // {0, 1} and {1, 2}, in layer 0 alone: 1 of 3. With the head's channels it would be 2 of 5.
  expect_matrix(overlap_matrix(builder.build(), {{true, true, false}, {false, true, true}}), {1, 1.0 / 3, 1.0 / 3, 1},
                2);
}

TEST(MeanOverlap, IsTheMeanOverPairsOfDifferentModules) {
  const at::Tensor matrix = at::tensor({1.0, 0.5, 0.25, 0.5, 1.0, 0.0, 0.25, 0.0, 1.0}, at::kDouble).view({3, 3});
  EXPECT_DOUBLE_EQ(mean_overlap(matrix), 0.25);  // (0.5 + 0.25 + 0) / 3
}

TEST(MeanOverlap, IsOneForASingleModule) {
  EXPECT_EQ(mean_overlap(overlap_matrix(small_map(), {{true, true, false, false, true, true}})), 1);
  EXPECT_EQ(mean_overlap(at::ones({1, 1}, at::kDouble)), 1);
}

TEST(MeanOverlap, IsOneWhereAllModulesKeepTheSame) {
  const Selection selection = {true, false, true, false, true, true};
  EXPECT_DOUBLE_EQ(mean_overlap(overlap_matrix(small_map(), {selection, selection, selection})), 1);
}

}  // namespace
}  // namespace incite
