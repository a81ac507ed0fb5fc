#include "verbs/compose/common_samples.hpp"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/fail.hpp"
#include "program/load.hpp"
#include "store/files.hpp"
#include "store/result_folder.hpp"
#include "subject/samples.hpp"

namespace incite {
namespace {

constexpr const char* advice = "Join modules of models that take the same inputs";

/// A model, represented by one of its modules, with the first samples that it was decomposed with, if they are known.
struct Source {
  const Part* part;
  std::optional<Dataset> samples;

  const ModuleIdentity& identity() const { return part->identity(); }
  std::string name() const { return part->file.string(); }
};

/// Whether the data of a decomposition is still in its place and unchanged.
bool still_there(const SourceFile& data) {
  std::error_code error;
  return !data.file.empty() && std::filesystem::is_regular_file(data.file, error) &&
         sha256_of_file(data.file) == data.sha256;
}

std::optional<Dataset> first_samples_of(const Part& part, const ComposeOptions& options) {
  const ModuleIdentity& identity = part.identity();
  const bool given = !options.data.empty();
  if (!given && !still_there(part.known.data)) return std::nullopt;
  DatasetOptions asked;
  asked.file = given ? options.data : std::filesystem::path(part.known.data.file);
  asked.input_key = given ? options.input_key.value_or(identity.input_key) : identity.input_key;
  asked.target_key = identity.target_key;
  asked.input_scale = identity.scale;
  asked.input_shape = identity.input_shape;
  asked.input_layout = given ? options.input_layout.value_or(identity.input_layout) : identity.input_layout;
  Dataset data = read_dataset(asked);
  const int64_t count = std::min<int64_t>(data.size(), 8);
  data.input = data.input.narrow(0, count).each([](const at::Tensor& input) { return input.clone(); });
  data.target = at::Tensor();
  return data;
}

/// One source for each model and way to read samples, in the order of their first modules.
std::vector<Source> sources_of(const std::vector<Part>& parts, const ComposeOptions& options) {
  std::vector<Source> sources;
  for (const Part& part : parts) {
    const auto same = std::find_if(sources.begin(), sources.end(), [&](const Source& source) {
      return source.identity().model == part.identity().model && source.identity().reads_like(part.identity());
    });
    if (same == sources.end()) {
      sources.push_back({&part, first_samples_of(part, options)});
    } else if (!same->samples) {
      same->samples = first_samples_of(part, options);
      if (same->samples || same->part->known.data.file.empty()) same->part = &part;
    }
  }
  return sources;
}

std::vector<int64_t> shape_of(const Dataset& data, size_t input) {
  return data.input[input].sizes().slice(1).vec();
}

void check_shapes(const Source& source, const Source& reference) {
  const Dataset& expected = *reference.samples;
  const std::vector<std::vector<int64_t>>& known = source.identity().shapes;
  if (!source.samples && known.empty()) return;  // check_runs tries its modules on the samples
  const size_t inputs = source.samples ? source.samples->input.inputs.size() : known.size();
  if (inputs != expected.input.inputs.size()) {
    fail(ExitCode::data_mismatch, "{}: its model takes {} inputs; expected {}, as for {}. {}", source.name(), inputs,
         expected.input.inputs.size(), reference.name(), advice);
  }
  for (size_t i = 0; i < inputs; ++i) {
    const std::vector<int64_t> found = source.samples ? shape_of(*source.samples, i) : known[i];
    if (found == shape_of(expected, i)) continue;
    fail(ExitCode::data_mismatch, "{}: its model takes samples of shape [{}]; expected [{}], as for {}. {}",
         source.name(), fmt::join(found, ", "), fmt::join(shape_of(expected, i), ", "), reference.name(), advice);
  }
}

/// NumPy's name of a type: "uint8".
std::string_view type_name(at::ScalarType type) {
  return c10::getDtypeNames(type).first;
}

void check_scales(const Source& source, const Source& reference) {
  const Dataset& expected = *reference.samples;
  for (size_t i = 0; i < expected.input.inputs.size(); ++i) {
    if (!expected.as_integers.empty() && expected.as_integers[i]) continue;  // integers are not scaled
    const at::ScalarType type = expected.input[i].scalar_type();
    const at::ScalarType own = source.samples ? source.samples->input[i].scalar_type() : type;
    const double found = scale_of(source.identity().scale, own);
    const double wanted = scale_of(expected.input_scale, type);
    if (found == wanted) continue;
    fail(ExitCode::data_mismatch,
         "{}: its model takes {} inputs times {:.6g}; expected {} inputs times {:.6g}, as for {}. Pass samples that "
         "suit both models with --data, or decompose again with the same --input-scale",
         source.name(), type_name(own), found, type_name(type), wanted, reference.name());
  }
}

/// The type in which each input is passed to the model.
std::vector<std::string> types_of(const Dataset& data, const std::vector<bool>& as_integers) {
  std::vector<std::string> types;
  for (size_t i = 0; i < data.input.inputs.size(); ++i) {
    const bool integers = !as_integers.empty() && as_integers[i];
    const char* whole = data.input[i].scalar_type() == at::kBool ? "bool" : "int64";
    types.emplace_back(integers ? whole : "float32");
  }
  return types;
}

/// Which inputs a module takes as integers. Like load_model.
std::vector<bool> reading_of(const Part& part, Dataset data) {
  const std::vector<std::vector<bool>> readings = readings_of(data);
  if (readings.size() == 1) return readings[0];
  std::vector<Batch> batches;
  for (const std::vector<bool>& reading : readings) {
    data.as_integers = reading;
    batches.push_back(first_samples(data, at::kCPU));
  }
  return readings[first_accepted(part.file, batches)];
}

void check_types(const Source& source, const Source& reference) {
  if (!source.samples) return;  // check_runs tries its modules on the samples
  const auto found = types_of(*source.samples, reading_of(*source.part, *source.samples));
  const auto expected = types_of(*reference.samples, reference.samples->as_integers);
  if (found == expected) return;
  fail(ExitCode::data_mismatch, "{}: its model takes {}; expected {}, as for {}. {}", source.name(),
       fmt::join(found, " and "), fmt::join(expected, " and "), reference.name(), advice);
}

void check_runs(const std::vector<Part>& parts, const Source& reference) {
  const Batch batch = first_samples(*reference.samples, at::kCPU);
  for (const Part& part : parts) {
    const auto why = refusal_of(part.file, batch);
    if (!why) continue;
    std::vector<std::string> shapes;
    for (size_t i = 0; i < batch.inputs.size(); ++i)
      shapes.push_back(fmt::format("[{}]", fmt::join(shape_of(*reference.samples, i), ", ")));
    fail(ExitCode::data_mismatch, "{}: does not run on samples of shape {} from {}: {}. {}", part.file.string(),
         fmt::join(shapes, " and "), reference.samples->file, *why, advice);
  }
}

[[noreturn]] void refuse_unknown(const Source& first) {
  constexpr const char* why = "samples are needed to check that all models take the same inputs. Pass some with --data";
  if (first.part->known.data.file.empty()) {
    fail(ExitCode::data_file, "{}: no {} beside it names the data that its model was decomposed with; {}", first.name(),
         document_name, why);
  }
  fail(ExitCode::data_file, "{}: missing or changed since the model of {} was decomposed with it; {}",
       first.part->known.data.file, first.name(), why);
}

}  // namespace

std::optional<Dataset> common_samples(const std::vector<Part>& parts, const ComposeOptions& options) {
  std::vector<Source> sources = sources_of(parts, options);
  const auto known =
      std::find_if(sources.begin(), sources.end(), [](const Source& s) { return s.samples.has_value(); });
  if (known == sources.end()) {
    if (sources.size() == 1) return std::nullopt;
    refuse_unknown(sources[0]);
  }
  Source& reference = *known;
  reference.samples->as_integers = reading_of(*reference.part, *reference.samples);
  for (const Source& source : sources) {
    if (&source == &reference) continue;
    check_shapes(source, reference);
    check_types(source, reference);
    check_scales(source, reference);
  }
  check_runs(parts, reference);
  return std::move(reference.samples);
}

}  // namespace incite
