#include "program/pt2_json.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "support/expect_error.hpp"

namespace incite {
namespace {

using test::error_of;
using test::expect_error;

const nlohmann::json document =
    nlohmann::json::parse(R"({"list": [1, "two", 2.5, true, null, "Infinity"], "as_int": {"n": 1}})");

TEST(JsonView, ReadsValuesOfTheRightType) {
  const JsonView view(document, "f");
  const std::vector<JsonView> items = view.at("list").items();
  EXPECT_EQ(items[0].integer(), 1);
  EXPECT_EQ(items[1].text(), "two");
  EXPECT_EQ(items[2].real(), 2.5);
  EXPECT_TRUE(items[3].boolean());
  EXPECT_TRUE(std::isinf(items[5].real()));
  EXPECT_EQ(view.at("as_int").only().first, "n");
  EXPECT_FALSE(view.find("more"));
}

TEST(JsonView, NamesThePlaceOfAWrongType) {
  const std::string advice = ". The file is damaged or was changed; export the model again";
  const JsonView view(document, "m.pt2: models/m.json");
  const auto items = view.at("list").items();
  expect_error([&] { items[1].integer(); }, ExitCode::model_file,
               "m.pt2: models/m.json.list[1]: string; expected a whole number" + advice);
  expect_error([&] { items[4].text(); }, ExitCode::model_file,
               "m.pt2: models/m.json.list[4]: nothing; expected text" + advice);
  expect_error([&] { view.at("more"); }, ExitCode::model_file,
               "m.pt2: models/m.json: no 'more'; expected one" + advice);
  expect_error([&] { view.only(); }, ExitCode::model_file,
               "m.pt2: models/m.json: object; expected an object with one member" + advice);
}

TEST(ParseJson, RefusesDeepNestingAndWhatIsNoJson) {
  const std::string deep = std::string(300, '[') + std::string(300, ']');
  EXPECT_NE(std::string(error_of([&] { parse_json(deep, "f"); }).what()).find("more than 200 levels"),
            std::string::npos);
  EXPECT_NE(std::string(error_of([&] { parse_json("{", "f"); }).what()).find("f: not JSON"), std::string::npos);
  EXPECT_EQ(parse_json("\"" + std::string(300, '[') + "\"", "f").size(), 1U);
}

TEST(Printable, IsOneShortLine) {
  EXPECT_EQ(printable("a\nb"), "a?b");
  EXPECT_EQ(printable(std::string(100, 'x'), 3), "xxx...");
}

}  // namespace
}  // namespace incite
