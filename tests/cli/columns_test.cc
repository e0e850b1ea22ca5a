// Columns as Go's text/tabwriter aligns them.
#include "moss/cli/columns.hh"

#include <gmock/gmock.h>

namespace moss::cli::format {
namespace {

TEST(Columns, AreTwoSpacesApartAndAtLeastTwelveWide) {
  EXPECT_EQ(align_columns("REPOSITORY\tTAG\tSIZE\ndocker.io/library/alpine\t3\t8.09 MB\n"),
            "REPOSITORY                TAG         SIZE\n"
            "docker.io/library/alpine  3           8.09 MB\n");
}

TEST(Columns, TheLastCellIsNoColumn) {
  EXPECT_EQ(align_columns("A\na very long line\n"), "A\na very long line\n");
  EXPECT_EQ(align_columns("A\t\nbb\t\n"), "A           \nbb          \n");
}

TEST(Columns, EndWhereALineHasNoSuchCell) {
  EXPECT_EQ(align_columns("a long first cell\tx\nalone\nshort\ty\n"), "a long first cell  x\nalone\nshort       y\n");
}

TEST(Columns, CountCharactersAndNotBytes) {
  EXPECT_EQ(align_columns("\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\tx\nb\ty\n"),
            "\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4\u00e4  x\nb             y\n");
}

TEST(Columns, NothingStaysNothing) { EXPECT_EQ(align_columns(""), ""); }

}  // namespace
}  // namespace moss::cli::format
