#include "store/files.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "support/expect_error.hpp"
#include "support/npz_forge.hpp"

namespace incite {
namespace {

using test::expect_error;
using test::read_file;
using test::TempDir;
using test::write_file;

namespace fs = std::filesystem;

/// The names of the entries of a folder, sorted.
std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

using Names = std::vector<std::string>;

// FIPS 180-4's examples: https://csrc.nist.gov/projects/cryptographic-standards-and-guidelines/example-values
TEST(Sha256, IsThatOfKnownContents) {
  const TempDir folder;
  const auto sha256_of = [&](const std::string& content) {
    write_file(folder / "file", content);
    return sha256_of_file(folder / "file");
  };
  EXPECT_EQ(sha256_of(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_of("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha256, IsThatOfAFileOfManyBlocks) {
  const TempDir folder;
  write_file(folder / "file", std::string(1'000'000, 'a'));
  EXPECT_EQ(sha256_of_file(folder / "file"), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, RefusesAFileThatIsNotThere) {
  const TempDir folder;
  const fs::path file = folder / "none";
  expect_error([&] { sha256_of_file(file); }, ExitCode::data_file,
               file.string() + ": can't be read: No such file or directory");
}

TEST(StagedFiles, SaysWhatAFileTakesThatAFullDiskHasNoRoomFor) {
  const TempDir folder;
  StagedFiles files(folder / "");
  fs::create_symlink("/dev/full", files.path("scores.npz"));
  const std::string content(3 << 19, 'a');
  expect_error([&] { files.put("scores.npz", content); }, ExitCode::output,
               (folder / "scores.npz").string() +
                   ": can't be written: No space left on device; it takes 1.5 MiB. Free "
                   "some space, or write to another folder");
  EXPECT_FALSE(fs::exists(folder / "scores.npz"));
}

TEST(ReadText, GivesTheWholeContent) {
  const TempDir folder;
  const std::string content("one\r\ntwo\0three\n\n", 16);
  write_file(folder / "file", content);
  EXPECT_EQ(read_text(folder / "file"), content);
}

TEST(ReadText, RefusesAFileThatIsNotThere) {
  const TempDir folder;
  const fs::path file = folder / "none";
  expect_error([&] { read_text(file); }, ExitCode::data_file,
               file.string() + ": can't be read: No such file or directory");
}

TEST(StagedFiles, PutsNothingUnderAFinalNameBeforeCommit) {
  const TempDir temporary;
  const fs::path folder = temporary / "out";
  StagedFiles files(folder);
  files.write("a", "1");
  files.write("b", "2");
  EXPECT_FALSE(fs::exists(folder / "a"));
  EXPECT_FALSE(fs::exists(folder / "b"));
  EXPECT_EQ(read_file(files.path("a")), "1");
  for (const std::string& name : names_in(folder))
    EXPECT_EQ(name[0], '.') << name;
}

TEST(StagedFiles, PutsAllInPlaceOnCommitAndLeavesNothingElse) {
  const TempDir temporary;
  const fs::path folder = temporary / "out";
  const std::string binary("\0\n\xff", 3);
  {
    StagedFiles files(folder);
    files.write("a", "1");
    files.write("b", binary);
    files.commit();
    EXPECT_EQ(read_file(folder / "a"), "1");
    EXPECT_EQ(read_file(folder / "b"), binary);
  }
  EXPECT_EQ(names_in(folder), (Names{"a", "b"}));
}

TEST(StagedFiles, PutsFilesInPlaceOverThoseOfTheSameName) {
  const TempDir temporary;
  const fs::path folder = temporary / "out";
  fs::create_directory(folder);
  write_file(folder / "a", "old and longer");
  write_file(folder / "other", "stays");
  {
    StagedFiles files(folder);
    files.write("a", "new");
    EXPECT_EQ(read_file(folder / "a"), "old and longer");
    files.commit();
  }
  EXPECT_EQ(read_file(folder / "a"), "new");
  EXPECT_EQ(read_file(folder / "other"), "stays");
}

TEST(StagedFiles, OverwritesWhatItCommittedBefore) {
  const TempDir temporary;
  const fs::path folder = temporary / "out";
  {
    StagedFiles files(folder);
    files.write("a", "first");
    files.commit();
    files.write("a", "second");
    EXPECT_EQ(read_file(folder / "a"), "first");
    files.commit();
    EXPECT_EQ(read_file(folder / "a"), "second");
    files.write("b", "never committed");
  }
  EXPECT_EQ(names_in(folder), Names{"a"});
}

TEST(StagedFiles, RemovesTheFoldersItMadeUnlessCommitted) {
  const TempDir temporary;
  {
    StagedFiles files(temporary / "a" / "b" / "c");
    files.write("file", "1");
    EXPECT_TRUE(fs::is_directory(temporary / "a" / "b" / "c"));
  }
  EXPECT_EQ(names_in(temporary / ""), Names{});
}

TEST(StagedFiles, RemovesOnlyTheFoldersItMade) {
  const TempDir temporary;
  fs::create_directory(temporary / "there");
  { StagedFiles(temporary / "there" / "a" / "b").write("file", "1"); }
  EXPECT_EQ(names_in(temporary / ""), Names{"there"});
  EXPECT_EQ(names_in(temporary / "there"), Names{});
  { StagedFiles(temporary / "there").write("file", "1"); }
  EXPECT_EQ(names_in(temporary / ""), Names{"there"});
  EXPECT_EQ(names_in(temporary / "there"), Names{});
}

TEST(StagedFiles, RemovesTheFoldersItMadeThoughTheNameEndsInASlash) {
  const TempDir temporary;
  { StagedFiles(temporary / "a/b/").write("file", "1"); }
  EXPECT_EQ(names_in(temporary / ""), Names{});
}

TEST(StagedFiles, LeavesAMadeFolderThatSomeoneElseUsed) {
  const TempDir temporary;
  {
    StagedFiles files(temporary / "a");
    write_file(temporary / "a" / "theirs", "1");
  }
  EXPECT_EQ(names_in(temporary / "a"), Names{"theirs"});
}

TEST(StagedFiles, RefusesAFolderBelowAFile) {
  const TempDir temporary;
  write_file(temporary / "file", "1");
  const fs::path folder = temporary / "file" / "out";
  expect_error([&] { StagedFiles{folder}; }, ExitCode::output,
               folder.string() + ": can't create this folder: Not a directory");
  EXPECT_EQ(read_file(temporary / "file"), "1");
}

TEST(StagedFiles, RefusesAFileInPlaceOfTheFolder) {
  const TempDir temporary;
  const fs::path file = temporary / "file";
  write_file(file, "1");
  expect_error([&] { StagedFiles{file}; }, ExitCode::output,
               file.string() + ": can't create this folder: Not a directory");
  EXPECT_EQ(read_file(file), "1");
}

TEST(StagedFiles, RemovesTheFoldersItMadeWhereOneCanNotBeMade) {
  const TempDir temporary;
  const fs::path folder = temporary / "made" / std::string(300, 'x');  // names have at most 255 bytes
  expect_error([&] { StagedFiles{folder}; }, ExitCode::output,
               folder.string() + ": can't create this folder: File name too long");
  EXPECT_EQ(names_in(temporary / ""), Names{});
}

TEST(StagedFiles, SaysWhichFileCanNotBeWritten) {
  const TempDir temporary;
  const fs::path folder = temporary / "out";
  StagedFiles files(folder);
  expect_error([&] { files.write("no/such", "1"); }, ExitCode::output,
               (folder / "no/such").string() + ": can't be written: No such file or directory");
}

TEST(StagedFiles, SaysWhichFileCanNotBePutInPlace) {
  const TempDir temporary;
  const fs::path folder = temporary / "out";
  fs::create_directories(folder / "a");
  StagedFiles files(folder);
  files.write("a", "1");
  expect_error([&] { files.commit(); }, ExitCode::output,
               (folder / "a").string() + ": can't be moved into place: Is a directory");
}

TEST(StagedFiles, PutOneFileInPlaceForGood) {
  const test::TempDir folder;
  {
    StagedFiles files(folder / "out");
    files.put("kept.txt", "one");
    files.put("kept.txt", "two");
    files.write("lost.txt", "never committed");
  }
  EXPECT_EQ(read_text(folder / "out" / "kept.txt"), "two");
  EXPECT_FALSE(std::filesystem::exists(folder / "out" / "lost.txt"));
}

TEST(StagedFiles, RemoveWhatAKilledProcessLeft) {
  const test::TempDir folder;
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  const std::filesystem::path abandoned = folder / fmt::format(".incite-{}", child);
  const std::filesystem::path in_use = folder / fmt::format(".incite-{}", ::getppid());
  const std::filesystem::path other = folder / ".incite-notes";
  for (const auto& path : {abandoned, in_use, other})
    std::filesystem::create_directory(path);
  const StagedFiles files(folder / ".");
  EXPECT_FALSE(std::filesystem::exists(abandoned));
  EXPECT_TRUE(std::filesystem::exists(in_use));
  EXPECT_TRUE(std::filesystem::exists(other));
}

}  // namespace
}  // namespace incite
