#include "incite/compose.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cfloat>
#include <fstream>

#include "base/fail.hpp"
#include "evaluation/evaluate.hpp"
#include "program/executor.hpp"
#include "program/load.hpp"
#include "program/save_pt2.hpp"
#include "store/files.hpp"
#include "subject/samples.hpp"
#include "verbs/compose/common_samples.hpp"
#include "verbs/compose/join.hpp"
#include "verbs/compose/parts.hpp"

namespace incite {
namespace {

/// Log-odds beyond this come from probabilities at the limit of float32, and are not compared.
constexpr double largest_log_odds = 80;
constexpr double tolerance = 1e-4;

Column column_of(const ModuleIdentity& identity) {
  if (identity.task == Task::regression) return Column::value;
  switch (identity.kind) {
    case OutputKind::probabilities:
      return Column::of_probabilities;
    case OutputKind::sigmoid:
      return Column::of_sigmoid;
    default:
      return Column::of_logits;  // evaluate does the same
  }
}

std::vector<JoinedModule> to_join(const std::vector<Part>& parts) {
  std::vector<JoinedModule> modules;
  for (const Part& part : parts) {
    const ModuleIdentity& identity = part.identity();
    modules.push_back(
        {part.file, part.key, column_of(identity), identity.set, identity.own_head, identity.outputs, part.columns});
  }
  return modules;
}

/// The identity of the joined file: what its modules have in common. Empty if they read samples in different ways.
std::string identity_of_all(const std::vector<Part>& parts) {
  ModuleIdentity whole = parts[0].identity();
  for (const Part& part : parts) {
    const ModuleIdentity& own = part.identity();
    if (!own.reads_like(whole)) return "";
    if (own.model == whole.model) continue;
    whole.model.clear();
    whole.outputs = 0;
  }
  whole.set = {};
  if (whole.task != Task::regression) whole.kind = kind_for(whole.task, OutputKind::logits);
  whole.own_head = true;
  return to_text(whole);
}

/// The file to write. Links are followed: renaming the finished file into place would replace the link itself. Throws
/// Error (output) if something is in the way.
std::filesystem::path checked_out(const ComposeOptions& options) {
  std::error_code error;
  std::filesystem::path file = std::filesystem::is_symlink(options.out, error)
                                   ? std::filesystem::weakly_canonical(options.out, error)
                                   : options.out;
  const bool exists = std::filesystem::exists(file, error);
  if (!file.has_filename() || (exists && !std::filesystem::is_regular_file(file, error))) {
    fail(ExitCode::output, "--out {}: not the name of a file; expected one such as combined.pt", options.out.string());
  }
  if (exists && !options.force) {
    fail(ExitCode::output, "{}: already exists; pass --force to replace it, or another --out", options.out.string());
  }
  return file;
}

void check_not_read(const std::filesystem::path& out, const std::vector<Part>& parts) {
  for (const Part& part : parts) {
    std::error_code error;
    if (!std::filesystem::equivalent(out, part.file, error)) continue;
    fail(ExitCode::output, "{}: is one of the modules to join; pass another --out", out.string());
  }
}

/// The columns of a module, computed by the module itself: [samples, columns] float64.
at::Tensor columns_by(const Part& part, const Batch& batch) {
  const ModuleIdentity& identity = part.identity();
  const Program program = load_program(part.file, batch);
  at::Tensor outputs = Executor(program)(batch);
  if (outputs.size(1) != identity.rows()) {
    fail(ExitCode::model_file, "{}: has {} outputs; expected {}, as stated by {}. Decompose again", part.file.string(),
         outputs.size(1), identity.rows(),
         part.known.by_document ? "the decomposition.json beside it" : "the file itself");
  }
  if (column_of(identity) == Column::of_probabilities) outputs = outputs.clamp_min(FLT_MIN);  // as join does
  std::vector<int64_t> places;
  for (const JoinedColumn& column : part.columns)
    places.push_back(column.place);
  return columns_of(outputs, {identity.set, &program, identity.own_head}, identity.kind, identity.task)
      .index_select(1, at::tensor(places, at::kLong));
}

/// Compares the columns of the file with those of the modules. Throws std::logic_error if they differ.
void check(const std::filesystem::path& file, const std::vector<Part>& parts, const Batch& batch,
           const Progress& progress) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> expected;
  for (const Part& part : parts) {
    expected.push_back(columns_by(part, batch));
    if (progress) {
      progress({"checking", static_cast<int64_t>(expected.size()), static_cast<int64_t>(parts.size()), "modules"});
    }
  }
  at::Tensor found;
  try {
    const Program program = load_program(file, batch);
    found = Executor(program)(batch).to(at::kDouble);
  } catch (const Error& error) {
    throw std::logic_error(fmt::format("the joined file does not load: {}", error.what()));
  }
  const at::Tensor size = at::cat(expected, 1).abs();
  INCITE_ASSERT(found.sizes() == size.sizes());
  const at::Tensor difference = (found - at::cat(expected, 1)).abs();
  const at::Tensor wrong = (difference > tolerance * size.clamp_min(1))
                               .logical_and(size < largest_log_odds)
                               .transpose(0, 1)
                               .flatten(1)
                               .any(1);
  int64_t column = 0;
  for (const Part& part : parts) {
    for (size_t i = 0; i < part.columns.size(); ++i, ++column) {
      if (wrong[column].item<bool>())
        throw std::logic_error(fmt::format("column {} differs from the output of {}", column, part.file.string()));
    }
  }
}

/// A joined file as a .pt2 archive.
std::string exported(const std::string& torchscript, const StagedFiles& files, const Batch& batch,
                     const std::string& name) {
  const std::filesystem::path joined = files.path(".joined.pt");  // removed with the hidden folder it is in
  std::ofstream stream(joined, std::ios::binary);
  stream.write(torchscript.data(), static_cast<std::streamsize>(torchscript.size()));
  stream.close();
  if (!stream) fail(ExitCode::output, "{}: can't be written; check the disk", joined.string());
  return serialise_pt2(load_program(joined, batch), batch, read_attributes(joined), name);
}

}  // namespace

Composition compose(const ComposeOptions& options, const Progress& progress) {
  const std::filesystem::path out = checked_out(options);
  const std::vector<Part> parts = parts_of(options);
  check_not_read(out, parts);
  const std::optional<Dataset> samples = common_samples(parts, options);
  if (options.format == FileFormat::pt2 && !samples) {
    fail(ExitCode::data_file,
         "--format pt2: needs samples, to tell the sizes of values, but the data that the models "
         "were decomposed with is gone; pass samples with --data");
  }
  std::string bytes = join(to_join(parts), identity_of_all(parts));
  StagedFiles files(out.has_parent_path() ? out.parent_path() : ".");
  const std::string name = out.filename().string();
  if (options.format == FileFormat::pt2) bytes = exported(bytes, files, first_samples(*samples, at::kCPU), name);
  files.write(name, bytes);
  if (samples) check(files.path(name), parts, first_samples(*samples, at::kCPU), progress);
  files.commit();

  Composition result;
  result.file = options.out.string();
  result.task = parts[0].identity().task;
  result.bytes = static_cast<int64_t>(bytes.size());
  for (const Part& part : parts) {
    ComposedModule module{part.name, part.key, part.file.string(), part.identity().set, {}, part.parameters};
    for (const JoinedColumn& column : part.columns)
      module.columns.push_back(column.name);
    result.modules.push_back(std::move(module));
    result.parameters += part.parameters;
  }
  if (samples) result.checked_on = samples->file;
  return result;
}

}  // namespace incite
