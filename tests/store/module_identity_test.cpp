#include "store/module_identity.hpp"

#include <gtest/gtest.h>

#include "support/output_sets.hpp"

namespace incite {
namespace {

ModuleIdentity full() {
  ModuleIdentity identity;
  identity.model = "aa";
  identity.set = test::one_value(3);
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
  EXPECT_EQ(found->set.outputs, std::vector<int64_t>{3});
  EXPECT_EQ(found->set.name, "");
  EXPECT_FALSE(found->set.others);
  EXPECT_EQ(found->scale, 1.0 / 3);
  EXPECT_EQ(found->kind, OutputKind::sigmoid);
  EXPECT_EQ(found->task, Task::regression);
  EXPECT_EQ(found->input_layout, InputLayout::nhwc);
  EXPECT_EQ(found->shapes, full().shapes);
}

TEST(ModuleIdentity, OfACompositionHasNoOutput) {
  const auto found = parse_identity(to_text(ModuleIdentity{}));
  ASSERT_TRUE(found.has_value());
  EXPECT_FALSE(found->is_module());
  EXPECT_TRUE(found->set.outputs.empty());
  EXPECT_FALSE(found->input_scale.has_value());
}

TEST(ModuleIdentity, IsNotWhatAnotherTextSays) {
  for (const char* text : {"", "my model", "{}", "[1]", R"({"schema": 2, "output": 1})"})
    EXPECT_FALSE(parse_identity(text).has_value()) << text;
  ModuleIdentity outside = full();
  outside.set = test::one_value(5);
  EXPECT_FALSE(parse_identity(to_text(outside)).has_value());
}

TEST(ModuleIdentity, OfASetIsReadAsItWasWritten) {
  ModuleIdentity identity = full();
  identity.task = Task::classification;
  identity.own_head = true;
  for (const OutputSet& set : {OutputSet{{1, 3}, "some", true}, {{0, 1, 2, 3, 4}, "all", false}, {{2}, "two", true}}) {
    identity.set = set;
    const auto found = parse_identity(to_text(identity));
    ASSERT_TRUE(found.has_value()) << set.name;
    EXPECT_TRUE(found->is_module());
    EXPECT_EQ(found->set.name, set.name);
    EXPECT_EQ(found->set.outputs, set.outputs);
    EXPECT_EQ(found->set.others, set.others) << set.name;
    EXPECT_EQ(found->rows(), set.rows()) << set.name;
    EXPECT_EQ(to_text(*found), to_text(identity));
  }
}

TEST(ModuleIdentity, OfASetOfValuesHasNoOthers) {
  ModuleIdentity identity = full();  // of a regression, with the original's head
  identity.set = test::whole({1, 3});
  auto found = parse_identity(to_text(identity));
  ASSERT_TRUE(found.has_value());
  EXPECT_FALSE(found->set.others);
  EXPECT_EQ(found->rows(), 5);
  identity.own_head = true;
  found = parse_identity(to_text(identity));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->rows(), 2);
}

TEST(ModuleIdentity, IsNotWhatATextOfAnUnsoundSetSays) {
  for (const std::vector<int64_t>& outputs : {std::vector<int64_t>{3, 1}, {1, 1}, {1, 5}, {-1, 2}}) {
    ModuleIdentity identity = full();
    identity.set = test::some(outputs);
    EXPECT_FALSE(parse_identity(to_text(identity)).has_value()) << testing::PrintToString(outputs);
  }
}

}  // namespace
}  // namespace incite
