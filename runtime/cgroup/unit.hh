// A container's transient scope, as systemd is told of it. Pure. Private to runtime/cgroup.
// See org.freedesktop.systemd1(5), systemd.resource-control(5).
#pragma once

#include "moss/runtime/cgroup.hh"

namespace moss::runtime {

struct ScopeName {
  std::string slice;  ///< "system.slice"
  std::string unit;   ///< "moss-web.scope"
};
/// linux.cgroupsPath as "slice:prefix:name"; empty: the manager's usual slice, "moss" and the container's id.
/// Letters that no unit name may have are written as systemd escapes them. Errors: another form; a slice that is none.
Result<ScopeName> scope_name(const std::string& cgroups_path, const std::string& id, bool user_manager);

/// The limits that systemd has words for, so that its next reload does not undo them. The others, and these once more,
/// moss writes itself.
Result<std::vector<UnitProperty>> scope_properties(const oci::Resources& resources, bool v2);

/// Annotations "org.systemd.property.NAME" with a value in GVariant's text form: "uint64 5", "'text'", "true",
/// "['a', 'b']". NAME ending in Sec is what systemd calls USec, in seconds. Added to `properties`, in place of those of
/// the same name. Errors name the annotation.
Result<Ok> add_annotated_properties(std::vector<UnitProperty>& properties, const oci::Annotations& annotations);

/// The GVariant text above as a property. Error: not such a text, or of a kind that moss does not know.
Result<UnitProperty> parse_property(const std::string& name, std::string_view text);

}  // namespace moss::runtime
