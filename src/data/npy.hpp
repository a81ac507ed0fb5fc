#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace incite {

/// Where the bytes of one .npy array come from: memory, or a member of an archive that is unpacked as it is read.
class ByteSource {
 public:
  explicit ByteSource(uint64_t size) : remaining_(size) {}
  virtual ~ByteSource() = default;
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  /// Bytes not yet read, as the container declares them.
  uint64_t remaining() const { return remaining_; }

  /// Reads exactly `count` bytes, at most remaining(). Throws Error (data_file) where they are damaged or missing.
  void read(void* to, uint64_t count);

 protected:
  virtual void read_some(char* to, uint64_t count) = 0;

 private:
  uint64_t remaining_;
};

/// What the header of an .npy array says.
struct NpyHeader {
  std::string descr;           ///< type, such as "<f4"; empty for a structured one
  bool fortran_order = false;  ///< whether the first index varies fastest
  std::vector<int64_t> shape;
};

/// Parses the Python dict literal that is the header. Throws Error (data_file) if it is malformed or lacks a key.
NpyHeader parse_npy_header(std::string_view text, const std::string& name);

/// Reads one array to the end of `source`; see parse_npy.
at::Tensor read_npy(ByteSource& source, const std::string& name);

/// Reads an array [N] of text, NumPy's types U and S, as UTF-8; nullopt for an array of another type or shape. Throws
/// Error (data_file) where the array is damaged.
std::optional<std::vector<std::string>> read_npy_text(ByteSource& source, const std::string& name);

}  // namespace incite
