#pragma once

#include <torch/csrc/jit/api/module.h>

#include <map>
#include <string>

#include "program/attributes.hpp"
#include "program/pt2_archive.hpp"

namespace incite {

/// What incite writes beside a model, as the extra files of a .pt2 archive: their texts by name. The parameters are not
/// among them.
std::map<std::string, std::string> extra_files(const FileAttributes& attributes);

/// Makes the extra files of an archive a module's attributes, as TorchScript files have them. Throws Error (model_file)
/// for one that is damaged.
void add_attributes(const Pt2Archive& archive, const std::string& file, torch::jit::Module& module);

}  // namespace incite
