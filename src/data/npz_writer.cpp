#include "data/npz_writer.hpp"

#include <ATen/ATen.h>

#include <bit>
#include <list>
#include <stdexcept>

#include "base/zip_writer.hpp"

namespace incite {
namespace {

constexpr size_t most_deflated = 32 << 20;  // bytes: more takes longer than it is worth

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
  std::list<std::string> contents;
  std::vector<ZipContent> members;
  for (const auto& [name, array] : arrays) {
    const std::string& bytes = contents.emplace_back(to_npy(array));
    members.push_back({name + ".npy", bytes, bytes.size() <= most_deflated});
  }
  return to_zip(members);
}

}  // namespace incite
