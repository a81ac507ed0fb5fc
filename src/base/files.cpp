#include "incite/base/files.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <sstream>

#include "incite/base/error.hpp"

namespace incite {
namespace {

std::ifstream open(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) fail(ExitCode::data_file, "{}: can't be read: {}", file.string(), std::strerror(errno));
  return stream;
}

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

}  // namespace

std::string sha256_of_file(const std::filesystem::path& file) {
  std::ifstream stream = open(file);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  INCITE_ASSERT(context != nullptr && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1);
  std::array<char, 65536> block{};
  while (stream.read(block.data(), block.size()) || stream.gcount() > 0) {
    INCITE_ASSERT(EVP_DigestUpdate(context.get(), block.data(), static_cast<size_t>(stream.gcount())) == 1);
  }
  if (stream.bad()) fail(ExitCode::data_file, "{}: reading it failed: {}", file.string(), std::strerror(errno));
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  INCITE_ASSERT(EVP_DigestFinal_ex(context.get(), digest.data(), &size) == 1);
  std::string hexadecimal;
  for (unsigned int i = 0; i < size; ++i)
    hexadecimal += fmt::format("{:02x}", digest[i]);
  return hexadecimal;
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
  for (std::filesystem::path made = std::filesystem::absolute(folder_, error).lexically_normal();
       !made.empty() && !std::filesystem::exists(made, error); made = made.parent_path()) {
    made_folders_.push_back(made);
  }
  std::filesystem::create_directories(folder_, error);
  if (error) {
    remove_made_folders();
    fail(ExitCode::output, "{}: can't make this folder: {}", folder_.string(), error.message());
  }
  staging_ = folder_ / fmt::format(".incite-{}", ::getpid());
  std::filesystem::create_directory(staging_, error);
  if (error) {
    remove_made_folders();
    fail(ExitCode::output, "{}: can't write into this folder: {}", folder_.string(), error.message());
  }
}

StagedFiles::~StagedFiles() {
  std::error_code ignored;
  std::filesystem::remove_all(staging_, ignored);
  remove_made_folders();
}

void StagedFiles::remove_made_folders() {
  std::error_code ignored;
  for (const auto& folder : made_folders_)
    std::filesystem::remove(folder, ignored);  // only if it is empty
}

void StagedFiles::write(const std::string& name, std::string_view content) {
  const std::filesystem::path file = path(name);
  const auto check = [&](bool good) {
    if (!good) fail(ExitCode::output, "{}: can't be written: {}", (folder_ / name).string(), std::strerror(errno));
  };
  const Descriptor descriptor(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666));
  check(descriptor.get() >= 0);
  while (!content.empty()) {
    const ssize_t written = ::write(descriptor.get(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    check(written >= 0);
    content.remove_prefix(static_cast<size_t>(written));
  }
  check(::fsync(descriptor.get()) == 0);
  if (std::find(names_.begin(), names_.end(), name) == names_.end()) names_.push_back(name);
}

void StagedFiles::commit() {
  for (const std::string& name : names_) {
    std::error_code error;
    std::filesystem::rename(path(name), folder_ / name, error);
    if (error) fail(ExitCode::output, "{}: can't be put in place: {}", (folder_ / name).string(), error.message());
  }
  names_.clear();
  made_folders_.clear();
}

}  // namespace incite
