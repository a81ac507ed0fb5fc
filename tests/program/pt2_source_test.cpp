#include "program/pt2_source.hpp"

#include <gtest/gtest.h>

#include "program/source.hpp"

namespace incite {
namespace {

std::string place_of_trace(const std::string& trace) {
  const nlohmann::json node = {{"metadata", {{"stack_trace", trace}}}};
  return source_of(pt2_source(JsonView(node, "node")));
}

TEST(Pt2Source, NamesTheInnermostLineThatIsNotPyTorchs) {
  EXPECT_EQ(place_of_trace("File \"/home/me/net.py\", line 31, in forward\n    y = self.conv(x)\n"
                           "  File \"/lib/torch/nn/modules/conv.py\", line 565, in forward\n    return f(x)"),
            "net.py:31");
}

TEST(Pt2Source, ReadsWhatItWrites) {
  EXPECT_EQ(place_of_trace(pt2_stack_trace("net.py:31")), "net.py:31");
}

TEST(Pt2Source, IsUnknownWithoutATrace) {
  EXPECT_EQ(source_of(pt2_source(JsonView(nlohmann::json::object(), "node"))), "an unknown line");
  EXPECT_EQ(place_of_trace("nothing of the kind"), "an unknown line");
}

}  // namespace
}  // namespace incite
