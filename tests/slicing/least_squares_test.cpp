#include "slicing/least_squares.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "support/random_normal.hpp"

namespace incite {
namespace {

using test::random_normal;

/// Rows x = (1, 2, 3) with a 1 appended, and z = 2 x + 1.
Moments of_a_line() {
  Moments moments;
  moments.add(at::tensor({1.0, 1.0, 2.0, 1.0, 3.0, 1.0}, at::kDouble).view({3, 2}),
              at::tensor({3.0, 5.0, 7.0}, at::kDouble).view({3, 1}));
  return moments;
}

at::Tensor weights(double slope, double offset) {
  return at::tensor({slope, offset}, at::kDouble).view({2, 1});
}

TEST(LeastSquares, FindsTheLineThatRowsLieOn) {
  const Moments moments = of_a_line();
  EXPECT_TRUE(at::allclose(LeastSquares(moments, weights(0, 0)).change(1e-12, true), weights(2, 1), 1e-8, 1e-8));
  EXPECT_TRUE(at::allclose(LeastSquares(moments, weights(3, -1)).change(1e-12, true), weights(-1, 2), 1e-8, 1e-8));
}

TEST(LeastSquares, SaysTheErrorOverTheVariance) {
  // z = (3, 5, 7) has variance 8/3. Of 2 x: residuals (-1, -1, -1), mean square 1.
  const Moments moments = of_a_line();
  EXPECT_NEAR(LeastSquares(moments, weights(2, 1)).error(), 0, 1e-12);
  EXPECT_NEAR(LeastSquares(moments, weights(2, 0)).error(), 3.0 / 8.0, 1e-12);
  EXPECT_NEAR(LeastSquares(moments, weights(5, 2)).error(weights(-3, -1)), 0, 1e-12);
  EXPECT_NEAR(LeastSquares(moments, weights(5, 2)).error(weights(-3, -2)), 3.0 / 8.0, 1e-12);
}

TEST(LeastSquares, StaysNearTheStartTheLargerTheRidge) {
  const Moments moments = of_a_line();
  const LeastSquares problem(moments, weights(0, 0));
  double previous = 10;
  for (const double ridge : {1e-3, 1.0, 1e3}) {
    const double moved = problem.change(ridge, true)[0][0].item<double>();
    EXPECT_LT(moved, previous) << ridge;
    previous = moved;
  }
  EXPECT_LT(previous, 0.01);
  // The bias is hardly held back: it goes to the mean of z.
  EXPECT_NEAR(problem.change(1e9, true)[1][0].item<double>(), 5, 1e-3);
}

TEST(LeastSquares, SumsOfPartsAreTheSumsOfTheWhole) {
  const at::Tensor x = random_normal({20, 3}, 1), z = random_normal({20, 2}, 2);
  Moments whole, parts, last;
  whole.add(x, z);
  parts.add(x.narrow(0, 0, 7), z.narrow(0, 0, 7));
  last.add(x.narrow(0, 7, 13), z.narrow(0, 7, 13));
  Moments sum;
  sum.add(parts);
  sum.add(last);
  sum.add(Moments{});
  EXPECT_EQ(sum.rows, 20);
  EXPECT_TRUE(at::allclose(sum.gram, whole.gram));
  EXPECT_TRUE(at::allclose(sum.cross, whole.cross));
  EXPECT_TRUE(at::allclose(sum.squares, whole.squares));
  EXPECT_TRUE(at::allclose(sum.sums, whole.sums));
  EXPECT_EQ(parts.rows, 7);  // its sums are its own
}

TEST(LeastSquares, SumsOfManyFeaturesAreTheirProducts) {
  const at::Tensor x = random_normal({30, 700}, 3), z = random_normal({30, 2}, 4);
  Moments moments;
  moments.add(x.narrow(0, 0, 11), z.narrow(0, 0, 11));
  moments.add(x.narrow(0, 11, 19), z.narrow(0, 11, 19));
  const at::Tensor wide = x.to(at::kDouble);
  EXPECT_TRUE(at::allclose(moments.gram, wide.t().matmul(wide), 1e-12, 1e-12));
}

TEST(LeastSquares, SumsOfSomeChannelsAreThoseOfTheirOwn) {
  const at::Tensor x = random_normal({20, 3}, 1), z = random_normal({20, 5}, 2);
  Moments all, own;
  all.add(x, z);
  own.add(x, at::stack({z.select(1, 0), z.select(1, 2), z.select(1, 4)}, 1));
  const Moments some = all.every(2);
  EXPECT_EQ(some.rows, 20);
  EXPECT_TRUE(at::allclose(some.gram, own.gram));
  EXPECT_TRUE(at::allclose(some.cross, own.cross));
  EXPECT_TRUE(at::allclose(some.squares, own.squares));
  EXPECT_TRUE(at::allclose(some.sums, own.sums));
}

TEST(LeastSquares, SaysWhereASystemCanNotBeSolved) {
  Moments moments;
  moments.add(at::full({3, 2}, std::numeric_limits<double>::quiet_NaN(), at::kDouble), at::ones({3, 1}, at::kDouble));
  EXPECT_FALSE(LeastSquares(moments, weights(0, 0)).change(1e-3, true).defined());
}

}  // namespace
}  // namespace incite
