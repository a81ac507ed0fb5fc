#include "program/pt2_tensors.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "base/fail.hpp"
#include "program/pt2_enums.hpp"

namespace incite {
namespace {

static_assert(std::endian::native == std::endian::little, "weights are read as they lie in memory");

constexpr size_t most_dimensions = 64;
constexpr int64_t most_expanded = int64_t{1} << 22;  // elements of a tensor that repeats fewer in memory
constexpr int64_t largest_index = std::numeric_limits<int64_t>::max();

/// A size that must be known: not one that depends on the batch.
int64_t fixed(const JsonView& size) {
  const auto [kind, value] = size.only();
  if (kind != "as_int") size.refuse(fmt::format("{}; expected as_int", printable(kind)));
  if (value.integer() < 0) value.refuse(fmt::format("{}; expected 0 or more", value.integer()));
  return value.integer();
}

std::vector<int64_t> fixed_sizes(const JsonView& list) {
  std::vector<int64_t> sizes;
  for (const JsonView& size : list.items())
    sizes.push_back(fixed(size));
  return sizes;
}

c10::ScalarType type_in(const JsonView& meta) {
  const JsonView number = meta.at("dtype");
  const auto type = type_of_pt2(number.integer());
  if (type) return *type;
  fail(ExitCode::unsupported,
       "{}: type {} of PyTorch's archive; expected a real type that is not quantized. Export "
       "model.float()",
       number.where(), number.integer());
}

/// How many elements a tensor reaches from the start of its memory; nothing if the number is too large.
std::optional<int64_t> reach(const std::vector<int64_t>& sizes, const std::vector<int64_t>& strides, int64_t offset) {
  int64_t last = offset;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) return 0;
    int64_t step = 0;
    if (__builtin_mul_overflow(sizes[i] - 1, strides[i], &step) || __builtin_add_overflow(last, step, &last))
      return std::nullopt;
  }
  return last == largest_index ? std::nullopt : std::optional(last + 1);
}

/// Whether a tensor has at most so many elements.
bool holds_at_most(const std::vector<int64_t>& sizes, int64_t most) {
  int64_t count = 1;
  for (const int64_t size : sizes) {
    if (size == 0) return true;
    if (__builtin_mul_overflow(count, size, &count)) return false;
  }
  return count <= most;
}

}  // namespace

void check_device(const JsonView& device) {
  const std::string& type = device.at("type").text();
  if (type == "cpu") return;
  fail(ExitCode::unsupported, "{}: device {}; expected cpu. Export the model on the CPU, as in model.cpu()",
       device.where(), printable(type));
}

Pt2Tensors::Bytes& Pt2Tensors::bytes_of(const JsonView& entry) {
  const JsonView path = entry.at("path_name");
  const auto known = bytes_.find(path.text());
  if (known != bytes_.end()) return known->second;
  if (path.text().find('/') != std::string::npos || path.text().find('\\') != std::string::npos)
    path.refuse(fmt::format("'{}' is outside its folder", printable(path.text())));
  const ZipEntry* member = zip_.find(folder_ + path.text());
  if (member == nullptr) path.refuse(fmt::format("the archive has no '{}'", printable(path.text())));
  try {
    ZipMember bytes = zip_.open(*member);
    const at::Tensor memory = at::empty({static_cast<int64_t>(member->size)}, at::kByte);
    bytes.read(static_cast<char*>(memory.mutable_data_ptr()), member->size);
    bytes.check_rest();
    return bytes_.emplace(path.text(), Bytes{memory.storage(), member->size, 0, entry}).first->second;
  } catch (const ZipError& error) {
    path.refuse(fmt::format("'{}': {}", printable(path.text()), error.what()));
  }
}

at::Tensor Pt2Tensors::read(const JsonView& entry) {
  const auto meta = entry.find("tensor_meta");
  if (entry.at("use_pickle").boolean() || !meta) {
    fail(ExitCode::unsupported,
         "{}: a pickled object, such as a quantized weight or a custom object; expected a plain tensor. Export a model "
         "of plain tensors",
         entry.where());
  }
  check_device(meta->at("device"));
  const c10::ScalarType type = type_in(*meta);
  if (!layout_of_pt2(meta->at("layout").integer())) {
    fail(ExitCode::unsupported, "{}: a sparse tensor; expected a dense one. Export a model of dense weights",
         entry.where());
  }
  const std::vector<int64_t> sizes = fixed_sizes(meta->at("sizes"));
  const std::vector<int64_t> strides = fixed_sizes(meta->at("strides"));
  const int64_t offset = fixed(meta->at("storage_offset"));
  if (sizes.size() > most_dimensions || strides.size() != sizes.size())
    meta->refuse(fmt::format("{} sizes and {} strides", sizes.size(), strides.size()));
  Bytes& bytes = bytes_of(entry);
  const auto each = static_cast<int64_t>(c10::elementSize(type));
  const int64_t there = static_cast<int64_t>(bytes.size) / each;
  const auto needed = reach(sizes, strides, offset);
  if (!needed || *needed > there || !holds_at_most(sizes, std::max(there, most_expanded))) {
    meta->refuse(fmt::format("a tensor [{}] of {}, but '{}' has {} bytes", fmt::join(sizes, ", "), c10::toString(type),
                             printable(entry.at("path_name").text()), bytes.size));
  }
  bytes.used = std::max(bytes.used, static_cast<uint64_t>(*needed * each));
  return at::empty({0}, type).set_(bytes.storage, offset, sizes, strides);
}

void Pt2Tensors::check_sizes() const {
  for (const auto& [path, bytes] : bytes_) {
    if (bytes.used < bytes.size)
      bytes.entry.refuse(fmt::format("'{}' has {} bytes; expected {}", printable(path), bytes.size, bytes.used));
  }
}

}  // namespace incite
