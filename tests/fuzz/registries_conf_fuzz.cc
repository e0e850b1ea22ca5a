// registries.conf: what it makes of names is a host and a repository, or an error.
#include "fuzz.hh"
#include "src/engine/images/registries_conf.hh"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moss;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  engine::RegistriesConf conf;
  const auto merged = engine::merge_registries_conf(conf, input, "registries.conf");
  must_be_short_and_printable(merged);
  if (!merged.ok()) return 0;
  for (const bool by_digest : {false, true}) {
    for (const char* name : {"quay.io/a/b", "docker.io/library/alpine", "a.b.example.com/x"}) {
      const auto found = engine::endpoints(conf, name, by_digest);
      must_be_short_and_printable(found);
      must(!found.ok() || !found->empty(), "there is somewhere to ask");
    }
  }
  must_be_short_and_printable(engine::resolve_short_name(conf, "alpine"));
  // The same file once more says nothing new.
  const size_t rules = conf.rules.size(), aliases = conf.aliases.size();
  must(engine::merge_registries_conf(conf, input, "registries.conf").ok(), "what was read can be read again");
  must(conf.rules.size() == rules && conf.aliases.size() == aliases, "what was said stays");
  return 0;
}
