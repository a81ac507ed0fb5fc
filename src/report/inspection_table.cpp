#include "report/inspection_table.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "report/pin_reasons.hpp"
#include "report/table.hpp"
#include "subject/analysed_model.hpp"
#include "units/counts.hpp"

namespace incite {
namespace {

/// The pins of one line: a single one, or all with the same operation and reason.
struct PinLine {
  const Pin* first = nullptr;
  int64_t places = 0;
  std::set<int32_t> units;
};

std::vector<PinLine> pin_lines(const UnitMap& map, bool full) {
  std::vector<PinLine> lines;
  for (const Pin& pin : map.pins) {
    auto line = std::find_if(lines.begin(), lines.end(), [&](const PinLine& other) {
      return !full && other.first->op == pin.op && other.first->reason == pin.reason;
    });
    if (line == lines.end()) line = lines.insert(line, PinLine{&pin, 0, {}});
    ++line->places;
    line->units.insert(pin.units.begin(), pin.units.end());
  }
  return lines;
}

std::string layers_text(const UnitMap& map, const std::vector<int32_t>& layers, bool full) {
  std::vector<std::string> names;
  for (const int32_t layer : layers)
    names.push_back(map.layers[static_cast<size_t>(layer)].name);
  if (full || names.size() < 2) return fmt::format("{}", fmt::join(names, ", "));
  return fmt::format("{} +{}", names[0], names.size() - 1);
}

/// The reasons of all pins of units of a group.
std::string reasons_text(const UnitMap& map, int32_t group) {
  std::vector<std::string> reasons;
  for (const Pin& pin : map.pins) {
    const bool holds = std::any_of(pin.units.begin(), pin.units.end(),
                                   [&](int32_t unit) { return map.units[static_cast<size_t>(unit)].group == group; });
    const std::string word = to_string(pin.reason);
    if (holds && std::find(reasons.begin(), reasons.end(), word) == reasons.end()) reasons.push_back(word);
  }
  return fmt::format("{}", fmt::join(reasons, ", "));
}

std::string groups_text(const Inspection& inspection, const InspectionTableParams& params) {
  const UnitMap& map = inspection.model->map;
  Table table({"group", "layers", "units", "removable", "parameters", "pinned by"}, {1, 5});
  for (size_t g = 0; g < map.groups.size(); ++g) {
    const Group& group = map.groups[g];
    const auto units = static_cast<int64_t>(group.units.size());
    table.add({std::to_string(g), layers_text(map, group.layers, params.full), human_count(units),
               human_count(units - map.pinned_units(group)),
               human_count(group_parameters(inspection.model->program, map, group)),
               reasons_text(map, static_cast<int32_t>(g))});
  }
  return table.text(params.width, {1, 5});
}

std::string pins_text(const Inspection& inspection, const InspectionTableParams& params) {
  const UnitMap& map = inspection.model->map;
  Table table({"why", "operation", "places", "first at", "units", "layers"}, {0, 1, 3, 5});
  for (const PinLine& line : pin_lines(map, params.full)) {
    const Pin& pin = *line.first;
    table.add({to_string(pin.reason), pin.node < 0 ? "the model's output" : pin.op, human_count(line.places),
               pin.source, human_count(static_cast<int64_t>(line.units.size())),
               layers_text(map, layers_of(map, {line.units.begin(), line.units.end()}), params.full)});
  }
  return table.text(params.width, {1, 3, 5});
}

/// The layers of one line: a single one, or all with the same operation and reason.
struct WholeLine {
  const WholeLayer* first = nullptr;
  int64_t places = 0;
  int64_t parameters = 0;
  std::vector<std::string> names;
};

std::vector<WholeLine> whole_lines(const Inspection& inspection, bool full) {
  std::vector<WholeLine> lines;
  for (const WholeLayer& layer : inspection.model->map.whole_layers) {
    auto line = std::find_if(lines.begin(), lines.end(), [&](const WholeLine& other) {
      return !full && other.first->op == layer.op && other.first->reason == layer.reason;
    });
    if (line == lines.end()) line = lines.insert(line, WholeLine{&layer, 0, 0, {}});
    line->places += layer.places;
    line->parameters += whole_parameters(inspection.model->program, layer);
    line->names.push_back(layer.name);
  }
  return lines;
}

/// The weights that every module keeps whole, with the meaning of the reasons.
std::string whole_text(const Inspection& inspection, const InspectionTableParams& params) {
  if (inspection.model->map.whole_layers.empty()) return "";
  Table table({"kept whole", "why", "operation", "places", "first at", "parameters"}, {0, 1, 2, 4});
  std::set<PinReason> reasons;
  size_t widest = 0;
  for (const WholeLine& line : whole_lines(inspection, params.full)) {
    const WholeLayer& layer = *line.first;
    const std::string more = line.names.size() > 1 ? fmt::format(" +{}", line.names.size() - 1) : "";
    table.add({layer.name + more, to_string(layer.reason), layer.op, human_count(line.places), layer.source,
               human_count(line.parameters)});
    reasons.insert(layer.reason);
    widest = std::max(widest, std::string(to_string(layer.reason)).size());
  }
  std::string text = table.text(params.width, {0, 2, 4}) + "\nWeights are kept whole because\n";
  for (const PinReason reason : reasons)
    text += fmt::format("  {:<{}}  {}\n", to_string(reason), widest, explain_whole(reason));
  return text + "\n";
}

/// The meaning of the reasons in the tables.
std::string legend(const UnitMap& map) {
  std::vector<PinReason> reasons;
  size_t widest = 0;
  for (const Pin& pin : map.pins) {
    if (std::find(reasons.begin(), reasons.end(), pin.reason) != reasons.end()) continue;
    reasons.push_back(pin.reason);
    widest = std::max(widest, std::string(to_string(pin.reason)).size());
  }
  std::string text = reasons.empty() ? "" : "\nUnits are pinned, which means that they can't be removed, because\n";
  for (const PinReason reason : reasons)
    text += fmt::format("  {:<{}}  {}\n", to_string(reason), widest, explain_pin(reason));
  return text;
}

std::string parameters_lines(const Inspection& inspection) {
  const int64_t parameters = inspection.parameters;
  const int64_t removable = inspection.removable_parameters;
  const auto all = static_cast<double>(std::max<int64_t>(parameters, 1));
  std::string line = fmt::format("Parameters: {}, of which {} ({}) can be removed\n", human_count(parameters),
                                 human_count(removable), human_percent(static_cast<double>(removable) / all));
  if (removable == 0 || inspection.smallest_module == 0) return line;
  return line + fmt::format("Compression: at most {}, with {}\n",
                            human_ratio(all / static_cast<double>(inspection.smallest_module)),
                            inspection.own_head ? "a head for one output" : "the model's own output layer");
}

std::string outputs_line(const Inspection& inspection) {
  const UnitMap& map = inspection.model->map;
  const std::string head =
      map.head < 0 ? "no one layer" : "layer '" + map.layers[static_cast<size_t>(map.head)].name + "'";
  return fmt::format("Outputs: {} ({}), from {}{}\n", human_count(inspection.outputs),
                     inspection.task == Task::regression ? "values" : to_string(inspection.kind), head,
                     inspection.one_column ? ", taken as two: class 0 and class 1" : "");
}

std::string verdict_line(const Inspection& inspection) {
  if (!inspection.refusal) return "Decompose: will work\n";
  return fmt::format("Decompose: will not work, exit code {}\n", static_cast<int>(inspection.refusal->code()));
}

}  // namespace

std::string to_table(const Inspection& inspection, const InspectionTableParams& params) {
  std::string text = groups_text(inspection, params) + "\n";
  if (!inspection.model->map.pins.empty()) text += pins_text(inspection, params) + legend(inspection.model->map) + "\n";
  text += whole_text(inspection, params);
  return text + parameters_lines(inspection) + outputs_line(inspection) + verdict_line(inspection);
}

}  // namespace incite
