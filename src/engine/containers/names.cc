// Two words from an id's first digits.
#include "src/engine/containers/names.hh"

#include <iterator>

#include "moss/base/text.hh"

namespace moss::engine {

namespace {

constexpr std::string_view kQualities[] = {
    "agile",  "amber", "ancient", "autumn", "bold",  "brave", "bright", "brisk", "calm",   "clever", "cold",
    "crisp",  "damp",  "dark",    "deep",   "dewy",  "eager", "early",  "fair",  "fine",   "fresh",  "gentle",
    "glad",   "green", "hardy",   "hidden", "jolly", "keen",  "kind",   "late",  "light",  "lively", "lone",
    "long",   "lucid", "lush",    "mellow", "merry", "mild",  "misty",  "neat",  "nimble", "noble",  "old",
    "pale",   "plain", "proud",   "quick",  "quiet", "rainy", "ready",  "rich",  "shady",  "sharp",  "shy",
    "silent", "slow",  "small",   "soft",   "still", "sunny", "tender", "warm",  "wise"};

constexpr std::string_view kPlants[] = {
    "alder",  "anise", "ash",     "aspen",   "basil",   "beech",   "birch",  "bramble", "briar",   "burdock", "cedar",
    "clover", "cress", "daisy",   "dill",    "dogwood", "elder",   "elm",    "fennel",  "fern",    "fir",     "flax",
    "gorse",  "hazel", "heather", "hemlock", "holly",   "hops",    "iris",   "ivy",     "juniper", "larch",   "laurel",
    "lichen", "lilac", "lily",    "linden",  "lotus",   "lupin",   "mallow", "maple",   "mint",    "moss",    "myrtle",
    "nettle", "oak",   "olive",   "orchid",  "pine",    "poplar",  "poppy",  "reed",    "rose",    "rowan",   "rush",
    "sage",   "sedge", "sorrel",  "spruce",  "tansy",   "thistle", "thyme",  "willow",  "yew"};

}  // namespace

std::string generate_name(const std::string& id) {
  const auto digits = parse_number<uint32_t>(std::string_view(id).substr(0, 8), 16).value_or(0);
  return cat(kQualities[digits % std::size(kQualities)], '_', kPlants[digits / 64 % std::size(kPlants)]);
}

}  // namespace moss::engine
