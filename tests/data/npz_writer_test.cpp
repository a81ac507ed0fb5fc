#include "data/npz_writer.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <fstream>

#include "data/npz.hpp"
#include "support/npz_forge.hpp"

namespace incite {
namespace {

TEST(NpzWriter, WritesWhatNpzFileReads) {
  const test::TempDir folder;
  const at::Tensor doubles = at::tensor({1.5, -2.0, 1e300, 0.0, 3.25, 7.0}, at::kDouble).view({2, 3});
  const at::Tensor integers = at::tensor({int64_t{1} << 62, int64_t{-5}}, at::kLong);
  const at::Tensor bytes = at::tensor({0, 255, 10}, at::kByte);
  const at::Tensor empty = at::zeros({0, 4}, at::kDouble);
  const std::string content = to_npz({{"d", doubles.t()}, {"i", integers}, {"b", bytes}, {"none", empty}});
  std::ofstream(folder / "a.npz", std::ios::binary) << content;
  const NpzFile file(folder / "a.npz");
  EXPECT_EQ(file.keys(), (std::vector<std::string>{"b", "d", "i", "none"}));
  EXPECT_TRUE(file.read("d").equal(doubles.t()));
  EXPECT_TRUE(file.read("i").equal(integers));
  EXPECT_TRUE(file.read("b").equal(bytes));
  EXPECT_EQ(file.read("none").sizes(), (std::vector<int64_t>{0, 4}));
  EXPECT_EQ(content, to_npz({{"d", doubles.t()}, {"i", integers}, {"b", bytes}, {"none", empty}}));
}

TEST(NpzWriter, DeflatesWhatIsNotLarge) {
  const at::Tensor zeros = at::zeros({100'000}, at::kDouble);
  EXPECT_LT(to_npz({{"zeros", zeros}}).size(), 10'000U);
}

}  // namespace
}  // namespace incite
