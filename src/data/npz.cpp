#include "data/npz.hpp"

#include <fmt/ranges.h>
#include <zip.h>

#include <array>
#include <fstream>
#include <memory>

#include "base/fail.hpp"
#include "data/npy.hpp"

namespace incite {

namespace {

constexpr std::string_view kSuffix = ".npy";

struct ZipClose {
  void operator()(zip_t* archive) const { zip_discard(archive); }  // nothing was changed
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};
using Archive = std::unique_ptr<zip_t, ZipClose>;
using Member = std::unique_ptr<zip_file_t, ZipClose>;

std::string zip_message(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string message = zip_error_strerror(&error);
  zip_error_fini(&error);
  return message;
}

/// Says why libzip would not open a file: its own message is the same for a cut archive and for a text file.
[[noreturn]] void fail_to_open(const std::filesystem::path& path, int code) {
  std::string start(6, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(start.data(), static_cast<std::streamsize>(start.size()))) start.clear();
  if (start == "\x93NUMPY") {
    fail(ExitCode::data_file, "{}: a single .npy array; expected an .npz archive. Save it with numpy.savez.",
         path.string());
  }
  if (start.starts_with("PK")) {
    fail(ExitCode::data_file, "{}: a damaged or truncated .npz archive ({}). Save or copy it again.", path.string(),
         zip_message(code));
  }
  fail(ExitCode::data_file, "{}: not an .npz archive ({}). Save the arrays with numpy.savez.", path.string(),
       zip_message(code));
}

Archive open_archive(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    fail(ExitCode::data_file, "{}: no such file; expected an .npz archive. Check the path.", path.string());
  }
  if (std::filesystem::is_directory(path, ignored)) {
    fail(ExitCode::data_file, "{}: a folder; expected an .npz archive. Check the path.", path.string());
  }
  int code = 0;
  Archive archive(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (!archive) fail_to_open(path, code);
  return archive;
}

class MemberSource : public ByteSource {
 public:
  MemberSource(Member member, uint64_t size, std::string name)
      : ByteSource(size), member_(std::move(member)), name_(std::move(name)) {}

  /// Reads on to the end: only there does libzip compare the checksum.
  void check_rest() {
    std::array<char, 4096> rest{};
    zip_int64_t got = 0;
    do {
      got = zip_fread(member_.get(), rest.data(), rest.size());
    } while (got > 0);
    if (got < 0) fail_damaged();
  }

 protected:
  void read_some(char* to, uint64_t count) override {
    while (count > 0) {
      const zip_int64_t got = zip_fread(member_.get(), to, count);
      if (got <= 0) fail_damaged();
      to += got;
      count -= static_cast<uint64_t>(got);
    }
  }

 private:
  [[noreturn]] void fail_damaged() {
    const std::string reason = zip_error_strerror(zip_file_get_error(member_.get()));
    fail(ExitCode::data_file, "{}: damaged ({}). Save or copy the file again.", name_,
         reason == "No error" ? "it ends early" : reason);
  }

  Member member_;
  std::string name_;
};

}  // namespace

NpzFile::NpzFile(std::filesystem::path path) : path_(std::move(path)) {
  const Archive archive = open_archive(path_);
  const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* const member = zip_get_name(archive.get(), static_cast<zip_uint64_t>(i), ZIP_FL_ENC_RAW);
    if (member == nullptr || !std::string_view(member).ends_with(kSuffix)) continue;
    const std::string_view key = std::string_view(member).substr(0, std::string_view(member).size() - kSuffix.size());
    if (!members_.emplace(key, member).second) {
      fail(ExitCode::data_file, "{}: holds array '{}' twice. Save the file again.", path_.string(), key);
    }
  }
  for (const auto& [key, member] : members_)
    keys_.push_back(key);
}

bool NpzFile::contains(const std::string& key) const {
  return members_.contains(key);
}

template <typename Reading>
auto NpzFile::read_member(const std::string& key, const Reading& reading) const {
  const std::string name = fmt::format("{}: array '{}'", path_.string(), key);
  const Archive archive = open_archive(path_);
  zip_stat_t stat;
  zip_stat_init(&stat);
  const bool known = zip_stat(archive.get(), members_.at(key).c_str(), ZIP_FL_ENC_RAW, &stat) == 0;
  Member member(known ? zip_fopen_index(archive.get(), stat.index, 0) : nullptr);
  if (!member || (stat.valid & ZIP_STAT_SIZE) == 0) {
    fail(ExitCode::data_file, "{}: can't be unpacked ({}). Save the file again with numpy.savez.", name,
         zip_strerror(archive.get()));
  }
  MemberSource source(std::move(member), stat.size, name);
  try {
    auto result = reading(source, name);
    source.check_rest();
    return result;
  } catch (const Error&) {
    source.check_rest();  // damage explains whatever else was found
    throw;
  }
}

at::Tensor NpzFile::read(const std::string& key) const {
  if (!contains(key)) {
    fail(ExitCode::data_file, "{}: no array '{}'; it holds: {}. Choose one of these.", path_.string(), key,
         keys_.empty() ? "none" : fmt::format("{}", fmt::join(keys_, ", ")));
  }
  return read_member(key, read_npy);
}

std::optional<std::vector<std::string>> NpzFile::read_text(const std::string& key) const {
  return contains(key) ? read_member(key, read_npy_text) : std::nullopt;
}

}  // namespace incite
