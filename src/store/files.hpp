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

/// Files for one folder that all appear at once, each complete: they are written to a hidden folder inside it, and
/// commit renames them into place. The destructor removes what was not committed.
class StagedFiles {
 public:
  /// Creates the folder if needed, and removes the hidden folders of killed processes. Throws Error (output) if the
  /// folder can't be created or written to.
  explicit StagedFiles(std::filesystem::path folder);
  ~StagedFiles();
  StagedFiles(const StagedFiles&) = delete;
  StagedFiles& operator=(const StagedFiles&) = delete;

  // write and put may be called from several threads, for different files.

  /// Writes one file through to the disk. Throws Error (output) if that fails, as when the disk is full.
  void write(const std::string& name, std::string_view content);
  /// Puts one file into place at once, for good, replacing any file of that name. If the disk has no room for both, the
  /// old one is removed first. Throws Error (output).
  void put(const std::string& name, std::string_view content);
  /// The path of a file until commit.
  std::filesystem::path path(const std::string& name) const { return staging_ / name; }
  /// Renames all files into the folder, in the order in which they were written, replacing files of these names. Throws
  /// Error (output).
  void commit();

 private:
  void remove_created_folders();
  void rename(const std::string& name) const;

  std::filesystem::path folder_;
  std::filesystem::path staging_;
  std::mutex mutex_;                                    // guards the members below
  std::vector<std::filesystem::path> created_folders_;  // innermost first
  std::vector<std::string> names_;
};

}  // namespace incite
