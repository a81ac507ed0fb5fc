#pragma once

#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace incite {

/// The SHA-256 of a file's content, in hexadecimal. Throws Error (data_file) if it can't be read.
std::string sha256_of_file(const std::filesystem::path& file);

/// The SHA-256 of some bytes, in hexadecimal.
std::string sha256(std::string_view content);

/// The content of a text file. Throws Error (data_file) if it can't be read.
std::string read_text(const std::filesystem::path& file);

/// Files for one folder, each of which appears there whole or not at all, and none before all are written: they are
/// written to a hidden folder inside it and renamed into place by commit. What was not committed is removed, and so are
/// folders that were made for this.
class StagedFiles {
 public:
  /// Makes the folder if there is none, and removes what a killed process left in it. Throws Error (output) if that, or
  /// writing into it, is impossible.
  explicit StagedFiles(std::filesystem::path folder);
  ~StagedFiles();
  StagedFiles(const StagedFiles&) = delete;
  StagedFiles& operator=(const StagedFiles&) = delete;

  // write and put may be called from several threads, for different files.

  /// Writes one file, to the disk. Throws Error (output) if it does not fit.
  void write(const std::string& name, std::string_view content);
  /// Puts one file in place at once, over any of the same name; it stays there whatever comes. Where there is no room
  /// for both, the old one goes first.
  void put(const std::string& name, std::string_view content);
  /// Where a file lies until commit.
  std::filesystem::path path(const std::string& name) const { return staging_ / name; }
  /// Renames all files into the folder, in the order in which they were written, over any of the same name.
  void commit();

 private:
  void remove_made_folders();
  void rename(const std::string& name) const;

  std::filesystem::path folder_;
  std::filesystem::path staging_;
  std::mutex mutex_;                                 // of what follows
  std::vector<std::filesystem::path> made_folders_;  // innermost first
  std::vector<std::string> names_;
};

}  // namespace incite
