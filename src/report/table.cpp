#include "incite/report/table.hpp"

#include <algorithm>
#include <cmath>

#include "incite/base/error.hpp"

namespace incite {
namespace {

std::string percent(double share) {
  return std::isfinite(share) ? fmt::format("{:.2f} %", 100 * share) : "-";
}
std::string ratio(double value) {
  return fmt::format("{:.2f}x", value);
}

std::string score(double value, Task task) {
  return task == Task::classification ? percent(value) : fmt::format("{:.6f}", value);
}

/// One line that compares the modules together with the original.
std::string verdict(const Evaluation& evaluation) {
  if (evaluation.task == Task::regression) {
    return fmt::format("Mean absolute error on {} samples: original {:.6f}, modules together {:.6f} ({:+.2f} %)\n",
                       human_count(evaluation.samples), evaluation.original, evaluation.combined,
                       100 * (evaluation.combined / evaluation.original - 1));
  }
  if (!std::isfinite(evaluation.combined)) return "";
  return fmt::format("Accuracy on {} samples: original {}, modules together {} ({:+.2f} points)\n",
                     human_count(evaluation.samples), percent(evaluation.original), percent(evaluation.combined),
                     100 * (evaluation.combined - evaluation.original));
}

std::string score_header(Task task) {
  return task == Task::classification ? "accuracy (own vs others)" : "mean absolute error";
}

std::string seconds_line(const std::vector<std::pair<std::string, double>>& seconds) {
  std::vector<std::string> parts;
  for (const auto& [stage, value] : seconds)
    parts.push_back(fmt::format("{} {:.1f}", stage, value));
  return fmt::format("Seconds: {}\n", fmt::join(parts, ", "));
}

const char* removable(const Group& group, int64_t pinned) {
  if (group.pinned) return "no";
  return pinned > 0 ? "partly" : "yes";
}

std::string pins_text(const Inspection& inspection) {
  Table table({"pinned by", "at", "why", "units"}, {0, 1, 2});
  for (const Pin& pin : inspection.map.pins) {
    table.add({pin.node < 0 ? "(the model's output)" : pin.op, pin.source, pin.reason,
               human_count(static_cast<int64_t>(pin.units.size()))});
  }
  return table.text();
}

}  // namespace

Table::Table(std::vector<std::string> header, std::vector<size_t> left)
    : header_(std::move(header)), left_(std::move(left)) {}

void Table::add(std::vector<std::string> row) {
  INCITE_ASSERT(row.size() == header_.size());
  rows_.push_back(std::move(row));
}

std::string Table::text() const {
  std::vector<size_t> widths;
  for (const std::string& cell : header_)
    widths.push_back(cell.size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], row[i].size());
  }
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string made;
    for (size_t i = 0; i < cells.size(); ++i) {
      const bool left = std::find(left_.begin(), left_.end(), i) != left_.end();
      made += left ? fmt::format("{:<{}}", cells[i], widths[i]) : fmt::format("{:>{}}", cells[i], widths[i]);
      if (i + 1 < cells.size()) made += "  ";
    }
    return made.substr(0, made.find_last_not_of(' ') + 1) + "\n";
  };
  std::string made = line(header_);
  std::vector<std::string> rules;
  for (const size_t width : widths)
    rules.emplace_back(width, '-');
  made += line(rules);
  for (const auto& row : rows_)
    made += line(row);
  return made;
}

std::string human_bytes(int64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  const double kibibytes = static_cast<double>(bytes) / 1024;
  return kibibytes < 1024 ? fmt::format("{:.1f} KiB", kibibytes) : fmt::format("{:.1f} MiB", kibibytes / 1024);
}

std::string human_count(int64_t count) {
  std::string digits = std::to_string(count);
  for (auto place = static_cast<int64_t>(digits.size()) - 3; place > (count < 0 ? 1 : 0); place -= 3) {
    digits.insert(static_cast<size_t>(place), ",");
  }
  return digits;
}

std::string to_table(const Decomposition& d) {
  Table table({"module", "parameters", "size", "compression", score_header(d.task)});
  for (const ModuleResult& module : d.modules) {
    table.add({module.file, human_count(module.parameters), human_bytes(module.bytes), ratio(module.compression),
               score(module.score, d.task)});
  }
  std::string text =
      fmt::format("{}: {} parameters, {} outputs ({}), scored on {} samples\n\n", d.model.file,
                  human_count(d.parameters), d.outputs, to_string(d.kind), human_count(d.scored_samples));
  text += table.text() + "\n" + verdict(d.evaluation);
  if (d.own_targets) text += "No target was given: the model's own outputs stand for the truth.\n";
  text += fmt::format("Mean compression {}, mean overlap of modules {}\n", ratio(d.mean_compression),
                      percent(d.mean_overlap));
  return text + seconds_line(d.seconds);
}

std::string to_table(const Decomposition& d, const Evaluation& evaluation) {
  Table table({"module", "parameters", "compression", score_header(evaluation.task)});
  for (size_t i = 0; i < d.modules.size(); ++i) {
    const ModuleResult& module = d.modules[i];
    table.add({module.file, human_count(module.parameters), ratio(module.compression),
               score(evaluation.modules[i], evaluation.task)});
  }
  return table.text() + "\n" + verdict(evaluation);
}

std::string to_table(const Inspection& inspection) {
  const UnitMap& map = inspection.map;
  Table table({"group", "layers", "units", "pinned", "removable"}, {0, 1, 4});
  for (size_t g = 0; g < map.groups.size(); ++g) {
    const Group& group = map.groups[g];
    std::vector<std::string> layers;
    for (const int32_t layer : group.layers)
      layers.push_back(map.layers[static_cast<size_t>(layer)].name);
    const int64_t pinned = map.pinned_units(group);
    table.add({std::to_string(g), fmt::format("{}", fmt::join(layers, ", ")),
               human_count(static_cast<int64_t>(group.units.size())), human_count(pinned), removable(group, pinned)});
  }
  const int64_t parameters = inspection.program.parameter_count();
  std::string text = table.text() + "\n" + pins_text(inspection) + "\n";
  text += fmt::format("Parameters: {}, of which {} ({}) can be removed\n", human_count(parameters),
                      human_count(inspection.removable_parameters),
                      percent(static_cast<double>(inspection.removable_parameters) /
                              static_cast<double>(std::max<int64_t>(parameters, 1))));
  const std::string head = map.head < 0 ? "no layer" : "layer '" + map.layers[static_cast<size_t>(map.head)].name + "'";
  return text + fmt::format("Outputs: {} ({}), from {}\n", inspection.outputs, to_string(inspection.kind), head);
}

}  // namespace incite
