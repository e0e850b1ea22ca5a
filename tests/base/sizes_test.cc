// Sums of what others claim.
#include "moss/base/sizes.hh"

#include <gtest/gtest.h>

namespace moss {
namespace {

TEST(Sizes, AddUpToTheLargestThereIsAtMost) {
  EXPECT_EQ(add_sizes(0, 0), 0);
  EXPECT_EQ(add_sizes(1, 2), 3);
  EXPECT_EQ(add_sizes(INT64_MAX - 1, 1), INT64_MAX);
  EXPECT_EQ(add_sizes(INT64_MAX, 1), INT64_MAX);
  EXPECT_EQ(add_sizes(1, INT64_MAX), INT64_MAX);
  EXPECT_EQ(add_sizes(INT64_MAX, INT64_MAX), INT64_MAX);
}

}  // namespace
}  // namespace moss
