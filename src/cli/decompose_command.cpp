#include <spdlog/spdlog.h>

#include "base/fail.hpp"
#include "base/human.hpp"
#include "cli/command.hpp"
#include "cli/options.hpp"
#include "incite/decompose.hpp"
#include "report/json.hpp"
#include "report/table.hpp"
#include "store/checkpoint_files.hpp"

namespace incite::cli {
namespace {

/// Tells a user who stops the program how to continue.
Decomposition run(const DecomposeOptions& options, const Progress& progress) {
  try {
    return decompose(options, progress);
  } catch (const Error& error) {
    if (error.code() != ExitCode::interrupted || !has_checkpoint(options.out)) throw;
    fail(ExitCode::interrupted,
         "stopped; no module was written. The work so far is kept, {} in checkpoint*; continue with --resume",
         human_bytes(checkpoint_bytes(options.out)));
  }
}

}  // namespace

void add_decompose(CLI::App& app, CommonOptions& common) {
  auto given = std::make_shared<GivenOptions>();
  CLI::App* verb = app.add_subcommand("decompose", "Take a model apart into one small module for each of its outputs");
  given->add(*verb, [](const Option& /*option*/) { return true; });
  add_common_options(*verb, common);
  verb->callback([given, &common] {
    apply(common);
    const DecomposeOptions options = read_options(given->texts());
    spdlog::info("{}: samples from array '{}' of {}, targets from '{}'", options.model.string(), options.data.input_key,
                 options.data.file.string(), options.data.target_key);
    const Decomposition result = run(options, make_progress(common));
    spdlog::info("scoring: by {}{}", to_string(result.scoring.method),
                 result.scoring.reason.empty() ? "" : ": " + result.scoring.reason);
    spdlog::info(
        "scoring: {} mutants, chunks of {} samples, batches of at most {} mutants, {} backward passes, {:.3g} "
        "multiply-adds",
        result.scoring.mutants, result.scoring.chunk, result.scoring.batch, result.scoring.passes,
        result.scoring.multiply_adds);
    spdlog::info("{}: {} modules written", options.out.string(), result.modules.size());
    if (result.scores_bytes) spdlog::info("scores.npz: {}", human_bytes(*result.scores_bytes));
    print(common, to_json(result), to_table(result), result.warnings);
  });
}

}  // namespace incite::cli
