#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/zip_archive.hpp"

namespace incite {

/// A tensor of an archive, and whether it is a trained parameter.
struct Payload {
  at::Tensor tensor;
  bool is_parameter = false;
};

/// What a .pt2 archive holds: an exported program as JSON, its weights and constants by name, and extra files.
///
/// The checksums of all but tensors that nothing names are compared, and sizes that the file states are checked before
/// memory is taken.
class Pt2Archive {
 public:
  /// `name` starts every message. Throws Error (model_file) if the archive is damaged, older than PyTorch 2.8, or holds
  /// another number of models than one.
  Pt2Archive(const ZipArchive& zip, std::string name);

  /// Whether a ZIP archive is a .pt2 archive, also one that Pt2Archive refuses.
  static bool is_one(const ZipArchive& zip);

  /// The exported program: models/<model>.json.
  const nlohmann::json& model() const { return model_; }
  /// Where `model` stands, for messages.
  std::string model_place() const;

  /// Weights (`state_dict`) or constants by name. Tensors that share memory in the model share it here. Throws Error:
  /// model_file for a payload that is missing, damaged or of another size than stated; unsupported for one that is
  /// pickled, of an unknown type, or not on the CPU.
  std::map<std::string, Payload> weights() const { return payloads("data/weights/", "_weights_config.json"); }
  std::map<std::string, Payload> constants() const { return payloads("data/constants/", "_constants_config.json"); }

  /// An extra file, as torch.export.save writes it; nothing if there is none of that name.
  std::optional<std::string> extra(const std::string& file) const;

 private:
  [[noreturn]] void refuse(const std::string& what) const;
  /// Compares the checksums of all but tensors.
  void check_rest() const;
  std::string read(const std::string& path) const;
  std::map<std::string, Payload> payloads(const std::string& folder, const std::string& config) const;

  const ZipArchive& zip_;
  const std::string name_;
  std::string root_;  // "net/", before every member
  std::string model_name_;
  nlohmann::json model_;
};

}  // namespace incite
