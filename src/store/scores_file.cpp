#include "store/scores_file.hpp"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/fail.hpp"
#include "data/dataset.hpp"
#include "data/npz.hpp"
#include "data/npz_writer.hpp"
#include "store/files.hpp"

namespace incite {
namespace {

using Arrays = std::vector<std::pair<std::string, at::Tensor>>;

constexpr int64_t format = 1;

at::Tensor to_bytes(const std::string& text) {
  at::Tensor bytes = at::empty({static_cast<int64_t>(text.size())}, at::kByte);
  std::copy(text.begin(), text.end(), bytes.data_ptr<uint8_t>());
  return bytes;
}

std::string to_text(const at::Tensor& bytes) {
  const auto* first = reinterpret_cast<const char*>(bytes.const_data_ptr<uint8_t>());
  return {first, first + bytes.numel()};
}

/// One line per entry: name, '=', value.
std::string to_lines(const ScoresKey& key) {
  std::string text;
  for (const auto& [name, value] : key)
    text += fmt::format("{}={}\n", name, value);
  return text;
}

ScoresKey from_lines(const std::string& text) {
  ScoresKey key;
  for (size_t first = 0; first < text.size();) {
    const size_t equals = text.find('=', first);
    const size_t end = text.find('\n', first);
    if (equals == std::string::npos || end == std::string::npos || equals > end) break;
    key.emplace_back(text.substr(first, equals - first), text.substr(equals + 1, end - equals - 1));
    first = end + 1;
  }
  return key;
}

/// What an entry means in files that are older than it.
void add_missing(ScoresKey& key, const char* name, const char* value) {
  const auto is_there = [&](const auto& entry) { return entry.first == name; };
  if (std::none_of(key.begin(), key.end(), is_there)) key.emplace_back(name, value);
}

std::string checksum(const Arrays& arrays) {
  std::string content;
  for (const auto& [name, array] : arrays) {
    content += fmt::format("{} {} ", name, fmt::join(array.sizes(), ","));
    content.append(static_cast<const char*>(array.const_data_ptr()), array.nbytes());
  }
  return sha256(content);
}

}  // namespace

std::string serialise(const SavedScores& scores) {
  const ScoringState& state = scores.state;
  Arrays arrays = {
      {"format", at::tensor({format}, at::kLong)},
      {"made_from", to_bytes(to_lines(scores.made_from))},
      {"run_with", to_bytes(to_lines(scores.run_with))},
      {"order", state.order.contiguous()},
      {"sizes", state.sizes.contiguous()},
      {"taken", state.taken.contiguous()},
      {"sums", state.sums.contiguous()},
      {"blocks", scores.finished ? at::zeros({0}, at::kDouble) : state.blocks.contiguous()},
      {"samples", state.samples.contiguous()},
      {"agreement", state.agreement.contiguous()},
      {"unit_clusters", at::tensor(scores.unit_clusters, at::kLong)},
      {"layers", to_bytes(scores.layers)},
      {"channels", scores.channels.contiguous()},
      {"memory", at::tensor({scores.memory}, at::kLong)},
      {"finished", at::tensor({static_cast<int64_t>(scores.finished)}, at::kLong)},
      {"size", to_bytes(scores.size)},
  };
  arrays.emplace_back("sha256", to_bytes(checksum(arrays)));
  return to_npz(arrays);
}

SavedScores read_scores(const std::filesystem::path& file, ScoresUse use) {
  const NpzFile archive(file);
  const auto damaged = [&](const std::string& what) {
    fail(ExitCode::data_file, "{}: {}; expected scores that 'incite decompose' wrote. Copy the file again, or {}",
         file.string(), what, anew(use));
  };
  Arrays arrays;
  for (const char* name : {"format", "made_from", "run_with", "order", "sizes", "taken", "sums", "blocks", "samples",
                           "agreement", "unit_clusters", "layers", "channels", "memory", "finished"}) {
    if (!archive.contains(name)) damaged(fmt::format("no array '{}'", name));
    arrays.emplace_back(name, archive.read(name));
  }
  if (archive.contains("size")) arrays.emplace_back("size", archive.read("size"));  // older files lack it
  if (!archive.contains("sha256") || to_text(archive.read("sha256")) != checksum(arrays)) {
    damaged("damaged, its checksum is wrong");
  }
  const auto array = [&](size_t i) { return arrays[i].second; };
  if (const auto found = array(0).item<int64_t>(); found != format) {
    damaged(fmt::format("format {}, but this version of incite reads format {}", found, format));
  }
  SavedScores scores;
  scores.made_from = from_lines(to_text(array(1)));
  add_missing(scores.made_from, layout_key, to_string(InputLayout::as_stored));
  add_missing(scores.made_from, scoring_key, to_string(Scoring::mutation));
  scores.run_with = from_lines(to_text(array(2)));
  scores.state = {array(3), array(4), array(5), array(6), array(7), array(8), array(9)};
  const at::Tensor clusters = array(10);
  scores.unit_clusters.assign(clusters.data_ptr<int64_t>(), clusters.data_ptr<int64_t>() + clusters.numel());
  scores.layers = to_text(array(11));
  scores.channels = array(12);
  scores.memory = array(13).item<int64_t>();
  scores.finished = array(14).item<int64_t>() != 0;
  if (arrays.size() > 15) scores.size = to_text(array(15));
  return scores;
}

}  // namespace incite
