#include "data/npz.hpp"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/expect_error.hpp"
#include "support/npz_forge.hpp"

namespace incite {
namespace {

using test::bytes_of;
using test::expect_error;
using test::little_endian;
using test::npy_of;
using testing::ElementsAre;

/// Runs in a folder of its own, so that messages can be compared whole.
class Npz : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return (dir_ / name).string(); }

  /// Writes a.npz with one stored or deflated array 'x' of the numbers 1 to 4 as uint8.
  std::string write_small(int method = ZIP_CM_STORE) const {
    test::write_zip(path("a.npz"), {{"x.npy", npy_of("|u1", "(4,)", bytes_of<uint8_t>({1, 2, 3, 4}))}}, method);
    return path("a.npz");
  }

  void expect_unreadable(const std::string& file, const std::string& message) const {
    expect_error([&] { NpzFile(file).read("x"); }, ExitCode::data_file, message);
  }

  test::TempDir dir_;
};

uint32_t crc32(std::string_view bytes) {
  uint32_t crc = ~uint32_t{0};
  for (const char byte : bytes) {
    crc ^= static_cast<unsigned char>(byte);
    for (int bit = 0; bit < 8; ++bit)
      crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0xedb88320U : 0U);
  }
  return ~crc;
}

/// An archive of one stored member whose sizes stand in ZIP64 fields only (section 4.5.3 of PKWARE's APPNOTE), as in
/// archives beyond 4 GiB.
std::string zip64_of(const std::string& name, const std::string& bytes) {
  const std::string sizes =
      little_endian(1, 2) + little_endian(16, 2) + little_endian(bytes.size(), 8) + little_endian(bytes.size(), 8);
  // Flags, method, time and date; checksum; both sizes left to the ZIP64 field; lengths of the name and of the fields.
  const std::string common = little_endian(0, 4) + little_endian(0x00210000, 4) + little_endian(crc32(bytes), 4) +
                             std::string(8, '\xff') + little_endian(name.size(), 2) + little_endian(sizes.size(), 2);
  std::string archive = "PK\x03\x04" + little_endian(45, 2) + common + name + sizes + bytes;
  const std::size_t directory = archive.size();
  archive += "PK\x01\x02" + little_endian(45, 2) + little_endian(45, 2) + common + little_endian(0, 14) + name + sizes;
  const std::size_t end = archive.size();
  archive += "PK\x06\x06" + little_endian(44, 8) + little_endian(45, 2) + little_endian(45, 2) + little_endian(0, 8) +
             little_endian(1, 8) + little_endian(1, 8) + little_endian(end - directory, 8) +
             little_endian(directory, 8);
  archive += "PK\x06\x07" + little_endian(0, 4) + little_endian(end, 8) + little_endian(1, 4);
  return archive + "PK\x05\x06" + little_endian(0, 4) + std::string(12, '\xff') + little_endian(0, 2);
}

TEST_F(Npz, ReadsStoredMembers) {
  EXPECT_TRUE(at::equal(NpzFile(write_small(ZIP_CM_STORE)).read("x"), at::tensor({1, 2, 3, 4}, at::kByte)));
}

TEST_F(Npz, ReadsDeflatedMembers) {
  const at::Tensor expected = at::arange(100000, at::kInt);
  const std::string_view data(static_cast<const char*>(expected.const_data_ptr()), expected.nbytes());
  test::write_zip(path("a.npz"), {{"x.npy", npy_of("<i4", "(100000,)", data)}}, ZIP_CM_DEFLATE);
  EXPECT_TRUE(at::equal(NpzFile(path("a.npz")).read("x"), expected));
}

TEST_F(Npz, ReadsZip64Members) {
  test::write_file(path("a.npz"), zip64_of("x.npy", npy_of("|u1", "(2,)", bytes_of<uint8_t>({8, 9}))));
  EXPECT_TRUE(at::equal(NpzFile(path("a.npz")).read("x"), at::tensor({8, 9}, at::kByte)));
}

TEST_F(Npz, ListsTheArraysSorted) {
  test::write_zip(path("a.npz"), {{"y.npy", npy_of("|u1", "()", "1")}, {"a/b.npy", npy_of("|u1", "()", "2")}});
  const NpzFile file(path("a.npz"));
  EXPECT_THAT(file.keys(), ElementsAre("a/b", "y"));
  EXPECT_TRUE(file.contains("y"));
  EXPECT_FALSE(file.contains("y.npy"));
}

TEST_F(Npz, LeavesOutMembersThatAreNoArrays) {
  test::write_zip(path("a.npz"), {{"readme.txt", "text"}, {"x.npy", npy_of("|u1", "()", "1")}});
  EXPECT_THAT(NpzFile(path("a.npz")).keys(), ElementsAre("x"));
}

TEST_F(Npz, NamesTheKeysThereAreWhenAKeyIsMissing) {
  test::write_zip(path("a.npz"), {{"labels.npy", npy_of("|u1", "()", "1")}, {"images.npy", npy_of("|u1", "()", "2")}});
  expect_unreadable(path("a.npz"), path("a.npz") + ": no array 'x'; it holds: images, labels. Choose one of these.");
}

TEST_F(Npz, SaysThatAFileIsMissing) {
  expect_unreadable(path("b.npz"), path("b.npz") + ": no such file; expected an .npz archive. Check the path.");
}

TEST_F(Npz, RefusesAFolder) {
  std::filesystem::create_directory(path("folder"));
  expect_unreadable(path("folder"), path("folder") + ": a folder; expected an .npz archive. Check the path.");
}

TEST_F(Npz, RefusesAFileThatIsNoArchive) {
  test::write_file(path("a.npz"), "x,y\n1,2\n");
  expect_unreadable(path("a.npz"),
                    path("a.npz") + ": not an .npz archive (Not a zip archive). Save the arrays with numpy.savez.");
}

TEST_F(Npz, RefusesAnEmptyFile) {
  test::write_file(path("a.npz"), "");
  EXPECT_EQ(test::error_of([&] { NpzFile(path("a.npz")).read("x"); }).code(), ExitCode::data_file);
}

TEST_F(Npz, TellsASingleArrayFromAnArchive) {
  test::write_file(path("a.npy"), npy_of("|u1", "()", "1"));
  expect_unreadable(path("a.npy"),
                    path("a.npy") + ": a single .npy array; expected an .npz archive. Save it with numpy.savez.");
}

TEST_F(Npz, RefusesAnArchiveCutAnywhere) {
  const std::string whole = test::read_file(write_small(ZIP_CM_DEFLATE));
  for (std::size_t length = 4; length < whole.size(); ++length) {
    test::write_file(path("cut.npz"), whole.substr(0, length));
    const Error error = test::error_of([&] { NpzFile(path("cut.npz")).read("x"); });
    ASSERT_EQ(error.code(), ExitCode::data_file) << length << " bytes";
    ASSERT_TRUE(std::string(error.what()).starts_with(path("cut.npz") + ": ")) << error.what();
  }
}

TEST_F(Npz, SaysThatAnArchiveIsCut) {
  const std::string whole = test::read_file(write_small());
  test::write_file(path("a.npz"), whole.substr(0, whole.size() / 2));
  expect_unreadable(
      path("a.npz"),
      path("a.npz") + ": a damaged or truncated .npz archive (Not a zip archive). Save or copy it again.");
}

TEST_F(Npz, FindsAFlippedByteByItsChecksum) {
  std::string bytes = test::read_file(write_small());
  bytes[bytes.find("\1\2\3\4")] = 9;
  test::write_file(path("a.npz"), bytes);
  expect_unreadable(path("a.npz"), path("a.npz") + ": array 'x': damaged (CRC error). Save or copy the file again.");
}

TEST_F(Npz, BlamesDamageForAHeaderThatMakesNoSense) {
  std::string bytes = test::read_file(write_small());
  bytes[bytes.find("(4,)") + 1] = '9';
  test::write_file(path("a.npz"), bytes);
  expect_unreadable(path("a.npz"), path("a.npz") + ": array 'x': damaged (CRC error). Save or copy the file again.");
}

TEST_F(Npz, NeverCrashesOnAFlippedByte) {
  const std::string whole = test::read_file(write_small(ZIP_CM_DEFLATE));
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x55);
    test::write_file(path("flipped.npz"), bytes);
    try {
      const at::Tensor read = NpzFile(path("flipped.npz")).read("x");
      EXPECT_TRUE(at::equal(read, at::tensor({1, 2, 3, 4}, at::kByte))) << "byte " << at;  // a date, say
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::data_file) << error.what();
    }
  }
}

TEST_F(Npz, NamesFileAndKeyOfAnArrayItCannotHold) {
  test::write_zip(path("a.npz"), {{"x.npy", npy_of("|O", "(1,)", "pickle")}});
  expect_unreadable(path("a.npz"), path("a.npz") +
                                       ": array 'x': holds Python objects (type '|O'); expected booleans, integers, or "
                                       "floats of 16, 32 or 64 bits. Convert the array.");
}

TEST_F(Npz, RefusesAnEncryptedMember) {
  std::string bytes = test::read_file(write_small());
  bytes[6] = static_cast<char>(bytes[6] | 1);  // the flag, in the member's own header and in the directory
  bytes[bytes.find("PK\1\2") + 8] = static_cast<char>(bytes[bytes.find("PK\1\2") + 8] | 1);
  test::write_file(path("a.npz"), bytes);
  expect_unreadable(
      path("a.npz"),
      path("a.npz") + ": array 'x': can't be unpacked (No password provided). Save the file again with numpy.savez.");
}

TEST_F(Npz, ReadsArraysOfTextAsUtf8) {
  // numpy.array(["cat", "é😀"]) in both byte orders, and numpy.array([b"cat", b"é"]).
  const std::string cat = bytes_of<uint32_t>({'c', 'a', 't'});
  const std::string face = bytes_of<uint32_t>({0xe9, 0x1f600, 0});
  const std::string swapped = bytes_of<uint32_t>({'c' << 24, 'a' << 24, 't' << 24, 0xe9000000, 0x00f60100, 0});
  test::write_zip(path("a.npz"),
                  {{"little.npy", npy_of("<U3", "(2,)", cat + face)},
                   {"big.npy", npy_of(">U3", "(2,)", swapped)},
                   {"bytes.npy", npy_of("|S3", "(2,)", std::string("cat\xc3\xa9\0", 6))},
                   {"rows.npy", npy_of("<U3", "(2, 1)", cat + face)},
                   {"numbers.npy", npy_of("|u1", "(2,)", "ab")},
                   {"cut.npy", npy_of("<U3", "(2,)", cat)}},
                  ZIP_CM_DEFLATE);
  const NpzFile file(path("a.npz"));
  EXPECT_THAT(file.read_text("little").value(), ElementsAre("cat", "é😀"));
  EXPECT_THAT(file.read_text("big").value(), ElementsAre("cat", "é😀"));
  EXPECT_THAT(file.read_text("bytes").value(), ElementsAre("cat", "é"));
  for (const char* other : {"rows", "numbers", "missing"})
    EXPECT_FALSE(file.read_text(other)) << other;
  expect_error(
      [&] { file.read_text("cut"); }, ExitCode::data_file,
      path("a.npz") + ": array 'cut': 12 bytes of data; expected 24 for 2 texts of type '<U3'. Save the file again.");
}

}  // namespace
}  // namespace incite
