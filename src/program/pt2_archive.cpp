#include "program/pt2_archive.hpp"

#include <algorithm>
#include <vector>

#include "base/fail.hpp"
#include "program/pt2_json.hpp"
#include "program/pt2_tensors.hpp"

namespace incite {
namespace {

constexpr std::string_view format_member = "archive_format";
constexpr std::string_view old_model = "serialized_exported_program.json";  // before PyTorch 2.8
constexpr uint64_t largest_json = uint64_t{128} << 20;  // bytes; parsed, it takes some ten times more

const char* const export_again = "Export it again with PyTorch 2.8 or newer: torch.export.save(program, \"model.pt2\")";

/// What stands before every member's name, "net/"; nothing if no member says what the archive is.
std::optional<std::string> root_of(const ZipArchive& zip) {
  for (const ZipEntry& entry : zip.entries()) {
    const size_t slash = entry.name.find('/');
    if (slash != std::string::npos && std::string_view(entry.name).substr(slash + 1) == format_member)
      return entry.name.substr(0, slash + 1);
  }
  return std::nullopt;
}

bool is_old(const ZipArchive& zip) {
  return std::any_of(zip.entries().begin(), zip.entries().end(), [](const ZipEntry& entry) {
    return entry.name == old_model || entry.name.ends_with("/" + std::string(old_model));
  });
}

}  // namespace

bool Pt2Archive::is_one(const ZipArchive& zip) {
  return root_of(zip).has_value() || is_old(zip);
}

Pt2Archive::Pt2Archive(const ZipArchive& zip, std::string name) : zip_(zip), name_(std::move(name)) {
  if (is_old(zip)) fail(ExitCode::model_file, "{}: a .pt2 archive of PyTorch before 2.8. {}", name_, export_again);
  root_ = root_of(zip).value();
  uint64_t all = 0;
  for (const ZipEntry& entry : zip.entries()) {
    if (entry.compressed)
      refuse(fmt::format("member {} is compressed; expected stored members, as torch.export.save writes",
                         printable(entry.name)));
    if (entry.size != entry.packed_size || entry.size > zip.file_size() || (all += entry.size) > zip.file_size())
      refuse("its members are larger than the file");
  }
  check_rest();
  if (read(std::string(format_member)) != "pt2") refuse("its archive_format is not 'pt2'");
  std::vector<std::string> models;
  for (const ZipEntry& entry : zip.entries()) {
    const std::string start = root_ + "models/";
    if (!entry.name.starts_with(start) || !entry.name.ends_with(".json")) continue;
    models.push_back(entry.name.substr(start.size(), entry.name.size() - start.size() - 5));
  }
  if (models.empty()) {
    fail(ExitCode::model_file,
         "{}: a .pt2 archive without an exported program, such as a compiled package; expected one. {}", name_,
         export_again);
  }
  if (models.size() > 1) {
    fail(ExitCode::model_file,
         "{}: a .pt2 archive of {} exported programs; expected one. Save each as a file of its own", name_,
         models.size());
  }
  model_name_ = models[0];
  model_ = parse_json(read(fmt::format("models/{}.json", model_name_)), model_place());
}

void Pt2Archive::check_rest() const {
  for (const ZipEntry& entry : zip_.entries()) {
    const std::string_view path = std::string_view(entry.name).substr(std::min(root_.size(), entry.name.size()));
    if (path.starts_with("data/weights/") || path.starts_with("data/constants/")) continue;  // when they are read
    try {
      zip_.open(entry).check_rest();
    } catch (const ZipError& error) {
      refuse(fmt::format("{}: {}", printable(entry.name), error.what()));
    }
  }
}

std::string Pt2Archive::model_place() const {
  return fmt::format("{}: models/{}.json", name_, printable(model_name_));
}

void Pt2Archive::refuse(const std::string& what) const {
  fail(ExitCode::model_file, "{}: the file is truncated or damaged ({}); copy or export it again", name_, what);
}

std::string Pt2Archive::read(const std::string& path) const {
  const ZipEntry* entry = zip_.find(root_ + path);
  if (entry == nullptr) refuse(fmt::format("it has no {}", printable(path)));
  if (entry->size > largest_json) refuse(fmt::format("{} has {} bytes", printable(path), entry->size));
  try {
    return zip_.read(*entry);
  } catch (const ZipError& error) {
    refuse(fmt::format("{}: {}", printable(path), error.what()));
  }
}

std::optional<std::string> Pt2Archive::extra(const std::string& file) const {
  const std::string path = "extra/" + file;
  return zip_.find(root_ + path) == nullptr ? std::nullopt : std::optional(read(path));
}

std::map<std::string, Payload> Pt2Archive::payloads(const std::string& folder, const std::string& config) const {
  const std::string path = folder + model_name_ + config;
  if (zip_.find(root_ + path) == nullptr && zip_.find(root_ + folder + model_name_ + ".pt") != nullptr) {
    fail(ExitCode::model_file,
         "{}: a .pt2 archive whose tensors are a pickle, as early versions of PyTorch 2.8 write; "
         "expected raw bytes. Load it with torch.export.load and save it again with a newer PyTorch",
         name_);
  }
  const std::string where = fmt::format("{}: {}", name_, printable(path));
  const nlohmann::json json = parse_json(read(path), where);
  Pt2Tensors tensors(zip_, root_ + folder);
  std::map<std::string, Payload> payloads;
  for (const auto& [key, entry] : JsonView(json, where).at("config").members())
    payloads[key] = {tensors.read(entry), entry.at("is_param").boolean()};
  tensors.check_sizes();
  return payloads;
}

}  // namespace incite
