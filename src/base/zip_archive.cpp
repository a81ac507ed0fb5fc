#include "base/zip_archive.hpp"

#include <zip.h>

#include <algorithm>
#include <array>

#include "base/fail.hpp"

namespace incite {
namespace {

std::string message_of(int code) {
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string message = zip_error_strerror(&error);
  zip_error_fini(&error);
  return message;
}

}  // namespace

void ZipMember::Close::operator()(zip_file* member) const {
  zip_fclose(member);
}

void ZipArchive::Discard::operator()(zip* archive) const {
  zip_discard(archive);  // nothing was changed
}

void ZipMember::fail() {
  const std::string reason = zip_error_strerror(zip_file_get_error(member_.get()));
  throw ZipError(reason == "No error" ? "it ends early" : reason);
}

void ZipMember::read(char* to, uint64_t count) {
  while (count > 0) {
    const zip_int64_t got = zip_fread(member_.get(), to, count);
    if (got <= 0) fail();
    to += got;
    count -= static_cast<uint64_t>(got);
  }
}

void ZipMember::check_rest() {
  std::array<char, 1 << 16> rest;
  zip_int64_t got = 0;
  do {
    got = zip_fread(member_.get(), rest.data(), rest.size());
  } while (got > 0);
  if (got < 0) fail();
}

ZipArchive::ZipArchive(const std::filesystem::path& path) {
  int code = 0;
  archive_.reset(zip_open(path.c_str(), ZIP_RDONLY, &code));
  if (!archive_) throw ZipError(message_of(code));
  std::error_code ignored;
  file_size_ = std::filesystem::file_size(path, ignored);
  const zip_int64_t count = zip_get_num_entries(archive_.get(), 0);
  for (zip_int64_t i = 0; i < count; ++i) {
    zip_stat_t stat;
    zip_stat_init(&stat);
    const auto index = static_cast<zip_uint64_t>(i);
    const char* const name = zip_get_name(archive_.get(), index, ZIP_FL_ENC_RAW);
    if (name == nullptr || zip_stat_index(archive_.get(), index, 0, &stat) != 0) continue;
    entries_.push_back({name, index, stat.size, stat.comp_size, stat.comp_method != ZIP_CM_STORE});
  }
}

const ZipEntry* ZipArchive::find(std::string_view name) const {
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const ZipEntry& entry) { return entry.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

ZipMember ZipArchive::open(const ZipEntry& entry) const {
  zip_file_t* const member = zip_fopen_index(archive_.get(), entry.index, 0);
  if (member == nullptr) throw ZipError(zip_strerror(archive_.get()));
  return ZipMember(member);
}

std::string ZipArchive::read(const ZipEntry& entry) const {
  ZipMember member = open(entry);
  std::string bytes(entry.size, '\0');
  member.read(bytes.data(), bytes.size());
  member.check_rest();
  return bytes;
}

void ZipArchive::check_all() const {
  for (const ZipEntry& entry : entries_) {
    try {
      open(entry).check_rest();
    } catch (const ZipError& error) {
      throw ZipError(fmt::format("{}: {}", entry.name, error.what()));
    }
  }
}

}  // namespace incite
