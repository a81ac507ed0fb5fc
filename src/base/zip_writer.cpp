#include "base/zip_writer.hpp"

#include <zip.h>

#include <memory>

#include "base/fail.hpp"

namespace incite {
namespace {

constexpr zip_uint32_t fastest = 1;

void add_member(zip_t* archive, const ZipContent& member) {
  zip_source_t* source = zip_source_buffer(archive, member.bytes.data(), member.bytes.size(), 0);
  const zip_int64_t added = zip_file_add(archive, member.name.c_str(), source, ZIP_FL_ENC_UTF_8);
  INCITE_ASSERT(added >= 0);
  const auto index = static_cast<zip_uint64_t>(added);
  const zip_int32_t method = member.deflate ? ZIP_CM_DEFLATE : ZIP_CM_STORE;
  INCITE_ASSERT(zip_set_file_compression(archive, index, method, member.deflate ? fastest : 0) == 0);
  INCITE_ASSERT(zip_file_set_dostime(archive, index, 0, 0x21, 0) == 0);  // 1980-01-01
}

}  // namespace

std::string to_zip(const std::vector<ZipContent>& members) {
  zip_error_t error;
  zip_error_init(&error);
  zip_source_t* whole = zip_source_buffer_create(nullptr, 0, 0, &error);
  INCITE_ASSERT(whole != nullptr);
  zip_source_keep(whole);  // closing the archive gives up its own hold
  const std::unique_ptr<zip_source_t, decltype(&zip_source_free)> hold(whole, zip_source_free);
  zip_t* archive = zip_open_from_source(whole, ZIP_TRUNCATE, &error);
  INCITE_ASSERT(archive != nullptr);
  for (const ZipContent& member : members)
    add_member(archive, member);
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
