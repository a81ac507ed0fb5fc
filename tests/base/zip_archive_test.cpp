#include "base/zip_archive.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/zip_writer.hpp"
#include "support/npz_forge.hpp"

namespace incite {
namespace {

class ZipArchiveTest : public testing::Test {
 protected:
  ZipArchive archive(const std::string& bytes) {
    std::ofstream(file_, std::ios::binary) << bytes;
    return ZipArchive(file_);
  }

  std::string refusal(const std::string& bytes) {
    try {
      archive(bytes).check_all();
      return "";
    } catch (const ZipError& error) {
      return error.what();
    }
  }

  const test::TempDir folder_;
  const std::filesystem::path file_ = folder_ / "a.zip";
  const std::string text_ = std::string(5000, 'a') + "the end";
  const std::string stored_ = to_zip({{"one", "1"}, {"two", text_}});
};

TEST_F(ZipArchiveTest, ListsAndReadsMembers) {
  const ZipArchive zip = archive(to_zip({{"one", "1"}, {"two", text_, /*deflate=*/true}}));
  ASSERT_EQ(zip.entries().size(), 2U);
  EXPECT_EQ(zip.entries()[0].name, "one");
  EXPECT_FALSE(zip.entries()[0].compressed);
  EXPECT_TRUE(zip.entries()[1].compressed);
  EXPECT_EQ(zip.entries()[1].size, text_.size());
  EXPECT_LT(zip.entries()[1].packed_size, text_.size());
  EXPECT_EQ(zip.read(*zip.find("two")), text_);
  EXPECT_EQ(zip.find("three"), nullptr);
}

TEST_F(ZipArchiveTest, TheSameMembersGiveTheSameBytes) {
  EXPECT_EQ(to_zip({{"one", "1"}, {"two", text_}}), stored_);
}

TEST_F(ZipArchiveTest, NoticesAFlippedBit) {
  EXPECT_EQ(refusal(stored_), "");
  std::string damaged = stored_;
  damaged[damaged.find("the end")] ^= 1;
  EXPECT_EQ(refusal(damaged), "two: CRC error");
}

TEST_F(ZipArchiveTest, NoticesACutArchive) {
  EXPECT_NE(refusal(stored_.substr(0, stored_.size() / 2)), "");
}

TEST_F(ZipArchiveTest, AMemberHasNoMoreThanItsBytes) {
  const ZipArchive zip = archive(stored_);
  ZipMember member = zip.open(*zip.find("one"));
  std::string two(2, ' ');
  EXPECT_THROW(member.read(two.data(), 2), ZipError);
}

}  // namespace
}  // namespace incite
