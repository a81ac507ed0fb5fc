#include "program/outputs.hpp"

#include <ATen/ATen.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/jit_type.h>

#include <algorithm>
#include <optional>

#include "base/fail.hpp"

namespace incite {
namespace {

using Items = std::vector<std::pair<std::string, c10::IValue>>;

Items items_of(const c10::IValue& whole) {
  std::vector<c10::IValue> values;
  std::vector<std::string> names;
  if (whole.isGenericDict()) {
    std::vector<c10::IValue> keys;
    for (const auto& entry : whole.toGenericDict()) {
      keys.push_back(entry.key());
      values.push_back(entry.value());
    }
    names = item_names(keys);
  } else if (whole.isTuple()) {
    values = whole.toTupleRef().elements().vec();
    names = item_names(whole.type(), values.size());
  } else if (whole.isList()) {
    values = whole.toListRef().vec();
    names = item_names(whole.type(), values.size());
  }
  Items items;
  for (size_t i = 0; i < values.size(); ++i)
    items.emplace_back(names[i], values[i]);
  return items;
}

struct Leaf {
  ItemPath path;
  at::Tensor tensor;
};

void add_leaves(const c10::IValue& whole, const ItemPath& path, std::vector<Leaf>& leaves) {
  if (whole.isTensor() && whole.toTensor().defined()) leaves.push_back({path, whole.toTensor()});
  for (const auto& [name, item] : items_of(whole)) {
    ItemPath inner = path;
    inner.push_back(name);
    add_leaves(item, inner, leaves);
  }
}

std::vector<Leaf> leaves_of(const c10::IValue& whole, const ItemPath& path = {}) {
  std::vector<Leaf> leaves;
  add_leaves(at_path(whole, path), path, leaves);
  return leaves;
}

/// The path that a dotted text means; a name may hold dots itself.
std::optional<ItemPath> find(const c10::IValue& whole, const std::string& asked) {
  if (asked.empty()) return ItemPath();
  const Items items = items_of(whole);
  for (size_t i = 0; i < items.size(); ++i) {
    for (const std::string& name : {items[i].first, std::to_string(i)}) {  // fields have positions too
      if (!asked.starts_with(name) || (asked.size() > name.size() && asked[name.size()] != '.')) continue;
      const auto rest = find(items[i].second, asked.substr(std::min(name.size() + 1, asked.size())));
      if (!rest) continue;
      ItemPath path = {items[i].first};
      path.insert(path.end(), rest->begin(), rest->end());
      return path;
    }
  }
  return std::nullopt;
}

/// Whether a tensor can be the output, if outputs have so many dimensions, or more.
bool usable(const at::Tensor& tensor, int64_t samples, int64_t dimensions, bool or_more = false) {
  return tensor.is_floating_point() && tensor.dim() > 0 && tensor.size(0) == samples &&
         (tensor.dim() == dimensions || (or_more && tensor.dim() > dimensions));
}

/// "out [N, 21], aux [N, 21]"
std::string list_text(const std::vector<Leaf>& leaves, int64_t samples) {
  std::vector<std::string> parts;
  for (const Leaf& leaf : leaves)
    parts.push_back(fmt::format("{} {}", fmt::join(leaf.path, "."), shape_text(leaf.tensor, samples)));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::vector<std::string> item_names(const std::vector<c10::IValue>& keys) {
  std::vector<std::string> names;
  for (size_t i = 0; i < keys.size(); ++i) {
    names.push_back(keys[i].isString() ? keys[i].toStringRef()
                                       : std::to_string(keys[i].isInt() ? keys[i].toInt() : static_cast<int64_t>(i)));
  }
  return names;
}

std::vector<std::string> item_names(const c10::TypePtr& type, size_t count) {
  const auto tuple = type->cast<c10::TupleType>();
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i)
    names.push_back(tuple && tuple->schema() ? tuple->schema()->arguments()[i].name() : std::to_string(i));
  return names;
}

c10::IValue at_path(const c10::IValue& whole, const ItemPath& path) {
  c10::IValue value = whole;
  for (const std::string& step : path) {
    const Items items = items_of(value);
    const auto found = std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.first == step; });
    if (found == items.end()) return {};
    value = found->second;
  }
  return value;
}

std::string shape_text(const at::Tensor& tensor, int64_t samples) {
  std::vector<std::string> sizes;
  for (int64_t d = 0; d < tensor.dim(); ++d)
    sizes.push_back(d == 0 && tensor.size(0) == samples ? "N" : std::to_string(tensor.size(d)));
  return fmt::format("[{}]", fmt::join(sizes, ", "));
}

ItemPath choose_output(const c10::IValue& whole, int64_t samples, const std::string& asked, const std::string& file) {
  if (whole.isTensor()) {
    if (asked.empty()) return {};
    fail(ExitCode::usage, "{}: --output {}: forward returns one tensor; leave out --output", file, asked);
  }
  const std::vector<Leaf> all = leaves_of(whole);
  if (all.empty()) {
    fail(ExitCode::unsupported, "{}: forward returns {}; expected a floating-point tensor [samples, outputs, ...]",
         file, whole.type()->annotation_str());
  }
  const auto path = find(whole, asked);
  const std::vector<Leaf> leaves = path ? leaves_of(whole, *path) : std::vector<Leaf>();
  if (leaves.empty()) {
    fail(ExitCode::usage, "{}: --output {}: forward returns {}; choose one of these", file, asked,
         list_text(all, samples));
  }
  if (leaves.size() == 1) return leaves[0].path;
  std::vector<Leaf> candidates;
  const auto add_usable = [&](int64_t dimensions, bool or_more) {
    if (!candidates.empty()) return;
    std::copy_if(leaves.begin(), leaves.end(), std::back_inserter(candidates),
                 [&](const Leaf& leaf) { return usable(leaf.tensor, samples, dimensions, or_more); });
  };
  add_usable(2, false);
  add_usable(1, false);  // taken as [samples, 1], where nothing else will do
  add_usable(3, true);   // with positions; hidden states beside [samples, outputs] have as many dimensions
  if (candidates.size() == 1) return candidates[0].path;
  if (candidates.empty()) {
    fail(ExitCode::unsupported,
         "{}: forward returns {}; expected a floating-point tensor [samples, outputs, ...] among them", file,
         list_text(leaves, samples));
  }
  fail(ExitCode::usage, "{}: forward returns {}; choose one with --output", file, list_text(leaves, samples));
}

}  // namespace incite
