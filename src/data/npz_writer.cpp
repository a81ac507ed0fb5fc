#include "data/npz_writer.hpp"

#include <ATen/ATen.h>
#include <zip.h>

#include <bit>
#include <list>
#include <memory>

#include "base/fail.hpp"

namespace incite {
namespace {

constexpr size_t most_deflated = 32 << 20;  // bytes: more takes longer than it is worth
constexpr zip_uint32_t fastest = 1;

static_assert(std::endian::native == std::endian::little, "arrays are written as they lie in memory");

const char* type_code(at::ScalarType type) {
  switch (type) {
    case at::kDouble:
      return "<f8";
    case at::kLong:
      return "<i8";
    case at::kByte:
      return "|u1";
    default:
      break;
  }
  throw std::logic_error("an array of a type that is never written");
}

/// An array in NumPy's .npy format, version 1.0: the header's length, with what is before it, is a multiple of 64.
std::string to_npy(const at::Tensor& array) {
  const at::Tensor values = array.cpu().contiguous();
  std::string shape;
  for (const int64_t size : values.sizes())
    shape += fmt::format("{},", size);
  std::string header =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type_code(values.scalar_type()), shape);
  constexpr size_t before = 10;
  header.append(63 - (before + header.size()) % 64, ' ');
  header.push_back('\n');
  std::string bytes("\x93NUMPY\x01\x00", 8);
  bytes.push_back(static_cast<char>(header.size() & 0xff));
  bytes.push_back(static_cast<char>(header.size() >> 8));
  bytes += header;
  bytes.append(static_cast<const char*>(values.const_data_ptr()), values.nbytes());
  return bytes;
}

}  // namespace

std::string to_npz(const std::vector<std::pair<std::string, at::Tensor>>& arrays) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* whole = zip_source_buffer_create(nullptr, 0, 0, &error);
  INCITE_ASSERT(whole != nullptr);
  zip_source_keep(whole);  // closing the archive gives up its own hold
  const std::unique_ptr<zip_source_t, decltype(&zip_source_free)> hold(whole, zip_source_free);
  zip_t* archive = zip_open_from_source(whole, ZIP_TRUNCATE, &error);
  INCITE_ASSERT(archive != nullptr);
  std::list<std::string> members;  // read when the archive is closed
  for (const auto& [name, array] : arrays) {
    const std::string& bytes = members.emplace_back(to_npy(array));
    zip_source_t* source = zip_source_buffer(archive, bytes.data(), bytes.size(), 0);
    const zip_int64_t index = zip_file_add(archive, (name + ".npy").c_str(), source, ZIP_FL_ENC_UTF_8);
    INCITE_ASSERT(index >= 0);
    const bool small = bytes.size() <= most_deflated;
    INCITE_ASSERT(zip_set_file_compression(archive, static_cast<zip_uint64_t>(index),
                                           small ? ZIP_CM_DEFLATE : ZIP_CM_STORE, small ? fastest : 0) == 0);
    INCITE_ASSERT(zip_file_set_dostime(archive, static_cast<zip_uint64_t>(index), 0, 0x21, 0) == 0);  // 1980-01-01
  }
  INCITE_ASSERT(zip_close(archive) == 0);
  INCITE_ASSERT(zip_source_open(whole) == 0);
  zip_stat_t stat;
  zip_stat_init(&stat);
  INCITE_ASSERT(zip_source_stat(whole, &stat) == 0);
  std::string bytes(stat.size, '\0');
  INCITE_ASSERT(zip_source_read(whole, bytes.data(), bytes.size()) == static_cast<zip_int64_t>(bytes.size()));
  zip_source_close(whole);
  return bytes;
}

}  // namespace incite
