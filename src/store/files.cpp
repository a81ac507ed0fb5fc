#include "store/files.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "base/fail.hpp"

namespace incite {
namespace {

std::ifstream open(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) fail(ExitCode::data_file, "{}: can't be read: {}", file.string(), std::strerror(errno));
  return stream;
}

constexpr std::string_view staging_prefix = ".incite-";

class Sha256 {
 public:
  Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    INCITE_ASSERT(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
  }
  void add(std::string_view content) {
    INCITE_ASSERT(EVP_DigestUpdate(context_.get(), content.data(), content.size()) == 1);
  }
  std::string hexadecimal() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    INCITE_ASSERT(EVP_DigestFinal_ex(context_.get(), digest.data(), &size) == 1);
    std::string text;
    for (unsigned int i = 0; i < size; ++i)
      text += fmt::format("{:02x}", digest[i]);
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

/// Closes a file descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

/// Writes a file through to the disk. Returns 0, or the value of errno.
int write_to_disk(const std::filesystem::path& file, std::string_view content) {
  const Descriptor descriptor(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666));
  if (descriptor.get() < 0) return errno;
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    content.remove_prefix(static_cast<size_t>(written));
  }
  return ::fsync(descriptor.get()) == 0 ? 0 : errno;
}

bool is_full(int reason) {
  return reason == ENOSPC || reason == EDQUOT;
}

/// Throws Error (output) unless `reason` is 0. `file`: its final path, for the message.
void check_written(int reason, const std::filesystem::path& file, size_t size) {
  if (reason == 0) return;
  if (is_full(reason)) {
    fail(ExitCode::output, "{}: can't be written: {}; it takes {:.1f} MiB. Free some space, or write to another folder",
         file.string(), std::strerror(reason), static_cast<double>(size) / (1 << 20));
  }
  fail(ExitCode::output, "{}: can't be written: {}", file.string(), std::strerror(reason));
}

/// The process that created a staging folder, by the folder's name; -1 for any other name.
pid_t owner_of(const std::string& name) {
  if (!name.starts_with(staging_prefix)) return -1;
  const std::string digits = name.substr(staging_prefix.size());
  if (digits.empty() || digits.size() > 9 || digits.find_first_not_of("0123456789") != std::string::npos) return -1;
  return static_cast<pid_t>(std::stol(digits));
}

/// Removes staging folders of processes that no longer run.
void remove_abandoned(const std::filesystem::path& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const pid_t owner = owner_of(entry.path().filename().string());
    if (owner <= 0 || ::kill(owner, 0) == 0 || errno != ESRCH) continue;
    std::error_code ignored;
    std::filesystem::remove_all(entry.path(), ignored);
  }
}

}  // namespace

std::string sha256_of_file(const std::filesystem::path& file) {
  std::ifstream stream = open(file);
  Sha256 digest;
  std::array<char, 65536> block{};
  while (stream.read(block.data(), block.size()) || stream.gcount() > 0)
    digest.add({block.data(), static_cast<size_t>(stream.gcount())});
  if (stream.bad()) fail(ExitCode::data_file, "{}: reading it failed: {}", file.string(), std::strerror(errno));
  return digest.hexadecimal();
}

std::string sha256(std::string_view content) {
  Sha256 digest;
  digest.add(content);
  return digest.hexadecimal();
}

std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream = open(file);
  std::ostringstream text;
  text << stream.rdbuf();
  if (stream.bad()) fail(ExitCode::data_file, "{}: reading it failed: {}", file.string(), std::strerror(errno));
  return std::move(text).str();
}

StagedFiles::StagedFiles(std::filesystem::path folder) : folder_(std::move(folder)) {
  std::error_code error;
  for (std::filesystem::path missing = std::filesystem::absolute(folder_, error).lexically_normal();
       !missing.empty() && !std::filesystem::exists(missing, error); missing = missing.parent_path()) {
    created_folders_.push_back(missing);
  }
  std::filesystem::create_directories(folder_, error);
  if (error) {
    remove_created_folders();
    fail(ExitCode::output, "{}: can't create this folder: {}", folder_.string(), error.message());
  }
  remove_abandoned(folder_);
  staging_ = folder_ / fmt::format("{}{}", staging_prefix, ::getpid());
  std::filesystem::create_directory(staging_, error);
  if (error) {
    remove_created_folders();
    fail(ExitCode::output, "{}: can't write into this folder: {}", folder_.string(), error.message());
  }
}

StagedFiles::~StagedFiles() {
  std::error_code ignored;
  std::filesystem::remove_all(staging_, ignored);
  remove_created_folders();
}

void StagedFiles::remove_created_folders() {
  std::error_code ignored;
  for (const auto& folder : created_folders_)
    std::filesystem::remove(folder, ignored);  // only if it is empty
}

void StagedFiles::write(const std::string& name, std::string_view content) {
  check_written(write_to_disk(path(name), content), folder_ / name, content.size());
  const std::lock_guard lock(mutex_);
  if (std::find(names_.begin(), names_.end(), name) == names_.end()) names_.push_back(name);
}

void StagedFiles::put(const std::string& name, std::string_view content) {
  int reason = write_to_disk(path(name), content);
  std::error_code error;
  if (is_full(reason) && std::filesystem::remove(folder_ / name, error)) reason = write_to_disk(path(name), content);
  check_written(reason, folder_ / name, content.size());
  rename(name);
  const std::lock_guard lock(mutex_);
  created_folders_.clear();
}

void StagedFiles::rename(const std::string& name) const {
  std::error_code error;
  std::filesystem::rename(path(name), folder_ / name, error);
  if (error) fail(ExitCode::output, "{}: can't be moved into place: {}", (folder_ / name).string(), error.message());
}

void StagedFiles::commit() {
  for (const std::string& name : names_)
    rename(name);
  names_.clear();
  created_folders_.clear();
}

}  // namespace incite
