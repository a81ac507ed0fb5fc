#include "report/pin_reasons.hpp"

#include <unordered_map>

namespace incite {

std::string explain_pin(const std::string& reason) {
  // The reasons that src/units gives.
  static const std::unordered_map<std::string, std::string> clauses = {
      {"attention", "they go into an attention whose shape is not known"},
      {"axes", "they meet units that lie along another dimension"},
      {"axis", "they lie along another dimension than the operation's channels"},
      {"broadcast", "one unit is spread over many positions"},
      {"computed", "they meet a weight that forward computes"},
      {"contracted", "they are multiplied and summed with other units, or with none"},
      {"directions", "a recurrent layer's two directions do not match"},
      {"gate", "they gate a value that belongs to no unit"},
      {"grouped", "a convolution in groups ties them to values that belong to no unit"},
      {"layers", "they go into several recurrent layers in one operation"},
      {"layout", "they go into a layout operation that can't be cut"},
      {"none", "they meet values that belong to no unit: the input, padding"},
      {"output", "they are the model's outputs"},
      {"projected", "they go into a recurrent layer with projections"},
      {"reduced", "a softmax, or a mean, sum or pooling over channels, mixes them"},
      {"shared", "they meet a parameter that another operation reads in another way"},
      {"single", "one unit makes up a whole value"},
      {"size", "their number is read as a size while the model runs"},
      {"unbatched", "they go into a layer without a batch dimension"},
      {"unknown", "they reach an operation that incite has no rule for"},
  };
  const auto found = clauses.find(reason);
  return found == clauses.end() ? std::string() : found->second;
}

std::string explain_whole(const std::string& reason) {
  if (reason == "computed") return "forward computes with them before a layer reads them";
  if (reason == "none") return "no removable unit uses a part of them";
  if (reason == "unknown") return "they go into an operation that incite has no rule for";
  const std::string clause = explain_pin(reason);
  return clause.empty() ? clause : "of the units that they meet: " + clause;
}

}  // namespace incite
