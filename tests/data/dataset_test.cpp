#include "data/dataset.hpp"

#include <ATen/ATen.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>

#include "support/expect_error.hpp"
#include "support/npz_forge.hpp"
#include "support/random_normal.hpp"

namespace incite {
namespace {

using test::bytes_of;
using test::expect_error;
using test::npy_of;

/// Writes `a.npz` in a folder of its own and reads it.
class ReadDataset : public testing::Test {
 protected:
  ReadDataset() { options_.file = dir_ / "a.npz"; }

  Dataset read(const std::string& x, const std::string& y = "") const {
    test::Members members = {{"x.npy", x}};
    if (!y.empty()) members.emplace_back("y.npy", y);
    test::write_zip(options_.file, members);
    return read_dataset(options_);
  }

  /// Expects the message, less the file it begins with.
  void expect_refused(const std::string& x, const std::string& y, ExitCode code, const std::string& message) const {
    expect_error([&] { read(x, y); }, code, options_.file.string() + ": " + message);
  }

  test::TempDir dir_;
  DatasetOptions options_;
  const std::string three_ = npy_of("<f4", "(3, 2)", bytes_of<float>({1, 2, 3, 4, 5, 6}));
};

/// Two inputs: tokens of int32 [2, 2] and pixels of uint8 [2, 1].
class ReadSeveralInputs : public ReadDataset {
 protected:
  ReadSeveralInputs() {
    options_.input_key = "tokens,pixels";
    test::write_zip(options_.file, {{"tokens.npy", npy_of("<i4", "(2, 2)", bytes_of<int32_t>({7, 8, 9, 10}))},
                                    {"pixels.npy", npy_of("|u1", "(2, 1)", bytes_of<uint8_t>({0, 255}))}});
  }
};

TEST_F(ReadSeveralInputs, KeepsTheirOrder) {
  const Dataset dataset = read_dataset(options_);
  EXPECT_EQ(dataset.input_keys, (std::vector<std::string>{"tokens", "pixels"}));
  EXPECT_EQ(dataset.input[0].scalar_type(), at::kInt);
  EXPECT_EQ(dataset.input[1].scalar_type(), at::kByte);
}

TEST_F(ReadSeveralInputs, ScalesEachByItsType) {
  const Dataset dataset = read_dataset(options_);
  EXPECT_FALSE(dataset.input_scale.has_value());
  const Batch batch = dataset.batch(1, 1, at::kCPU);
  EXPECT_TRUE(at::equal(batch[0], at::tensor({9.0F, 10.0F}).view({1, 2})));
  EXPECT_TRUE(at::allclose(batch[1], at::ones({1, 1})));
}

TEST_F(ReadSeveralInputs, GivesIntegersUnscaledWhereTheModelTakesThem) {
  options_.input_scale = 0.5;
  Dataset dataset = read_dataset(options_);
  dataset.as_integers = {true, false};
  const Batch batch = dataset.batch(1, 1, at::kCPU);
  EXPECT_TRUE(at::equal(batch[0], at::tensor({9, 10}, at::kLong).view({1, 2})));
  EXPECT_TRUE(at::equal(batch[1], at::full({1, 1}, 127.5F)));
}

TEST_F(ReadSeveralInputs, OffersReadingsWithTheFewestIntegersFirst) {
  EXPECT_EQ(readings_of(read_dataset(options_)),
            (std::vector<std::vector<bool>>{{false, false}, {true, false}, {false, true}, {true, true}}));
  options_.input_key = "pixels";
  EXPECT_EQ(readings_of(read_dataset(options_)), (std::vector<std::vector<bool>>{{false}, {true}}));
}

TEST_F(ReadSeveralInputs, RefusesAShapeForThem) {
  options_.input_shape = {2};
  expect_error([&] { read_dataset(options_); }, ExitCode::usage,
               "--input-shape is for one input; --input-key tokens,pixels names 2. Leave it out.");
}

Dataset with_target(const at::Tensor& target) {
  Dataset dataset;
  dataset.file = "a.npz";
  dataset.target_key = "y";
  dataset.target = target;
  return dataset;
}

TEST_F(ReadDataset, ScalesUint8By255thsUnlessToldOtherwise) {
  const std::string bytes = npy_of("|u1", "(2,)", bytes_of<uint8_t>({0, 255}));
  EXPECT_TRUE(at::allclose(read(bytes).batch(0, 2, at::kCPU)[0], at::tensor({0.0, 1.0}, at::kFloat)));
  options_.input_scale = 2;
  EXPECT_TRUE(at::equal(read(bytes).batch(0, 2, at::kCPU)[0], at::tensor({0.0, 510.0}, at::kFloat)));
}

TEST_F(ReadDataset, LeavesOtherTypesUnscaled) {
  EXPECT_EQ(read(three_).input_scale, 1.0);
  EXPECT_EQ(read(npy_of("<i8", "(1,)", bytes_of<int64_t>({7}))).batch(0, 1, at::kCPU)[0].item<float>(), 7.0F);
}

TEST_F(ReadDataset, KeepsTheInputAsStored) {
  EXPECT_EQ(read(npy_of("|u1", "(2,)", "ab")).input[0].scalar_type(), at::kByte);
  EXPECT_EQ(read(npy_of("<f2", "(1,)", "ab")).input[0].scalar_type(), at::kHalf);
}

TEST_F(ReadDataset, GivesBatchesAsFloat32OfEveryType) {
  for (const std::string descr : {"|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8"}) {
    const auto bytes = static_cast<std::size_t>(descr[2] - '0');
    const Dataset dataset = read(npy_of(descr, "(2, 1)", std::string(2 * bytes, '\0')));
    for (const at::Tensor& batch :
         {dataset.batch(0, 2, at::kCPU)[0], dataset.batch(at::tensor({1, 0}, at::kLong), at::kCPU)[0]}) {
      EXPECT_EQ(batch.scalar_type(), at::kFloat) << descr;
      EXPECT_TRUE(at::equal(batch, at::zeros({2, 1}))) << descr;
    }
  }
}

TEST_F(ReadDataset, PicksSamplesByIndexAndByRange) {
  const Dataset dataset = read(three_);
  EXPECT_TRUE(at::equal(dataset.batch(at::tensor({2, 0}, at::kLong), at::kCPU)[0],
                        at::tensor({5., 6., 1., 2.}, at::kFloat).view({2, 2})));
  EXPECT_TRUE(at::equal(dataset.batch(1, 2, at::kCPU)[0], at::tensor({3., 4., 5., 6.}, at::kFloat).view({2, 2})));
}

TEST_F(ReadDataset, GivesBatchesThatShareNoMemoryWithIt) {
  const Dataset dataset = read(three_);
  dataset.batch(0, 3, at::kCPU)[0].zero_();
  EXPECT_EQ(dataset.input[0].sum().item<float>(), 21.0F);
}

TEST_F(ReadDataset, ReshapesSamplesForTheModel) {
  options_.input_shape = {1, 2, 1};
  EXPECT_EQ(read(three_).batch(0, 3, at::kCPU)[0].sizes(), at::IntArrayRef({3, 1, 2, 1}));
}

TEST_F(ReadDataset, RefusesAnInputShapeOfOtherSize) {
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{3}, {-1, -2}, {int64_t{1} << 62, 8}}) {
    options_.input_shape = shape;
    expect_refused(
        three_, "", ExitCode::data_mismatch,
        fmt::format(
            "array 'x': each sample has shape [2], 2 elements; expected as many as in [{}]. Change the input shape.",
            fmt::join(shape, ", ")));
  }
}

TEST_F(ReadDataset, MovesTheChannelsOfImagesForTheModel) {
  const at::Tensor images = at::arange(2 * 2 * 1 * 3, at::kFloat).view({2, 2, 1, 3});
  options_.input_layout = InputLayout::nhwc;
  const Dataset dataset = read(npy_of("<f4", "(2, 2, 1, 3)", bytes_of<float>({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11})));
  const at::Tensor batch = dataset.batch(0, 2, at::kCPU)[0];
  EXPECT_TRUE(batch.is_contiguous());
  EXPECT_TRUE(batch.equal(images.permute({0, 3, 1, 2})));
  EXPECT_TRUE(dataset.batch(at::tensor({1}, at::kLong), at::kCPU)[0].equal(batch.narrow(0, 1, 1)));
}

TEST_F(ReadDataset, RefusesAScaleThatMakesNoSense) {
  options_.input_scale = 0;
  expect_error([&] { read(three_); }, ExitCode::usage,
               "input scale 0: expected a finite number other than 0. Pass another --input-scale.");
  options_.input_scale = std::nan("");
  EXPECT_EQ(test::error_of([&] { read(three_); }).code(), ExitCode::usage);
}

TEST_F(ReadDataset, NamesTheOptionForAMissingArray) {
  options_.input_key = "images";
  expect_refused(three_, "", ExitCode::data_file, "no array 'images'; it holds: x. Pass --input-key.");
  options_.input_key = "x";
  options_.target_required = true;
  expect_refused(three_, "", ExitCode::data_file, "no array 'y'; it holds: x. Pass --target-key.");
}

TEST_F(ReadDataset, LeavesTheTargetUndefinedWhereNoneIsNeeded) {
  EXPECT_FALSE(read(three_).target.defined());
}

TEST_F(ReadDataset, TurnsWholeLabelsIntoInt64AndLeavesOtherTargetsAlone) {
  EXPECT_EQ(read(three_, npy_of("|u1", "(3,)", "abc")).target.scalar_type(), at::kLong);
  EXPECT_EQ(read(three_, npy_of("|u1", "(3, 1)", "abc")).target.scalar_type(), at::kByte);
  EXPECT_EQ(read(three_, npy_of("<f2", "(3,)", "abcdef")).target.scalar_type(), at::kHalf);
}

TEST_F(ReadDataset, RefusesAnInputWithoutSamples) {
  expect_refused(npy_of("<f4", "(0, 2)", ""), "", ExitCode::data_mismatch,
                 "array 'x': shape [0, 2] holds no samples; expected [N, ...] with N at least 1. Fill the array.");
  expect_refused(npy_of("<f4", "()", "1234"), "", ExitCode::data_mismatch,
                 "array 'x': shape [] holds no samples; expected [N, ...] with N at least 1. Fill the array.");
}

TEST_F(ReadDataset, NamesTheFirstSampleWithNaNOrInfinity) {
  expect_refused(npy_of("<f4", "(3, 2)", bytes_of<float>({1, 2, 3, NAN, INFINITY, 6})), "", ExitCode::data_mismatch,
                 "array 'x': sample 1 holds nan; expected finite values in float32's range. Remove or correct it.");
  expect_refused(three_, npy_of("<f8", "(3,)", bytes_of<double>({1, 2, -INFINITY})), ExitCode::data_mismatch,
                 "array 'y': sample 2 holds -inf; expected finite values in float32's range. Remove or correct it.");
}

TEST_F(ReadDataset, FindsNaNBeyondTheFirstBlock) {
  at::Tensor values = at::zeros({3000, 1000}, at::kHalf);
  values[2999][999] = NAN;
  const std::string_view data(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
  expect_refused(npy_of("<f2", "(3000, 1000)", data), "", ExitCode::data_mismatch,
                 "array 'x': sample 2999 holds nan; expected finite values in float32's range. Remove or correct it.");
}

TEST_F(ReadDataset, RefusesValuesThatBecomeInfiniteInFloat32) {
  expect_refused(npy_of("<f8", "(2,)", bytes_of<double>({1, 1e300})), "", ExitCode::data_mismatch,
                 "array 'x': sample 1 holds 1e+300; expected finite values in float32's range. Remove or correct it.");
}

TEST_F(ReadDataset, SaysBothLengthsWhereTheyDiffer) {
  expect_refused(three_, npy_of("|u1", "(2,)", "ab"), ExitCode::data_mismatch,
                 "array 'y': 2 samples; expected 3, as in array 'x'. Give each sample its target.");
}

TEST_F(ReadDataset, RefusesATargetOfOtherShape) {
  for (const std::string shape : {"()", "(3, 0)"}) {
    const std::string data(shape == "()" ? 1 : shape == "(3, 0)" ? 0 : 3, 'a');
    const std::string printed = "[" + shape.substr(1, shape.size() - 2) + "]";
    expect_refused(three_, npy_of("|u1", shape, data), ExitCode::data_mismatch,
                   "array 'y': shape " + printed + "; expected [N] or [N, K]. Pass --target-key for another array.");
  }
}

TEST(ClassesOf, TakesLabelsOfAnyTypeAsAColumnOrNot) {
  const at::Tensor expected = at::tensor({2, 0, 1}, at::kLong);
  for (const at::ScalarType type : {at::kLong, at::kByte, at::kFloat, at::kHalf, at::kDouble}) {
    EXPECT_TRUE(at::equal(classes_of(with_target(expected.to(type)), 3), expected));
    EXPECT_TRUE(at::equal(classes_of(with_target(expected.to(type).unsqueeze(1)), 3), expected));
  }
}

TEST(ClassesOf, TakesOneHotRows) {
  const at::Tensor expected = at::tensor({2, 0, 1}, at::kLong);
  for (const at::ScalarType type : {at::kLong, at::kBool, at::kFloat, at::kHalf, at::kDouble}) {
    const at::Tensor rows = at::eye(3).index_select(0, expected).to(type);
    EXPECT_TRUE(at::equal(classes_of(with_target(rows), 3), expected));
  }
}

TEST(ClassesOf, NamesTheFirstLabelOutOfRange) {
  const std::string rest = "; expected 0 to 2, a class for each of the model's outputs. Renumber the labels.";
  expect_error(
      [] {
        classes_of(with_target(at::tensor({0, 3, -1}, at::kLong)), 3);
      },
      ExitCode::data_mismatch, "a.npz: array 'y': sample 1 has label 3" + rest);
  expect_error(
      [] {
        classes_of(with_target(at::tensor({0, 2, -1}, at::kLong)), 3);
      },
      ExitCode::data_mismatch, "a.npz: array 'y': sample 2 has label -1" + rest);
}

TEST(ClassesOf, RefusesFractionalLabels) {
  expect_error(
      [] {
        classes_of(with_target(at::tensor({0.0, 1.5}, at::kFloat)), 3);
      },
      ExitCode::data_mismatch,
      "a.npz: array 'y': sample 1 has label 1.5; expected whole numbers. Choose regression for such targets.");
}

TEST(ClassesOf, RefusesRowsThatAreNotOneHot) {
  for (const at::Tensor& row : {at::tensor({0.5, 0.5}, at::kFloat), at::tensor({1., 1.}, at::kFloat), at::zeros({2}),
                                at::tensor({1.0, 0.1}, at::kFloat)}) {
    expect_error(
        [&] {
          classes_of(with_target(at::stack({at::tensor({1., 0.}, at::kFloat), row})), 2);
        },
        ExitCode::data_mismatch,
        "a.npz: array 'y': sample 1 is not one-hot; expected one 1 and otherwise 0. Choose regression for such targets.");
  }
}

TEST(ClassesOf, RefusesAnotherNumberOfColumnsThanOutputs) {
  expect_error([] { classes_of(with_target(at::eye(3)), 4); }, ExitCode::data_mismatch,
               "a.npz: array 'y': 3 columns; expected 4, one for each of the model's outputs. Check the array.");
}

TEST(ClassesOf, RefusesADatasetWithoutTarget) {
  expect_error([] { classes_of(with_target({}), 4); }, ExitCode::data_mismatch,
               "a.npz: array 'y': missing; expected targets. Pass --target-key.");
}

TEST(ValuesOf, TakesAVectorAsAColumnOfFloat32) {
  const at::Tensor values = values_of(with_target(at::tensor({1, 2}, at::kLong)), 1);
  EXPECT_EQ(values.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(values, at::tensor({1., 2.}, at::kFloat).view({2, 1})));
}

TEST(ValuesOf, KeepsColumns) {
  EXPECT_TRUE(at::equal(values_of(with_target(at::eye(3, at::kDouble)), 3), at::eye(3)));
}

TEST(ValuesOf, RefusesAnotherNumberOfColumnsThanOutputs) {
  expect_error([] { values_of(with_target(at::zeros({5})), 2); }, ExitCode::data_mismatch,
               "a.npz: array 'y': 1 columns; expected 2, one for each of the model's outputs. Check the array.");
}

TEST(GuessTask, TakesWholeLabelsAndOneHotRowsForClassification) {
  EXPECT_EQ(guess_task(at::tensor({0, 7}, at::kLong), 3), Task::classification);
  EXPECT_EQ(guess_task(at::zeros({2, 1}, at::kBool), 3), Task::classification);
  EXPECT_EQ(guess_task(at::eye(3), 3), Task::classification);
}

TEST(GuessTask, TakesFloatsThatAreWholeNumbersForLabelsOfSeveralOutputs) {
  EXPECT_EQ(guess_task(at::tensor({0., 7.}), 3), Task::classification);
  EXPECT_EQ(guess_task(at::ones({2, 1}), 3), Task::classification);
  EXPECT_EQ(guess_task(at::tensor({0., 0.5}), 3), Task::regression);
}

TEST(GuessTask, TakesFloatsThatAre0Or1ForLabelsOfOneOutput) {
  EXPECT_EQ(guess_task(at::tensor({0., 1.}), 1), Task::classification);
  EXPECT_EQ(guess_task(at::tensor({0., 2.}), 1), Task::regression);
  EXPECT_EQ(guess_task(at::tensor({0.5, 1.}).unsqueeze(1), 1), Task::regression);
}

TEST(GuessTask, TakesAllElseForRegression) {
  EXPECT_EQ(guess_task(at::full({2, 2}, 2, at::kLong), 3), Task::regression);
}

TEST(Task, HasNames) {
  EXPECT_STREQ(to_string(Task::classification), "classification");
  EXPECT_STREQ(to_string(Task::regression), "regression");
}

TEST(StratifiedOrder, HoldsEachSampleOnce) {
  const at::Tensor classes = at::arange(101).remainder(7);
  for (const at::Tensor& order : {stratified_order(classes, 101, 3), stratified_order({}, 101, 3)}) {
    EXPECT_TRUE(at::equal(std::get<0>(order.sort()), at::arange(101)));
  }
}

TEST(StratifiedOrder, HoldsEachClassOnceInEachRoundOfEqualClasses) {
  const at::Tensor classes = at::arange(50).div(5, "floor").to(at::kLong);
  const at::Tensor ordered = classes.index_select(0, stratified_order(classes, 50, 11)).view({5, 10});
  for (int64_t round = 0; round < 5; ++round)
    EXPECT_TRUE(at::equal(std::get<0>(ordered[round].sort()), at::arange(10)));
}

TEST(StratifiedOrder, KeepsProportionsInEveryPrefix) {
  const at::Tensor classes =
      at::cat({at::zeros({700}), at::ones({200}), at::full({90}, 2), at::full({10}, 3)}).to(at::kLong);
  const at::Tensor ordered = classes.index_select(0, stratified_order(classes, 1000, 5));
  const at::Tensor shares = at::bincount(classes).to(at::kDouble) / 1000;
  for (int64_t size = 1; size <= 1000; ++size) {
    const at::Tensor counts = at::bincount(ordered.narrow(0, 0, size), {}, 4);
    // Half a sample for each class's own rounding, and its share of the other three's.
    EXPECT_LE((counts - shares * size).abs().max().item<double>(), 0.5 + 0.7 * 2 + 1e-9) << size;
  }
}

TEST(StratifiedOrder, DependsOnTheSeedAlone) {
  const at::Tensor classes = at::arange(60).remainder(3);
  EXPECT_TRUE(at::equal(stratified_order(classes, 60, 1), stratified_order(classes, 60, 1)));
  EXPECT_FALSE(at::equal(stratified_order(classes, 60, 1), stratified_order(classes, 60, 2)));
}

TEST(GuessTask, TakesRowsOf0And1ThatAreNotOneHotForLabels) {
  const at::Tensor rows = at::tensor({1, 1, 0, 0, 0, 1}).view({2, 3});
  EXPECT_EQ(guess_task(rows.to(at::kFloat), 3), Task::multilabel);
  EXPECT_EQ(guess_task(rows.to(at::kBool), 3), Task::multilabel);
  EXPECT_EQ(guess_task(rows * 2, 3), Task::regression);
}

TEST(LabelsOf, KeepsColumnsOf0And1) {
  const at::Tensor rows = at::tensor({1, 1, 0, 0, 0, 1}).view({2, 3});
  const at::Tensor found = labels_of(with_target(rows.to(at::kBool)), 3);
  EXPECT_EQ(found.scalar_type(), at::kFloat);
  EXPECT_TRUE(at::equal(found, rows.to(at::kFloat)));
}

TEST(LabelsOf, RefusesOtherValuesAndAnotherNumberOfColumns) {
  const at::Tensor rows = at::tensor({1.0, 1.0, 0.0, 0.5}).view({2, 2});
  expect_error([&] { labels_of(with_target(rows), 2); }, ExitCode::data_mismatch,
               "a.npz: array 'y': sample 1 holds other values than 0 and 1; expected 1 for each label that it has, "
               "and else 0. Choose regression for values.");
  expect_error([&] { labels_of(with_target(rows), 3); }, ExitCode::data_mismatch,
               "a.npz: array 'y': 2 columns; expected 3, one for each of the model's outputs. Check the array.");
}

TEST(RarestLabels, AreThoseThatTheFewestSamplesHave) {
  const at::Tensor labels = at::tensor({1, 1, 0,   // label 1 is rarer than 0
                                        1, 0, 0,   //
                                        0, 0, 0,   // none
                                        1, 0, 1})  // label 2 is as rare as 1
                                .view({4, 3});
  EXPECT_TRUE(at::equal(rarest_labels(labels), at::tensor({1, 0, 3, 2}, at::kLong)));
}

/// Three samples of a model with outputs [N, 2, 2, 3].
Dataset of_maps(const at::Tensor& target) {
  Dataset data = with_target(target);
  data.input = at::zeros({3, 1});
  return data;
}

TEST(ChoosePositions, TakesAllWhereThereIsRoom) {
  const at::Tensor target = at::arange(18, at::kLong).remainder(2).view({3, 2, 3});
  Dataset data = of_maps(target.to(at::kByte));
  choose_positions(data, {2, 3}, 2, 18, 0);
  EXPECT_EQ(data.points_each(), 6);
  EXPECT_TRUE(at::equal(classes_of(data, 2), target.flatten()));
  const at::Tensor outputs = test::random_normal({2, 4, 2, 3}, 1);
  const at::Tensor rows = data.at_points(outputs, at::tensor({2, 0}, at::kLong));
  EXPECT_TRUE(at::equal(rows, outputs.flatten(2).transpose(1, 2).reshape({12, 4})));
  EXPECT_TRUE(at::equal(data.points(at::tensor({2, 0}, at::kLong)),
                        at::cat({at::arange(12, 18, at::kLong), at::arange(0, 6, at::kLong)})));
}

TEST(ChoosePositions, SpreadsFewOverEachSampleByTheSeed) {
  const at::Tensor target = at::arange(300, at::kLong).view({3, 10, 10});
  const auto chosen = [&](uint64_t seed) {
    Dataset data = of_maps(target);
    choose_positions(data, {10, 10}, 1000, 15, seed);
    EXPECT_TRUE(at::equal(classes_of(data, 1000), target.flatten(1).gather(1, data.positions).flatten()));
    return data.positions;
  };
  const at::Tensor positions = chosen(1);
  EXPECT_EQ(positions.sizes(), at::IntArrayRef({3, 5}));
  EXPECT_TRUE(at::equal(positions.div(20, "floor"), at::arange(5, at::kLong).expand({3, 5})));  // one of each fifth
  EXPECT_TRUE(at::equal(positions, chosen(1)));
  EXPECT_FALSE(at::equal(positions, chosen(2)));
  EXPECT_FALSE(at::equal(positions[0], positions[1]));
}

TEST(ChoosePositions, LeavesOutThoseWithoutALabel) {
  at::Tensor target = at::zeros({3, 10, 10}, at::kLong);
  target.narrow(1, 0, 5).fill_(255);
  target.narrow(1, 5, 2).fill_(-1);
  Dataset data = of_maps(target);
  choose_positions(data, {10, 10}, 2, 30, 0);
  EXPECT_EQ(classes_of(data, 2).max().item<int64_t>(), 0);
  EXPECT_GE(data.positions.min().item<int64_t>(), 70);
  Dataset all = of_maps(target);
  choose_positions(all, {10, 10}, 2, 300, 0);
  EXPECT_EQ((classes_of(all, 2) == -1).sum().item<int64_t>(), 210);
  target[1].fill_(255);
  expect_error(
      [&] {
        Dataset none = of_maps(target);
        choose_positions(none, {10, 10}, 2, 30, 0);
      },
      ExitCode::data_mismatch, "a.npz: array 'y': sample 1 has no position with a label. Leave the sample out.");
}

TEST(ChoosePositions, TakesChannelsOfTargetsForColumns) {
  const at::Tensor target = test::random_normal({3, 4, 2, 3}, 1);
  Dataset data = of_maps(target);
  choose_positions(data, {2, 3}, 4, 100, 0);
  EXPECT_TRUE(at::equal(values_of(data, 4), target.flatten(2).transpose(1, 2).reshape({18, 4})));
}

TEST(ChoosePositions, RefusesATargetOfAnotherShape) {
  const auto choose = [](const std::vector<int64_t>& shape, const std::vector<int64_t>& map) {
    Dataset data = of_maps(at::zeros(shape));
    choose_positions(data, map, 4, 100, 0);
  };
  expect_error(
      [&] {
        choose({3, 3, 2}, {2, 3});
      },
      ExitCode::data_mismatch,
      "a.npz: array 'y': shape [3, 3, 2]; expected [N, 2, 3] or [N, 4, 2, 3], as the model's output is "
      "[N, 4, 2, 3]. Pass --target-key for another array.");
  expect_error(
      [&] {
        choose({3, 1, 1}, {});
      },
      ExitCode::data_mismatch,
      "a.npz: array 'y': shape [3, 1, 1]; expected [N] or [N, K]. Pass --target-key for another array.");
  EXPECT_NO_THROW(choose({3, 4}, {}));
}

TEST(PlacesOf, AreMinusOneForNoClass) {
  EXPECT_TRUE(at::equal(places_of(at::tensor({-1, 2, 1}, at::kLong), {2, 5}), at::tensor({-1, 0, -1}, at::kLong)));
}

}  // namespace
}  // namespace incite
