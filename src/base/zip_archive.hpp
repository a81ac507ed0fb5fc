#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// libzip's own types, so that its header stays in one source.
struct zip;
struct zip_file;

namespace incite {

/// What is wrong with a ZIP archive or one of its members, in libzip's words and without the file's name.
struct ZipError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A member of a ZIP archive, as the archive's directory describes it: the sizes may be wrong.
struct ZipEntry {
  std::string name;
  uint64_t index = 0;
  uint64_t size = 0;         ///< in bytes, unpacked
  uint64_t packed_size = 0;  ///< in bytes, in the file
  bool compressed = false;
};

/// A member that is being read from its start to its end.
class ZipMember {
 public:
  /// Reads the next `count` bytes. Throws ZipError if there are fewer, or if they are damaged.
  void read(char* to, uint64_t count);

  /// Reads on to the end, where libzip compares the checksum. Throws ZipError if it is wrong.
  void check_rest();

 private:
  friend class ZipArchive;
  struct Close {
    void operator()(zip_file* member) const;
  };
  explicit ZipMember(zip_file* member) : member_(member) {}
  [[noreturn]] void fail();

  std::unique_ptr<zip_file, Close> member_;
};

/// A ZIP archive that is open for reading: stored or deflated members, ZIP64. Not for several threads at a time.
class ZipArchive {
 public:
  /// Throws ZipError for a file that is no readable ZIP archive.
  explicit ZipArchive(const std::filesystem::path& path);

  const std::vector<ZipEntry>& entries() const { return entries_; }
  /// The first member of a name; null if there is none.
  const ZipEntry* find(std::string_view name) const;
  uint64_t file_size() const { return file_size_; }

  /// Throws ZipError if the member can't be read.
  ZipMember open(const ZipEntry& entry) const;

  /// The whole member, with its checksum compared. Throws ZipError.
  std::string read(const ZipEntry& entry) const;

  /// Reads every member to its end, in little memory, and compares its checksum. Throws ZipError that names the first
  /// member that is damaged.
  void check_all() const;

 private:
  struct Discard {
    void operator()(zip* archive) const;
  };
  std::unique_ptr<zip, Discard> archive_;
  std::vector<ZipEntry> entries_;
  uint64_t file_size_ = 0;
};

}  // namespace incite
