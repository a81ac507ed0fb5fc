#include "data/npy.hpp"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>

#include "base/fail.hpp"
#include "data/npz.hpp"

namespace incite {

namespace {

constexpr uint64_t kMaxHeaderBytes = uint64_t{1} << 20;  // NumPy's own are about 100 bytes
constexpr std::size_t kMaxDimensions = 64;               // ATen's limit, and NumPy's
constexpr int64_t read_at_once = int64_t{1} << 16;

class MemorySource : public ByteSource {
 public:
  explicit MemorySource(std::string_view bytes) : ByteSource(bytes.size()), bytes_(bytes) {}

 protected:
  void read_some(char* to, uint64_t count) override {
    std::memcpy(to, bytes_.data(), count);
    bytes_.remove_prefix(count);
  }

 private:
  std::string_view bytes_;
};

template <typename T>
T byte_swapped(T value) {
  auto bytes = std::bit_cast<std::array<char, sizeof(T)>>(value);
  std::reverse(bytes.begin(), bytes.end());
  return std::bit_cast<T>(bytes);
}

/// Reads `count` elements stored as S and writes them as R, block by block: a widened array never exists twice.
template <typename S, typename R>
void fill(ByteSource& source, void* to, int64_t count, bool swap, const std::string& name) {
  R* const result = static_cast<R*>(to);
  std::vector<S> block(static_cast<std::size_t>(std::min(count, read_at_once)));
  for (int64_t done = 0; done < count; done += read_at_once) {
    const int64_t taken = std::min(read_at_once, count - done);
    source.read(block.data(), static_cast<uint64_t>(taken) * sizeof(S));
    for (int64_t i = 0; i < taken; ++i) {
      const S value = swap ? byte_swapped(block[static_cast<std::size_t>(i)]) : block[static_cast<std::size_t>(i)];
      if constexpr (std::is_same_v<S, uint64_t> && std::is_same_v<R, int64_t>) {
        if (value > static_cast<uint64_t>(INT64_MAX)) {
          fail(ExitCode::data_file, "{}: element {} is {}; expected at most 2^63 - 1. Save the array as int64.", name,
               done + i, value);
        }
      }
      result[done + i] = static_cast<R>(value);  // any byte but 0 is true, as in NumPy
    }
  }
}

/// A type as stored and as returned. Floating-point numbers are moved as integers of their size: a signalling NaN stays
/// as it is.
struct NpyType {
  void (*fill)(ByteSource&, void*, int64_t, bool, const std::string&);
  int64_t bytes;
  char kind;
  at::ScalarType result;
};

constexpr NpyType kTypes[] = {
    {fill<uint8_t, bool>, 1, 'b', at::kBool},       {fill<uint8_t, uint8_t>, 1, 'i', at::kChar},
    {fill<uint16_t, uint16_t>, 2, 'i', at::kShort}, {fill<uint32_t, uint32_t>, 4, 'i', at::kInt},
    {fill<int64_t, int64_t>, 8, 'i', at::kLong},    {fill<uint8_t, uint8_t>, 1, 'u', at::kByte},
    {fill<uint16_t, int32_t>, 2, 'u', at::kInt},    {fill<uint32_t, int64_t>, 4, 'u', at::kLong},
    {fill<uint64_t, int64_t>, 8, 'u', at::kLong},   {fill<uint16_t, uint16_t>, 2, 'f', at::kHalf},
    {fill<uint32_t, uint32_t>, 4, 'f', at::kFloat}, {fill<uint64_t, uint64_t>, 8, 'f', at::kDouble},
};

/// What an array of a kind that can't be read holds, for the message.
const char* describe_kind(char kind) {
  switch (kind) {
    case 'O':
      return "Python objects";
    case 'S':
    case 'a':
    case 'U':
      return "text";
    case 'c':
      return "complex numbers";
    case 'V':
      return "raw data";
    case 'M':
      return "dates";
    case 'm':
      return "time spans";
    default:
      return "data";
  }
}

struct StoredType {
  NpyType type;
  bool swap;
};

/// Looks up a type such as "<f4": byte order ('=', '|' or none: the machine's), kind, bytes.
StoredType parse_descr(const std::string& descr, const std::string& name) {
  std::string_view rest = descr;
  char order = '=';
  if (!rest.empty() && std::string_view("<>=|").find(rest[0]) != std::string_view::npos) {
    order = rest[0];
    rest.remove_prefix(1);
  }
  const char kind = rest.empty() ? '\0' : rest[0];
  int64_t bytes = 0;
  if (!rest.empty()) {
    const char* const end = rest.data() + rest.size();
    const auto [last, error] = std::from_chars(rest.data() + 1, end, bytes);
    if (error != std::errc() || last != end) bytes = 0;
  }
  for (const NpyType& type : kTypes) {
    if (type.kind != kind || type.bytes != bytes) continue;
    const bool little = order == '<' || (order != '>' && std::endian::native == std::endian::little);
    return {type, little != (std::endian::native == std::endian::little)};
  }
  fail(ExitCode::data_file,
       "{}: holds {} (type '{}'); expected booleans, integers, or floats of 16, 32 or 64 bits. Convert the array.",
       name, describe_kind(kind), descr);
}

/// The bytes of the data. Zero extents count as one, so that no stride overflows either.
int64_t data_bytes(const NpyHeader& header, int64_t element_bytes, const std::string& name) {
  int64_t bytes = element_bytes;
  bool overflows = header.shape.size() > kMaxDimensions;
  bool empty = false;
  for (const int64_t extent : header.shape) {
    overflows = overflows || __builtin_mul_overflow(bytes, std::max<int64_t>(extent, 1), &bytes);
    empty = empty || extent == 0;
  }
  if (overflows) {
    fail(ExitCode::data_file, "{}: shape [{}] is not possible. The file is damaged: save it again.", name,
         fmt::join(header.shape, ", "));
  }
  return empty ? 0 : bytes;
}

at::Tensor allocate(const std::vector<int64_t>& shape, at::ScalarType type, const std::string& name) {
  try {
    return at::empty(shape, type);
  } catch (const c10::Error&) {
    fail(ExitCode::data_file, "{}: no memory for shape [{}]. Use fewer samples.", name, fmt::join(shape, ", "));
  }
}

NpyHeader read_header(ByteSource& source, const std::string& name) {
  std::array<unsigned char, 8> start{};
  const std::string_view magic("\x93NUMPY", 6);
  if (source.remaining() >= start.size()) source.read(start.data(), start.size());
  if (std::memcmp(start.data(), magic.data(), magic.size()) != 0) {
    fail(ExitCode::data_file, "{}: does not start like an .npy array. Save the file again with NumPy.", name);
  }
  if (start[6] < 1 || start[6] > 3 || start[7] != 0) {
    fail(ExitCode::data_file,
         "{}: .npy format version {}.{}; expected 1.0, 2.0 or 3.0. Save the file again with NumPy.", name, start[6],
         start[7]);
  }
  const uint64_t length_bytes = start[6] == 1 ? 2 : 4;
  std::array<unsigned char, 4> length{};
  uint64_t header_bytes = UINT64_MAX;
  if (source.remaining() >= length_bytes) {
    source.read(length.data(), length_bytes);
    header_bytes = length[0] | uint64_t{length[1]} << 8 | uint64_t{length[2]} << 16 | uint64_t{length[3]} << 24;
  }
  if (header_bytes > source.remaining() || header_bytes > kMaxHeaderBytes) {
    fail(ExitCode::data_file, "{}: the .npy header is cut short or too long. Save the file again.", name);
  }
  std::string text(header_bytes, '\0');
  source.read(text.data(), header_bytes);
  return parse_npy_header(text, name);
}

void append_utf8(uint32_t character, std::string& text) {
  const auto add = [&](uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (character < 0x80) return add(character);
  if (character < 0x800) return add(0xc0U | character >> 6), add(0x80U | (character & 0x3fU));
  if (character < 0x10000) {
    return add(0xe0U | character >> 12), add(0x80U | (character >> 6 & 0x3fU)), add(0x80U | (character & 0x3fU));
  }
  add(0xf0U | (character >> 18 & 0x7U));
  add(0x80U | (character >> 12 & 0x3fU));
  add(0x80U | (character >> 6 & 0x3fU));
  add(0x80U | (character & 0x3fU));
}

}  // namespace

void ByteSource::read(void* to, uint64_t count) {
  INCITE_ASSERT(count <= remaining_);
  read_some(static_cast<char*>(to), count);
  remaining_ -= count;
}

at::Tensor read_npy(ByteSource& source, const std::string& name) {
  const NpyHeader header = read_header(source, name);
  const auto [type, swap] = parse_descr(header.descr, name);
  const int64_t bytes = data_bytes(header, type.bytes, name);
  if (source.remaining() != static_cast<uint64_t>(bytes)) {
    fail(ExitCode::data_file,
         "{}: {} bytes of data; expected {} for shape [{}] of type '{}'. The file is damaged: save it again.", name,
         source.remaining(), bytes, fmt::join(header.shape, ", "), header.descr);
  }
  // In Fortran order the bytes are those of the transpose in C order.
  std::vector<int64_t> shape = header.shape;
  if (header.fortran_order) std::reverse(shape.begin(), shape.end());
  at::Tensor result = allocate(shape, type.result, name);
  type.fill(source, result.mutable_data_ptr(), bytes / type.bytes, swap, name);
  if (!header.fortran_order) return result;
  std::vector<int64_t> reversed(shape.size());
  for (std::size_t i = 0; i < shape.size(); ++i)
    reversed[i] = static_cast<int64_t>(shape.size() - 1 - i);
  return result.permute(reversed).contiguous();
}

std::optional<std::vector<std::string>> read_npy_text(ByteSource& source, const std::string& name) {
  const NpyHeader header = read_header(source, name);
  const size_t start = header.descr.find_first_not_of("<>=|");
  if (start == std::string::npos || header.shape.size() != 1) return std::nullopt;
  const char kind = header.descr[start];
  if (kind != 'U' && kind != 'S') return std::nullopt;
  int64_t length = 0;
  const char* const end = header.descr.data() + header.descr.size();
  if (std::from_chars(header.descr.data() + start + 1, end, length).ptr != end || length < 0) return std::nullopt;
  const int64_t unit = kind == 'U' ? 4 : 1;
  if (static_cast<uint64_t>(data_bytes(header, std::max<int64_t>(unit * length, 1), name)) != source.remaining()) {
    fail(ExitCode::data_file, "{}: {} bytes of data; expected {} for {} texts of type '{}'. Save the file again.", name,
         source.remaining(), header.shape[0] * unit * length, header.shape[0], header.descr);
  }
  const bool swap = (header.descr[0] == '>') == (std::endian::native == std::endian::little);
  std::vector<std::string> texts(static_cast<size_t>(header.shape[0]));
  for (std::string& text : texts) {
    for (int64_t i = 0; i < length; ++i) {
      // Shorter texts are filled up with zeros.
      if (kind == 'S') {
        char byte = 0;
        source.read(&byte, 1);
        if (byte != 0) text.push_back(byte);
        continue;
      }
      uint32_t character = 0;
      source.read(&character, sizeof(character));
      if (swap) character = byte_swapped(character);
      if (character != 0) append_utf8(character, text);
    }
  }
  return texts;
}

at::Tensor parse_npy(std::string_view bytes, const std::string& name) {
  MemorySource source(bytes);
  return read_npy(source, name);
}

}  // namespace incite
