#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "base/zip_archive.hpp"
#include "program/pt2_json.hpp"

namespace incite {

/// The tensors in a folder of a .pt2 archive: raw bytes, which several tensors may share.
class Pt2Tensors {
 public:
  /// `folder` as members' names start: "net/data/weights/".
  Pt2Tensors(const ZipArchive& zip, std::string folder) : zip_(zip), folder_(std::move(folder)) {}

  /// The tensor that an entry of the folder's configuration describes. Throws as Pt2Archive::weights.
  at::Tensor read(const JsonView& entry);

  /// Throws Error (model_file) for bytes that no tensor read so far reaches.
  void check_sizes() const;

 private:
  struct Bytes {
    at::Storage storage;
    uint64_t size = 0;
    uint64_t used = 0;  // by the tensors read so far
    JsonView entry;     // that first named it
  };
  Bytes& bytes_of(const JsonView& entry);

  const ZipArchive& zip_;
  const std::string folder_;
  std::map<std::string, Bytes> bytes_;
};

/// The device that a JSON object names, which must be the CPU. Throws Error (unsupported) for any other.
void check_device(const JsonView& device);

}  // namespace incite
