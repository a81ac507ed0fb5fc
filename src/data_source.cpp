#include "data_source.hpp"

#include <nlohmann/json.hpp>

#include "incite/base/error.hpp"
#include "incite/base/files.hpp"

namespace incite {

SourceFile data_source(const std::filesystem::path& document) {
  const std::string content = read_text(document);
  try {
    const auto data = nlohmann::json::parse(content).at("data");
    return {data.at("file").get<std::string>(), data.at("sha256").get<std::string>()};
  } catch (const nlohmann::json::exception& error) {
    fail(ExitCode::data_file, "{}: not a decomposition, or damaged: {}; decompose again", document.string(),
         error.what());
  }
}

}  // namespace incite
