#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "data/npz.hpp"
#include "support/expect_error.hpp"
#include "support/npz_forge.hpp"

namespace incite {
namespace {

using test::bytes_of;
using test::expect_error;
using test::npy;
using test::npy_of;

void expect_tensor(const at::Tensor& actual, const at::Tensor& expected) {
  ASSERT_EQ(actual.scalar_type(), expected.scalar_type());
  ASSERT_EQ(actual.sizes(), expected.sizes());
  EXPECT_TRUE(actual.is_contiguous());
  EXPECT_TRUE(at::equal(actual, expected)) << actual;
}

void expect_refused(const std::string& bytes, const std::string& message) {
  expect_error([&] { parse_npy(bytes, "a.npy"); }, ExitCode::data_file, message);
}

TEST(Npy, ReadsWhatNumPyWrites) {
  // numpy 2.4: numpy.save(file, numpy.array([[1, 2], [3, 4]], numpy.int16))
  const std::string header =
      "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2), }" + std::string(58, ' ') + '\n';
  const std::string bytes = std::string("\x93NUMPY\x01\x00v\x00", 10) + header + std::string("\1\0\2\0\3\0\4\0", 8);
  expect_tensor(parse_npy(bytes, "a.npy"), at::tensor({1, 2, 3, 4}, at::kShort).view({2, 2}));
}

TEST(Npy, KeepsTheTypesThatTorchHas) {
  expect_tensor(parse_npy(npy_of("|b1", "(2,)", bytes_of<char>({0, 1})), ""),
                at::tensor({0, 1}, at::kInt).to(at::kBool));
  expect_tensor(parse_npy(npy_of("|i1", "(2,)", bytes_of<int8_t>({-128, 127})), ""),
                at::tensor({-128, 127}, at::kChar));
  expect_tensor(parse_npy(npy_of("|u1", "(2,)", bytes_of<uint8_t>({0, 255})), ""), at::tensor({0, 255}, at::kByte));
  expect_tensor(parse_npy(npy_of("<i4", "(2,)", bytes_of<int32_t>({-5, 7})), ""), at::tensor({-5, 7}, at::kInt));
  expect_tensor(parse_npy(npy_of("<i8", "(2,)", bytes_of<int64_t>({INT64_MIN, 7})), ""),
                at::tensor(std::vector<int64_t>{INT64_MIN, 7}, at::kLong));
  expect_tensor(parse_npy(npy_of("<f2", "(2,)", bytes_of<uint16_t>({0x3c00, 0xc100})), ""),
                at::tensor({1.0, -2.5}, at::kFloat).to(at::kHalf));
  expect_tensor(parse_npy(npy_of("<f4", "(2,)", bytes_of<float>({0.1F, -3e38F})), ""),
                at::tensor(std::vector<float>{0.1F, -3e38F}, at::kFloat));
  expect_tensor(parse_npy(npy_of("<f8", "(2,)", bytes_of<double>({0.1, 1e300})), ""),
                at::tensor(std::vector<double>{0.1, 1e300}, at::kDouble));
}

TEST(Npy, WidensUnsignedTypesThatTorchBarelyHas) {
  expect_tensor(parse_npy(npy_of("<u2", "(2,)", bytes_of<uint16_t>({1, 65535})), ""), at::tensor({1, 65535}, at::kInt));
  expect_tensor(parse_npy(npy_of("<u4", "(1,)", bytes_of<uint32_t>({UINT32_MAX})), ""),
                at::tensor(std::vector<int64_t>{UINT32_MAX}, at::kLong));
  expect_tensor(parse_npy(npy_of("<u8", "(1,)", bytes_of<uint64_t>({INT64_MAX})), ""),
                at::tensor(std::vector<int64_t>{INT64_MAX}, at::kLong));
}

TEST(Npy, RefusesUnsignedNumbersThatInt64CannotHold) {
  expect_refused(npy_of("<u8", "(3,)", bytes_of<uint64_t>({1, 2, UINT64_MAX})),
                 "a.npy: element 2 is 18446744073709551615; expected at most 2^63 - 1. Save the array as int64.");
}

TEST(Npy, SwapsBigEndianNumbers) {
  expect_tensor(parse_npy(npy_of(">i2", "(2,)", std::string("\x01\x02\xff\xfe", 4)), ""),
                at::tensor({258, -2}, at::kShort));
  expect_tensor(parse_npy(npy_of(">u4", "(1,)", std::string("\xff\0\0\1", 4)), ""),
                at::tensor(std::vector<int64_t>{0xff000001}, at::kLong));
  expect_tensor(parse_npy(npy_of(">f8", "(1,)", std::string("\x3f\xf8\0\0\0\0\0\0", 8)), ""),
                at::tensor({1.5}, at::kDouble));
}

TEST(Npy, TakesATypeWithoutByteOrderAsTheMachines) {
  expect_tensor(parse_npy(npy_of("i4", "(1,)", bytes_of<int32_t>({9})), ""), at::tensor({9}, at::kInt));
  expect_tensor(parse_npy(npy_of("=i4", "(1,)", bytes_of<int32_t>({9})), ""), at::tensor({9}, at::kInt));
}

TEST(Npy, KeepsNaNAndInfinity) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const at::Tensor read = parse_npy(npy_of("<f8", "(2,)", bytes_of<double>({nan, -INFINITY})), "");
  EXPECT_TRUE(std::isnan(read[0].item<double>()));
  EXPECT_EQ(read[1].item<double>(), -INFINITY);
}

TEST(Npy, TurnsFortranOrderIntoCOrder) {
  const std::string header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }";
  expect_tensor(parse_npy(npy(header, bytes_of<uint8_t>({1, 4, 2, 5, 3, 6})), ""),
                at::tensor({1, 2, 3, 4, 5, 6}, at::kByte).view({2, 3}));
}

TEST(Npy, ReadsHeaderKeysInAnyOrderAndSpacing) {
  const std::string header = "{\"shape\":(2 ,1L),'fortran_order' : False,\n'descr':'|u1'}";
  expect_tensor(parse_npy(npy(header, bytes_of<uint8_t>({7, 8})), ""), at::tensor({7, 8}, at::kByte).view({2, 1}));
}

TEST(Npy, ReadsVersions2And3) {
  const std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1,), }";
  for (const int version : {2, 3}) {
    expect_tensor(parse_npy(npy(header, bytes_of<uint8_t>({7}), version), ""), at::tensor({7}, at::kByte));
  }
}

TEST(Npy, ReadsASingleNumberAndAnEmptyArray) {
  expect_tensor(parse_npy(npy_of("|u1", "()", bytes_of<uint8_t>({7})), ""), at::tensor({7}, at::kByte)[0]);
  expect_tensor(parse_npy(npy_of("<f4", "(0, 3)", ""), ""), at::empty({0, 3}, at::kFloat));
}

TEST(Npy, ReadsArraysOfMoreThanOneBlock) {
  const at::Tensor expected = at::arange(200001, at::kInt);
  const std::string_view data(static_cast<const char*>(expected.const_data_ptr()), expected.nbytes());
  expect_tensor(parse_npy(npy_of("<i4", "(200001,)", data), ""), expected);
}

TEST(Npy, RefusesABadMagic) {
  const std::string message = "a.npy: does not start like an .npy array. Save the file again with NumPy.";
  expect_refused("PK\x03\x04 something else", message);
  expect_refused("", message);
  expect_refused(std::string("\x93NUMPY\x01", 7), message);
}

TEST(Npy, RefusesAnUnknownVersion) {
  expect_refused(npy("{}", "", 4),
                 "a.npy: .npy format version 4.0; expected 1.0, 2.0 or 3.0. Save the file again with NumPy.");
}

TEST(Npy, RefusesAHeaderThatIsCutShort) {
  const std::string whole = npy_of("|u1", "(1,)", "\x07");
  for (const std::size_t length : {8U, 9U, 10U, 40U}) {
    expect_refused(whole.substr(0, length), "a.npy: the .npy header is cut short or too long. Save the file again.");
  }
}

TEST(Npy, NamesTheKeyThatTheHeaderLacks) {
  expect_refused(npy("{'descr': '|u1', 'fortran_order': False}", "\x07"),
                 "a.npy: the .npy header has no 'shape'. Save the file again.");
  expect_refused(npy("{'fortran_order': False, 'shape': (1,)}", "\x07"),
                 "a.npy: the .npy header has no 'descr'. Save the file again.");
  expect_refused(npy("{'descr': '|u1', 'shape': (1,)}", "\x07"),
                 "a.npy: the .npy header has no 'fortran_order'. Save the file again.");
}

TEST(Npy, NamesAnUnknownHeaderKey) {
  expect_refused(npy("{'descr': '|u1', 'axes': (1,)}", "\x07"),
                 "a.npy: the .npy header has the key 'axes'; expected only 'descr', 'fortran_order' and 'shape'. "
                 "Save the file again.");
}

TEST(Npy, SaysWhereAHeaderIsMalformed) {
  const auto refused = [](const std::string& header, const std::string& expected, int at) {
    expect_refused(
        npy(header, ""),
        fmt::format("a.npy: malformed .npy header: expected {} at byte {} of the header. Save the file again.",
                    expected, at));
  };
  refused("", "'{'", 0);
  refused("[1]", "'{'", 0);
  refused("{'descr' '|u1'}", "':'", 9);
  refused("{'descr': |u1}", "a string", 10);
  refused("{'descr': '|u1", "a string that ends", 10);
  refused("{'fortran_order': 0}", "True or False", 18);
  refused("{'shape': [1]}", "'('", 10);
  refused("{'shape': (-1,)}", "an extent from 0 to 2^63 - 1", 11);
  refused("{'shape': (99999999999999999999,)}", "an extent from 0 to 2^63 - 1", 11);
  refused("{'shape': (1 2)}", "')'", 13);
  refused("{'shape': (1,)", "'}'", 14);
  refused("{'shape': (1,)} x", "the end", 16);
}

TEST(Npy, RefusesTypesThatAreNotNumbers) {
  const auto refused = [](const std::string& descr, const std::string& what) {
    expect_refused(npy_of(descr, "(1,)", std::string(8, 'x')),
                   "a.npy: holds " + what + " (type '" + descr +
                       "'); expected booleans, integers, or floats of 16, 32 or 64 bits. Convert the array.");
  };
  refused("|O", "Python objects");
  refused("<U2", "text");
  refused("|S8", "text");
  refused("<c8", "complex numbers");
  refused("|V8", "raw data");
  refused("<M8[ns]", "dates");
  refused("<m8[s]", "time spans");
  refused("<f16", "data");
  refused("<i3", "data");
  refused("<f4x", "data");
  refused("", "data");
}

TEST(Npy, RefusesStructuredArrays) {
  expect_refused(npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "1234"),
                 "a.npy: holds structured data; expected booleans, integers or floats. Save each field as an array.");
}

TEST(Npy, RefusesDataOfAnotherLengthThanTheShapes) {
  expect_refused(
      npy_of("<f4", "(2, 3)", std::string(23, '\0')),
      "a.npy: 23 bytes of data; expected 24 for shape [2, 3] of type '<f4'. The file is damaged: save it again.");
  expect_refused(
      npy_of("<f4", "(2, 3)", std::string(25, '\0')),
      "a.npy: 25 bytes of data; expected 24 for shape [2, 3] of type '<f4'. The file is damaged: save it again.");
}

TEST(Npy, RefusesShapesBeyondAllMemoryBeforeAllocating) {
  expect_refused(npy_of("<f8", "(4611686018427387904, 2)", ""),
                 "a.npy: shape [4611686018427387904, 2] is not possible. The file is damaged: save it again.");
  expect_refused(npy_of("<f8", "(0, 4611686018427387904)", ""),
                 "a.npy: shape [0, 4611686018427387904] is not possible. The file is damaged: save it again.");
  expect_refused(npy_of("<f8", "(1099511627776,)", "12345678"),
                 "a.npy: 8 bytes of data; expected 8796093022208 for shape [1099511627776] of type '<f8'. The file is "
                 "damaged: save it again.");
}

TEST(Npy, RefusesMoreDimensionsThanATensorHas) {
  std::string shape = "(";
  for (int i = 0; i < 65; ++i)
    shape += "1,";
  const Error error = test::error_of([&] { parse_npy(npy_of("|u1", shape + ")", "x"), "a.npy"); });
  EXPECT_TRUE(std::string(error.what()).ends_with("is not possible. The file is damaged: save it again."))
      << error.what();
}

}  // namespace
}  // namespace incite
