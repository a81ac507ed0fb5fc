#pragma once

#include <ATen/core/ivalue.h>

#include <string>
#include <utility>
#include <vector>

namespace incite {

/// Where a tensor stands in what forward returns: the keys, field names or positions that lead to it. Empty where it is
/// all that forward returns.
using ItemPath = std::vector<std::string>;

/// The names of a container's items, in order: a dict's keys, a NamedTuple's fields, else positions.
std::vector<std::string> item_names(const std::vector<c10::IValue>& keys);
std::vector<std::string> item_names(const c10::TypePtr& type, size_t count);

/// What stands at a path.
c10::IValue at_path(const c10::IValue& whole, const ItemPath& path);

/// Chooses one tensor of what forward returned for `samples` samples: what `asked` ("logits", "0.logits") names; or,
/// where that is empty or names a container, the only floating-point tensor [samples, outputs] in there, or else the
/// only one [samples]. `file` starts every message. Throws Error: usage, with a list of what is there, where there is
/// none or more than one to choose; unsupported where no tensor will do.
ItemPath choose_output(const c10::IValue& whole, int64_t samples, const std::string& asked, const std::string& file);

/// "[N, 21]": a tensor's shape, for any number of samples.
std::string shape_text(const at::Tensor& tensor, int64_t samples);

}  // namespace incite
