// --format: any text is a template or an error, and any template ends.
#include "fuzz.hh"
#include "moss/cli/columns.hh"
#include "moss/cli/template.hh"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace moss::cli::format;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  static const Value kDot = *parse_json(
      R"({"ID":"b06c","Size":12,"Names":["a","b"],"Labels":{"k":"v"},"Config":{"Cmd":null,"Tty":true,"Ratio":0.5}})");
  (void)align_columns(input);
  const moss::Result<Template> parsed = Template::parse(input);
  if (!parsed.ok()) {
    moss::must(!parsed.error().to_string().empty(), "an error has words");
    return 0;
  }
  (void)parsed->mentions("Size");
  const moss::Result<std::string> written = parsed->execute(kDot);
  moss::must(!written.ok() || *written == *parsed->execute(kDot), "the same template writes the same");
  return 0;
}
