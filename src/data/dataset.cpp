#include "data/dataset.hpp"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "base/fail.hpp"
#include "base/random.hpp"
#include "base/transfer.hpp"
#include "data/input_shape.hpp"
#include "data/npz.hpp"

namespace incite {

namespace {

constexpr int64_t checked_at_once = int64_t{1} << 20;

bool is_whole(const at::Tensor& values) {
  return at::isIntegralType(values.scalar_type(), /*includeBool=*/true);
}

/// "{file}: array '{key}'", as every message about an array begins.
std::string array_name(const std::string& file, const std::string& key) {
  return fmt::format("{}: array '{}'", file, key);
}

/// As a model of float32 takes them. Always new memory: a model with in-place operations must not change the data set.
/// Contiguous, whatever the layout of the file: kernels differ in their last bits by how a tensor lies in memory.
at::Tensor to_float(const at::Tensor& stored, double scale, at::Device device) {
  const at::Tensor samples = stored.contiguous();
  // What is wider than float32 shrinks here and what is narrower grows there, so that as few bytes as possible are
  // sent.
  const at::Tensor narrow = samples.element_size() > 4 ? samples.to(at::kFloat) : samples;
  at::Tensor result = sent(narrow, device, at::kFloat);
  return scale == 1.0 ? result : result.mul_(scale);
}

/// As a model of integers takes them: token indices int64, masks bool.
at::Tensor to_integers(const at::Tensor& samples, at::Device device) {
  return sent(samples.contiguous(), device, samples.scalar_type() == at::kBool ? at::kBool : at::kLong);
}

/// Refuses NaN and infinite values, and those that become infinite in float32. Block by block: a check needs no copy of
/// the data.
void check_finite(const at::Tensor& values, double scale, const std::string& name) {
  if (is_whole(values)) return;
  const int64_t rows = std::max<int64_t>(1, checked_at_once / std::max<int64_t>(1, values[0].numel()));
  in_batches(values.size(0), rows, [&](int64_t first, int64_t count) {
    const at::Tensor block = values.narrow(0, first, count);
    const at::Tensor finite = at::isfinite(to_float(block, scale, at::kCPU)).flatten();
    if (finite.all().item<bool>()) return;
    const int64_t element = finite.logical_not().nonzero()[0].item<int64_t>();
    fail(ExitCode::data_mismatch,
         "{}: sample {} holds {}; expected finite values in float32's range. Remove or correct it.", name,
         first + element / values[0].numel(), block.reshape(-1)[element].item<double>());
  });
}

/// Reads the array, or says which option names another.
at::Tensor read_array(const NpzFile& file, const std::string& key, const char* option) {
  if (!file.contains(key)) {
    fail(ExitCode::data_file, "{}: no array '{}'; it holds: {}. Pass {}.", file.path().string(), key,
         file.keys().empty() ? "none" : fmt::format("{}", fmt::join(file.keys(), ", ")), option);
  }
  return file.read(key);
}

std::vector<std::string> split_keys(const std::string& text) {
  std::vector<std::string> keys;
  size_t first = 0;
  for (size_t comma = text.find(','); comma != std::string::npos; comma = text.find(',', first)) {
    keys.push_back(text.substr(first, comma - first));
    first = comma + 1;
  }
  keys.push_back(text.substr(first));
  return keys;
}

at::Tensor read_input(const NpzFile& file, const std::string& key, const DatasetOptions& options) {
  const at::Tensor input = read_array(file, key, "--input-key");
  const std::string name = array_name(file.path().string(), key);
  if (input.dim() == 0 || input.numel() == 0) {
    fail(ExitCode::data_mismatch,
         "{}: shape [{}] holds no samples; expected [N, ...] with N at least 1. Fill the array.", name,
         fmt::join(input.sizes(), ", "));
  }
  return as_taken(input, options.input_shape, options.input_layout, name);
}

/// A layout must be that of some input.
void check_layout(const Batch& inputs, const std::vector<std::string>& keys, const DatasetOptions& options) {
  if (options.input_layout == InputLayout::as_stored) return;
  if (std::any_of(inputs.inputs.begin(), inputs.inputs.end(), is_image)) return;
  fail(ExitCode::usage,
       "{}: --input-layout {} is for images [N, H, W, C]; each sample has shape [{}]. Leave it out, or give the shape "
       "of one image with --input-shape H,W,C",
       array_name(options.file.string(), keys[0]), to_string(options.input_layout),
       fmt::join(inputs[0].sizes().slice(1), ", "));
}

/// All inputs, which have as many samples each.
Batch read_inputs(const NpzFile& file, const std::vector<std::string>& keys, const DatasetOptions& options) {
  if (keys.size() > 1 && !options.input_shape.empty()) {
    fail(ExitCode::usage, "--input-shape is for one input; --input-key {} names {}. Leave it out.", options.input_key,
         keys.size());
  }
  Batch inputs;
  for (const std::string& key : keys) {
    inputs.inputs.push_back(read_input(file, key, options));
    const int64_t samples = inputs.inputs.back().size(0);
    if (samples != inputs.samples()) {
      fail(ExitCode::data_mismatch, "{}: {} samples; expected {}, as in array '{}'. Give all inputs the same number.",
           array_name(file.path().string(), key), samples, inputs.samples(), keys[0]);
    }
  }
  check_layout(inputs, keys, options);
  return inputs;
}

void check_scale(const std::optional<double>& scale) {
  if (!scale || (std::isfinite(*scale) && *scale != 0.0)) return;
  fail(ExitCode::usage, "input scale {}: expected a finite number other than 0. Pass another --input-scale.", *scale);
}

/// The one scale of all inputs, where they have one.
std::optional<double> common_scale(const Batch& inputs, const std::optional<double>& wanted) {
  const double first = scale_of(wanted, inputs[0].scalar_type());
  const bool all = std::all_of(inputs.inputs.begin(), inputs.inputs.end(),
                               [&](const at::Tensor& input) { return scale_of(wanted, input.scalar_type()) == first; });
  return all ? std::optional(first) : std::nullopt;
}

[[noreturn]] void refuse_target(const std::string& name, at::IntArrayRef shape, const std::string& expected) {
  fail(ExitCode::data_mismatch, "{}: shape [{}]; expected {}. Pass --target-key for another array.", name,
       fmt::join(shape, ", "), expected);
}

/// Whole numbers [N] become int64, as classes are everywhere else.
at::Tensor read_target(const NpzFile& file, const DatasetOptions& options, const std::string& first_input,
                       int64_t samples) {
  if (!options.target_required && !file.contains(options.target_key)) return {};
  at::Tensor target = read_array(file, options.target_key, "--target-key");
  const std::string name = array_name(file.path().string(), options.target_key);
  const bool holds_values = target.dim() == 1 || (target.dim() > 1 && target[0].numel() > 0);
  if (target.dim() == 0 || (target.size(0) > 0 && !holds_values)) refuse_target(name, target.sizes(), "[N] or [N, K]");
  if (target.size(0) != samples) {
    fail(ExitCode::data_mismatch, "{}: {} samples; expected {}, as in array '{}'. Give each sample its target.", name,
         target.size(0), samples, first_input);
  }
  check_finite(target, 1.0, name);
  return target.dim() == 1 && is_whole(target) ? target.to(at::kLong) : target;
}

/// The first sample for which `wrong` [N] holds.
int64_t first_of(const at::Tensor& wrong) {
  return wrong.nonzero()[0].item<int64_t>();
}

/// For each row of [N, K] whether it is one 1 and else 0.
at::Tensor one_hot_rows(const at::Tensor& target) {
  return target.eq(1).sum(1).eq(1).logical_and_(target.ne(0).sum(1).eq(1));
}

/// `values` [n, K, positions] at `positions` [n, P]: [n, P, K].
at::Tensor taken_at(const at::Tensor& values, const at::Tensor& positions) {
  return values.gather(2, positions.unsqueeze(1).expand({-1, values.size(1), -1})).transpose(1, 2);
}

bool is_column(const at::Tensor& target) {
  return target.dim() == 1 || target.size(1) == 1;
}

std::string target_name(const Dataset& dataset) {
  std::string name = array_name(dataset.file, dataset.target_key);
  if (!dataset.target.defined())
    fail(ExitCode::data_mismatch, "{}: missing; expected targets. Pass --target-key.", name);
  return name;
}

/// Whether labels of whole numbers say that there is no label.
at::Tensor unlabelled(const at::Tensor& labels, int64_t outputs) {
  const at::Tensor none = labels.lt(0);
  return outputs <= no_label ? none.logical_or(labels.eq(no_label)) : none;
}

at::Tensor classes_of_labels(const at::Tensor& labels, int64_t outputs, const std::string& name) {
  at::Tensor classes = labels.to(at::kLong);
  if (const at::Tensor wrong = classes.ne(labels); wrong.any().item<bool>()) {
    const int64_t sample = first_of(wrong);
    fail(ExitCode::data_mismatch,
         "{}: sample {} has label {}; expected whole numbers. Choose regression for such targets.", name, sample,
         labels[sample].item<double>());
  }
  if (const at::Tensor wrong = classes.lt(0).logical_or_(classes.ge(outputs)); wrong.any().item<bool>()) {
    const int64_t sample = first_of(wrong);
    fail(ExitCode::data_mismatch,
         "{}: sample {} has label {}; expected 0 to {}, a class for each of the model's outputs. Renumber the labels.",
         name, sample, classes[sample].item<int64_t>(), outputs - 1);
  }
  return classes;
}

at::Tensor classes_of_rows(const at::Tensor& rows, int64_t outputs, const std::string& name) {
  if (rows.size(1) != outputs) {
    fail(ExitCode::data_mismatch, "{}: {} columns; expected {}, one for each of the model's outputs. Check the array.",
         name, rows.size(1), outputs);
  }
  if (const at::Tensor wrong = one_hot_rows(rows).logical_not(); wrong.any().item<bool>()) {
    fail(ExitCode::data_mismatch,
         "{}: sample {} is not one-hot; expected one 1 and otherwise 0. Choose regression for such targets.", name,
         first_of(wrong));
  }
  return rows.eq(1).to(at::kByte).argmax(1);
}

}  // namespace

Batch Dataset::converted(const Batch& stored, at::Device device) const {
  Batch batch;
  for (size_t i = 0; i < stored.inputs.size(); ++i) {
    const bool integers = !as_integers.empty() && as_integers[i];
    batch.inputs.push_back(integers ? to_integers(stored[i], device)
                                    : to_float(stored[i], scale_of(input_scale, stored[i].scalar_type()), device));
  }
  return batch;
}

Batch Dataset::batch(const at::Tensor& indices, at::Device device) const {
  return converted(input.index_select(indices), device);
}

Batch Dataset::batch(int64_t first, int64_t count, at::Device device) const {
  return converted(input.narrow(first, count), device);
}

at::Tensor Dataset::points(const at::Tensor& samples) const {
  const int64_t each = points_each();
  if (each == 1) return samples;
  return (samples.unsqueeze(1) * each + at::arange(each, samples.options())).flatten();
}

at::Tensor Dataset::at_points(const at::Tensor& outputs, const at::Tensor& samples) const {
  if (!positions.defined()) return outputs;
  return taken_at(outputs.flatten(2), positions.index_select(0, samples).to(outputs.device())).flatten(0, 1);
}

void choose_positions(Dataset& data, at::IntArrayRef map, int64_t outputs, int64_t most, uint64_t seed) {
  const bool has_target = data.target.defined();
  if (map.empty()) {
    if (has_target && data.target.dim() > 2) refuse_target(target_name(data), data.target.sizes(), "[N] or [N, K]");
    return;
  }
  at::Tensor target;  // [N, K, positions]
  if (has_target) {
    const auto rank = static_cast<int64_t>(map.size());
    const bool of_channels = data.target.dim() == rank + 2 && data.target.size(1) == outputs;
    const bool fits = of_channels || data.target.dim() == rank + 1;
    if (!fits || data.target.sizes().slice(of_channels ? 2 : 1) != map) {
      refuse_target(target_name(data), data.target.sizes(),
                    fmt::format("[N, {0}] or [N, {1}, {0}], as the model's output is [N, {1}, {0}]",
                                fmt::join(map, ", "), outputs));
    }
    target = of_channels ? data.target.flatten(2) : data.target.flatten(1).unsqueeze(1);
  }
  const int64_t samples = data.size();
  const int64_t all = c10::multiply_integers(map);
  const int64_t each = std::clamp<int64_t>(most / samples, 1, all);
  if (each == all) {
    data.positions = at::arange(all, at::kLong).expand({samples, all});
  } else {
    data.positions = at::empty({samples, each}, at::kLong);
    Random random(seed);
    for (int64_t sample = 0; sample < samples; ++sample) {
      at::Tensor labelled = at::arange(all, at::kLong);
      if (has_target && target.size(1) == 1 && is_whole(target))
        labelled = unlabelled(target[sample][0], outputs).logical_not_().nonzero().flatten();
      if (labelled.size(0) == 0) {
        fail(ExitCode::data_mismatch, "{}: sample {} has no position with a label. Leave the sample out.",
             target_name(data), sample);
      }
      // One of each of as many parts of the labelled positions.
      const double part = static_cast<double>(labelled.size(0)) / static_cast<double>(each);
      const auto* const from = labelled.const_data_ptr<int64_t>();
      auto* const chosen = data.positions.data_ptr<int64_t>() + sample * each;
      for (int64_t i = 0; i < each; ++i) {
        const auto place = static_cast<int64_t>((static_cast<double>(i) + random.uniform()) * part);
        chosen[i] = from[std::min(place, labelled.size(0) - 1)];
      }
    }
  }
  if (!has_target) return;
  target = taken_at(target, data.positions).flatten(0, 1);
  if (target.size(1) == 1) target = target.squeeze(1);
  data.target = target.dim() == 1 && is_whole(target) ? target.to(at::kLong) : target;
}

std::vector<std::vector<bool>> readings_of(const Dataset& dataset) {
  constexpr size_t most = 6;  // inputs to choose for one by one: 64 readings
  const size_t inputs = dataset.input.inputs.size();
  std::vector<size_t> whole;
  for (size_t i = 0; i < inputs; ++i) {
    if (is_whole(dataset.input[i])) whole.push_back(i);
  }
  std::vector<std::vector<bool>> readings;
  const auto add = [&](const std::vector<size_t>& chosen) {
    readings.emplace_back(inputs, false);
    for (const size_t input : chosen)
      readings.back()[input] = true;
  };
  if (whole.size() > most) {
    add({});
    add(whole);
    return readings;
  }
  for (size_t bits = 0; bits < (size_t{1} << whole.size()); ++bits) {
    std::vector<size_t> chosen;
    for (size_t w = 0; w < whole.size(); ++w) {
      if ((bits >> w & 1U) != 0) chosen.push_back(whole[w]);
    }
    add(chosen);
  }
  std::stable_sort(readings.begin(), readings.end(), [](const auto& a, const auto& b) {
    return std::count(a.begin(), a.end(), true) < std::count(b.begin(), b.end(), true);
  });
  return readings;
}

constexpr const char* names_key = "names";

Dataset read_dataset(const DatasetOptions& options) {
  const NpzFile file(options.file);
  Dataset dataset;
  dataset.file = options.file.string();
  dataset.input_keys = split_keys(options.input_key);
  dataset.target_key = options.target_key;
  dataset.input_layout = options.input_layout;
  dataset.input = read_inputs(file, dataset.input_keys, options);
  check_scale(options.input_scale);
  dataset.input_scale = common_scale(dataset.input, options.input_scale);
  dataset.target = read_target(file, options, dataset.input_keys[0], dataset.size());
  dataset.names = file.read_text(names_key).value_or(std::vector<std::string>{});
  for (size_t i = 0; i < dataset.input_keys.size(); ++i) {
    const at::Tensor& input = dataset.input[i];
    check_finite(input, scale_of(options.input_scale, input.scalar_type()),
                 array_name(dataset.file, dataset.input_keys[i]));
  }
  return dataset;
}

double scale_of(const std::optional<double>& scale, at::ScalarType stored) {
  return scale.value_or(stored == at::kByte ? 1.0 / 255.0 : 1.0);
}

Batch first_samples(const Dataset& data, at::Device device) {
  constexpr int64_t most = 8;
  return data.batch(0, std::min(most, data.size()), device);
}

Batch two_samples(const Dataset& data, at::Device device) {
  return data.batch(at::arange(2, at::kLong).remainder(data.size()), device);
}

at::Tensor classes_of(const Dataset& dataset, int64_t outputs) {
  const std::string name = target_name(dataset);
  if (is_column(dataset.target)) {
    const at::Tensor labels = dataset.target.reshape(-1);
    if (!dataset.positions.defined() || !is_whole(labels)) return classes_of_labels(labels, outputs, name);
    const at::Tensor none = unlabelled(labels, outputs);
    return classes_of_labels(labels.masked_fill(none, 0), outputs, name).masked_fill_(none, -1);
  }
  return classes_of_rows(dataset.target, outputs, name);
}

at::Tensor labels_of(const Dataset& dataset, int64_t outputs) {
  const at::Tensor labels = values_of(dataset, outputs);
  const at::Tensor wrong = labels.ne(0).logical_and_(labels.ne(1)).any(1);
  if (!wrong.any().item<bool>()) return labels;
  fail(ExitCode::data_mismatch,
       "{}: sample {} holds other values than 0 and 1; expected 1 for each label that it has, and else 0. Choose "
       "regression for values.",
       target_name(dataset), first_of(wrong));
}

at::Tensor rarest_labels(const at::Tensor& labels) {
  const int64_t count = labels.size(1);
  const at::Tensor has = labels > 0;
  const at::Tensor by_rarity = at::argsort(has.sum(0), /*stable=*/true, 0, /*descending=*/false);
  const at::Tensor rank = at::zeros_like(by_rarity).scatter_(0, by_rarity, at::arange(count, at::kLong));
  const at::Tensor best = at::where(has, rank.unsqueeze(0), at::full({}, count, at::kLong)).amin(1);
  return at::cat({by_rarity, at::full({1}, count, at::kLong)}).index_select(0, best);
}

at::Tensor values_of(const Dataset& dataset, int64_t outputs) {
  const std::string name = target_name(dataset);
  const at::Tensor values = dataset.target.dim() == 1 ? dataset.target.unsqueeze(1) : dataset.target;
  if (values.size(1) != outputs) {
    fail(ExitCode::data_mismatch, "{}: {} columns; expected {}, one for each of the model's outputs. Check the array.",
         name, values.size(1), outputs);
  }
  return values.to(at::kFloat);
}

at::Tensor places_of(const at::Tensor& classes, const std::vector<int64_t>& outputs) {
  const int64_t most = std::max(classes.max().item<int64_t>(), *std::max_element(outputs.begin(), outputs.end()));
  const at::Tensor places = at::full({most + 1}, -1, at::kLong);
  places.index_copy_(0, at::tensor(outputs, at::kLong), at::arange(static_cast<int64_t>(outputs.size()), at::kLong));
  const at::Tensor known = classes.clamp_min(0);
  return places.index_select(0, known).masked_fill_(classes < 0, -1);
}

Task guess_task(const at::Tensor& target, int64_t outputs) {
  INCITE_ASSERT(target.defined());
  bool classes = false;
  if (!is_column(target)) {
    classes = one_hot_rows(target).all().item<bool>();
    if (!classes && target.eq(0).logical_or_(target.eq(1)).all().item<bool>()) return Task::multilabel;
  } else if (is_whole(target)) {
    classes = true;
  } else if (outputs == 1) {
    classes = target.eq(0).logical_or_(target.eq(1)).all().item<bool>();
  } else {
    classes = target.eq(target.round()).all().item<bool>();
  }
  return classes ? Task::classification : Task::regression;
}

at::Tensor stratified_order(const at::Tensor& classes, int64_t size, uint64_t seed) {
  INCITE_ASSERT(!classes.defined() || (classes.dim() == 1 && classes.size(0) == size));
  Random random(seed);
  std::vector<int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  random.shuffle(order);
  if (!classes.defined()) return at::tensor(order, at::kLong);

  // The j-th of a class's n samples belongs at (j + 1/2) / n of the way. What ties keeps its shuffled order.
  const at::Tensor labels = classes.to(at::kLong).contiguous();
  const int64_t* const label = labels.const_data_ptr<int64_t>();
  std::map<int64_t, int64_t> total;
  std::map<int64_t, int64_t> seen;
  for (int64_t i = 0; i < size; ++i)
    ++total[label[i]];
  std::vector<double> place(static_cast<std::size_t>(size));
  for (const int64_t sample : order) {
    const auto rank = static_cast<double>(seen[label[sample]]++);
    place[static_cast<std::size_t>(sample)] = (rank + 0.5) / static_cast<double>(total[label[sample]]);
  }
  std::stable_sort(order.begin(), order.end(), [&place](int64_t a, int64_t b) {
    return place[static_cast<std::size_t>(a)] < place[static_cast<std::size_t>(b)];
  });
  return at::tensor(order, at::kLong);
}

}  // namespace incite
