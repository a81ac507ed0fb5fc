#include "data/npz.hpp"

#include <fmt/ranges.h>

#include <fstream>
#include <memory>
#include <utility>

#include "base/fail.hpp"
#include "base/zip_archive.hpp"
#include "data/npy.hpp"

namespace incite {

namespace {

constexpr std::string_view kSuffix = ".npy";

/// Says why libzip would not open a file: its own message is the same for a cut archive and for a text file.
[[noreturn]] void fail_to_open(const std::filesystem::path& path, const ZipError& error) {
  std::string start(6, '\0');
  std::ifstream file(path, std::ios::binary);
  if (!file.read(start.data(), static_cast<std::streamsize>(start.size()))) start.clear();
  if (start == "\x93NUMPY") {
    fail(ExitCode::data_file, "{}: a single .npy array; expected an .npz archive. Save it with numpy.savez.",
         path.string());
  }
  if (start.starts_with("PK")) {
    fail(ExitCode::data_file, "{}: a damaged or truncated .npz archive ({}). Save or copy it again.", path.string(),
         error.what());
  }
  fail(ExitCode::data_file, "{}: not an .npz archive ({}). Save the arrays with numpy.savez.", path.string(),
       error.what());
}

ZipArchive open_archive(const std::filesystem::path& path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) {
    fail(ExitCode::data_file, "{}: no such file; expected an .npz archive. Check the path.", path.string());
  }
  if (std::filesystem::is_directory(path, ignored)) {
    fail(ExitCode::data_file, "{}: a folder; expected an .npz archive. Check the path.", path.string());
  }
  try {
    return ZipArchive(path);
  } catch (const ZipError& error) {
    fail_to_open(path, error);
  }
}

class MemberSource : public ByteSource {
 public:
  MemberSource(ZipMember member, uint64_t size, std::string name)
      : ByteSource(size), member_(std::move(member)), name_(std::move(name)) {}

  /// Reads on to the end: only there does libzip compare the checksum.
  void check_rest() {
    try {
      member_.check_rest();
    } catch (const ZipError& error) {
      fail_damaged(error);
    }
  }

 protected:
  void read_some(char* to, uint64_t count) override {
    try {
      member_.read(to, count);
    } catch (const ZipError& error) {
      fail_damaged(error);
    }
  }

 private:
  [[noreturn]] void fail_damaged(const ZipError& error) {
    fail(ExitCode::data_file, "{}: damaged ({}). Save or copy the file again.", name_, error.what());
  }

  ZipMember member_;
  std::string name_;
};

}  // namespace

NpzFile::NpzFile(std::filesystem::path path) : path_(std::move(path)) {
  const ZipArchive archive = open_archive(path_);
  for (const ZipEntry& entry : archive.entries()) {
    const std::string_view member = entry.name;
    if (!member.ends_with(kSuffix)) continue;
    const std::string_view key = member.substr(0, member.size() - kSuffix.size());
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
  const ZipArchive archive = open_archive(path_);
  const ZipEntry* entry = archive.find(members_.at(key));
  const auto source_of = [&] {
    try {
      if (entry == nullptr) throw ZipError("No such file");
      return MemberSource(archive.open(*entry), entry->size, name);
    } catch (const ZipError& error) {
      fail(ExitCode::data_file, "{}: can't be unpacked ({}). Save the file again with numpy.savez.", name,
           error.what());
    }
  };
  MemberSource source = source_of();
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
