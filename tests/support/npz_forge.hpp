#pragma once

#include <gtest/gtest.h>
#include <unistd.h>
#include <zip.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace incite::test {

/// A folder that lasts as long as the object.
class TempDir {
 public:
  TempDir() {
    std::string pattern = (std::filesystem::temp_directory_path() / "incite-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = pattern;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::filesystem::path operator/(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// The bytes of values in the machine's order.
template <typename T>
std::string bytes_of(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(std::data(values)), values.size() * sizeof(T)};
}

/// `bytes` bytes of `value`, the lowest first.
inline std::string little_endian(uint64_t value, int bytes) {
  std::string result;
  for (; bytes > 0; --bytes, value >>= 8)
    result.push_back(static_cast<char>(value & 0xff));
  return result;
}

/// An .npy file: `header` as it stands (padding is not required by readers), then `data`.
inline std::string npy(std::string_view header, std::string_view data, int version = 1) {
  std::string result("\x93NUMPY", 6);
  result += little_endian(static_cast<uint64_t>(version), 2);
  result += little_endian(header.size(), version == 1 ? 2 : 4);
  result += header;
  return result += data;
}

/// An .npy file in C order with the header as NumPy writes it; `shape` as in "(2, 3)".
inline std::string npy_of(const std::string& descr, const std::string& shape, std::string_view data) {
  return npy("{'descr': '" + descr + "', 'fortran_order': False, 'shape': " + shape + ", }          \n", data);
}

inline void write_file(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

inline std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

using Members = std::vector<std::pair<std::string, std::string>>;

/// Writes an archive of (name, bytes) members, by libzip.
inline void write_zip(const std::filesystem::path& path, const Members& members, int method = ZIP_CM_STORE) {
  int code = 0;
  zip_t* const archive = zip_open(path.c_str(), ZIP_CREATE | ZIP_TRUNCATE, &code);
  ASSERT_NE(archive, nullptr);
  for (const auto& [name, bytes] : members) {
    zip_source_t* const source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    const zip_int64_t index = zip_file_add(archive, name.c_str(), source, 0);
    ASSERT_GE(index, 0);
    ASSERT_EQ(zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), method, 0), 0);
  }
  ASSERT_EQ(zip_close(archive), 0);
}

}  // namespace incite::test
