#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace incite {

/// Parses one array in NumPy's .npy format, versions 1.0 to 3.0.
///
/// Returns a contiguous CPU tensor in C order and native byte order. Types: bool, int8–64, uint8, float16/32/64 as they
/// are; uint16 becomes int32, uint32 and uint64 become int64. `name` is used in messages only. Format:
/// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
///
/// Throws Error (data_file) for anything else: bad magic, malformed or truncated header, object, string, complex or
/// structured arrays, uint64 values above 2^63 - 1, fewer or more bytes than the shape says.
at::Tensor parse_npy(std::string_view bytes, const std::string& name);

/// A NumPy .npz archive: stored or deflated members, ZIP64.
class NpzFile {
 public:
  /// Opens an archive and lists its members. Throws Error (data_file) when the file is missing or is not a readable ZIP
  /// archive.
  explicit NpzFile(std::filesystem::path path);

  /// The names of the arrays (members without their ".npy"), sorted.
  const std::vector<std::string>& keys() const { return keys_; }
  bool contains(const std::string& key) const;

  /// Reads one array, as parse_npy does. Throws Error (data_file) when there is no such key (the message lists those
  /// there are), or when the member is truncated or its checksum is wrong.
  at::Tensor read(const std::string& key) const;

  /// Reads an array [N] of text; nullopt if there is none of that name, or it holds something else. Throws Error
  /// (data_file) as read.
  std::optional<std::vector<std::string>> read_text(const std::string& key) const;

  const std::filesystem::path& path() const { return path_; }

 private:
  /// What `reading` makes of a member, which must be there.
  template <typename Reading>
  auto read_member(const std::string& key, const Reading& reading) const;

  std::filesystem::path path_;
  std::vector<std::string> keys_;
  std::map<std::string, std::string> members_;  // key: name in the archive
};

}  // namespace incite
