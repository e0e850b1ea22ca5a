// Steps that change nothing but the process itself. Each gives 0 or an errno; see raw.hh.
#pragma once

#include <signal.h>
#include <sys/types.h>

#include "moss/runtime/step.hh"

namespace moss::runtime {

int set_oom_score(const SetOomScore& step);
int set_scheduler(const SetScheduler& step);
int set_io_priority(const SetIoPriority& step);
int set_cpu_affinity(const SetCpuAffinity& step);
int set_memory_policy(const SetMemoryPolicy& step);
int set_personality(const SetPersonality& step);
int join_keyring(const JoinKeyring& step);
/// `proc` is a procfs that is proven to be one.
int set_exec_label(int proc, const SetExecLabel& step);
int find_home(const FindHome& step);
int set_ids(const SetIds& step);
int drop_bounding(const DropBounding& step);
int set_capabilities(const SetCapabilities& step);
int set_ambient(const SetAmbient& step);
int reset_signals();
/// Process 1 with a workload: reaps everything, passes signals on, ends as the workload ends. `all` are blocked.
[[noreturn]] void be_init(pid_t workload, const sigset_t& all);

}  // namespace moss::runtime
