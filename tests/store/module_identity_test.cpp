#include "store/module_identity.hpp"

#include <gtest/gtest.h>

namespace incite {
namespace {

ModuleIdentity full() {
  ModuleIdentity identity;
  identity.model = "aa";
  identity.output = 3;
  identity.outputs = 5;
  identity.kind = OutputKind::sigmoid;
  identity.task = Task::regression;
  identity.own_head = false;
  identity.input_key = "image,mask";
  identity.target_key = "label";
  identity.input_scale = 0.1;
  identity.scale = 1.0 / 3;
  identity.input_shape = {3, 8, 8};
  identity.input_layout = InputLayout::nhwc;
  identity.shapes = {{3, 8, 8}, {}};
  return identity;
}

TEST(ModuleIdentity, IsReadAsItWasWritten) {
  const auto found = parse_identity(to_text(full()));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(to_text(*found), to_text(full()));
  EXPECT_EQ(found->scale, 1.0 / 3);
  EXPECT_EQ(found->kind, OutputKind::sigmoid);
  EXPECT_EQ(found->task, Task::regression);
  EXPECT_EQ(found->input_layout, InputLayout::nhwc);
  EXPECT_EQ(found->shapes, full().shapes);
}

TEST(ModuleIdentity, OfACompositionHasNoOutput) {
  const auto found = parse_identity(to_text(ModuleIdentity{}));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->output, -1);
  EXPECT_FALSE(found->input_scale.has_value());
}

TEST(ModuleIdentity, IsNotWhatAnotherTextSays) {
  for (const char* text : {"", "my model", "{}", "[1]", R"({"schema": 2, "output": 1})"})
    EXPECT_FALSE(parse_identity(text).has_value()) << text;
  ModuleIdentity outside = full();
  outside.output = 5;
  EXPECT_FALSE(parse_identity(to_text(outside)).has_value());
}

}  // namespace
}  // namespace incite
