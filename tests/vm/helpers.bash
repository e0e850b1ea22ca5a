# shellcheck shell=bash
# What the tests in the guest start from: `load helpers`. tests/vm/guest runs them and sets SESSION, MOSS and OCI_RUNTIME.
#
# Every name that a test makes on the machine begins with moss-, so that the guest finds what is left. The guest may be
# many times slower than its host: what is waited for is given time.

load ../clients/helpers

# is WHAT EXPECTED ACTUAL: says what was compared.
is() { [[ $3 == "$2" ]] || fail "$1: expected $2, got $3"; }

# systemctl of the manager that the session's scopes are made by.
manager() {
  if is_root; then
    systemctl "$@"
  else
    systemctl --user "$@"
  fi
}
property() { manager show -p "$2" --value "$1"; }

# The cgroup of a process, from the outside.
cgroup_of() { printf '/sys/fs/cgroup%s' "$(cut -d: -f3- "/proc/$1/cgroup")"; }
