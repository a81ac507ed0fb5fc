#include "program/attributes.hpp"

#include "program/read_module.hpp"

namespace incite {
namespace {

/// An attribute that is a list of a kind; empty where there is none.
std::vector<c10::IValue> list_attribute(const torch::jit::Module& module, const char* name, c10::TypeKind kind) {
  if (!module.hasattr(name)) return {};
  const c10::IValue list = module.attr(name);
  if (!list.isList() || list.toList().elementType()->kind() != kind) return {};
  return list.toListRef().vec();
}

}  // namespace

FileAttributes read_attributes(const std::filesystem::path& file) {
  const torch::jit::Module module = read_module(file, at::kCPU);
  FileAttributes attributes;
  if (module.hasattr(identity_attribute) && module.attr(identity_attribute).isString())
    attributes.identity = module.attr(identity_attribute).toStringRef();
  for (const c10::IValue& name : list_attribute(module, names_attribute, c10::TypeKind::StringType))
    attributes.names.push_back(name.toStringRef());
  for (const c10::IValue& output : list_attribute(module, outputs_attribute, c10::TypeKind::IntType))
    attributes.outputs.push_back(output.toInt());
  for (const at::Tensor& parameter : module.parameters())
    attributes.parameters += parameter.numel();
  return attributes;
}

}  // namespace incite
