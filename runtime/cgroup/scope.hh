// systemd, spoken to over D-Bus: the scope around a container. Private to runtime/cgroup.
//
// libsystemd is loaded when it is needed. An ordinary user's scopes are made by their own manager, on the bus that
// $DBUS_SESSION_BUS_ADDRESS or $XDG_RUNTIME_DIR/bus names; root's by the system's.
// See org.freedesktop.systemd1(5), sd-bus(3).
#pragma once

#include "moss/runtime/cgroup.hh"

namespace moss::runtime {

/// Makes plan.record.unit around `pid` and waits until it runs.
/// `is_ours` is set once systemd has taken the unit on: from then on it has to be stopped, whatever comes.
/// Errors: no libsystemd; no bus; what systemd says, such as that the name is taken; a job that did not end well; 30 s.
Result<Ok> start_scope(const CgroupPlan& plan, pid_t pid, bool& is_ours);
/// Changes properties for as long as the unit lives.
Result<Ok> change_scope(const CgroupRecord& record, const std::vector<UnitProperty>& properties);
/// Puts a process of the caller's into a unit of the user's manager, which may move it where the caller may not.
Result<Ok> attach_to_scope(const std::string& unit, const std::string& inside, pid_t pid);
/// Ends the unit, waits for it and forgets that it failed, if it did. A unit that is gone is success.
Result<Ok> stop_scope(const CgroupRecord& record);

}  // namespace moss::runtime
