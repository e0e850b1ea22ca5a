#!/usr/bin/env bats
# speed: slow
# Every way for create, start, delete and run to be cut short: killed at each of their system calls, and each of their
# system calls failing. `delete --force` then clears all there is, nothing lives on, nothing hangs.

load oci_helpers

setup_file() {
  command -v strace >/dev/null || skip "no strace"
  make_rootfs "$BATS_FILE_TMPDIR/rootfs"
}

# Processes of this test's containers: their root is the bundle's.
survivors() {
  local pid
  for pid in /proc/[0-9]*; do
    grep -qs "$BATS_TEST_TMPDIR/b/rootfs / " "$pid/mountinfo" && printf '%s ' "${pid#/proc/}"
  done
  return 0
}

nothing_is_left() {
  [[ -z $(survivors) ]] && [[ -z $(find state -mindepth 1 ! -path '*/.seccomp*' 2>/dev/null) ]]
}

clear_and_look() {
  oci delete --force c >clear.out 2>&1 || fail "$1: delete --force: $(<clear.out)"
  wait_for 3 nothing_is_left || fail "$1: left: $(survivors) $(find state -mindepth 1)"
  local stray
  stray=$(find . -maxdepth 1 -name 'pid.*')
  rm -f pid pid.*
}

# What strace puts into system call number $1 of the rest of the line. Only the process itself, not its children.
tampered() {
  local what=$1
  shift
  timeout --kill-after 1 10 strace -qq -o /dev/null -e trace=none -e "inject=all:$what" "$MOSS" oci --root state "$@" </dev/null >out 2>&1
}

@test "create, killed at each of its system calls, leaves nothing that delete --force does not clear" {
  bundle b sleep 100
  local n status
  for ((n = 1; n < 2000; ++n)); do
    status=0
    tampered "signal=KILL:when=$n" create -b b --pid-file pid c || status=$?
    ((status != 124)) || fail "call $n: hangs"
    clear_and_look "killed at call $n"
    ((status != 0)) || break
  done
  ((status == 0 && n > 40)) || fail "never came to the end: $n, $status"
}

@test "create takes the name of one that was killed" {
  bundle b sleep 100
  local n
  for ((n = 1; n < 2000; n += 7)); do
    tampered "signal=KILL:when=$n" create -b b --pid-file pid c && break
    # Its child may need a moment to see that it is alone.
    wait_for 3 free_or_created || fail "killed at call $n: $(oci create -b b c 2>&1)"
    clear_and_look "killed at call $n"
  done
}

free_or_created() {
  [[ $(oci state c 2>/dev/null | jq -r .status) == created ]] || oci create -b b c </dev/null >/dev/null 2>&1
}

@test "start and delete, killed at each of their system calls, can be followed by delete --force" {
  bundle b sleep 100
  local verb n status
  for verb in start "delete --force"; do
    for ((n = 1; n < 2000; ++n)); do
      oci create -b b c </dev/null
      status=0
      # shellcheck disable=SC2086
      tampered "signal=KILL:when=$n" $verb c || status=$?
      ((status != 124)) || fail "$verb: call $n: hangs"
      clear_and_look "$verb killed at call $n"
      ((status != 0)) || break
    done
    ((status == 0 && n > 20)) || fail "$verb never came to the end: $n, $status"
  done
}

@test "run, killed at each of its system calls, takes its container along" {
  bundle b sleep 0.05
  local n status
  for ((n = 1; n < 2000; ++n)); do
    status=0
    tampered "signal=KILL:when=$n" run -b b c || status=$?
    ((status != 124)) || fail "call $n: hangs"
    wait_for 3 test -z "$(survivors)" || fail "killed at call $n: $(survivors)"
    clear_and_look "killed at call $n"
    ((status != 0)) || break
  done
  ((status == 0))
}

@test "whichever system call fails, nothing hangs, crashes or is left" {
  bundle b sleep 0.05
  local verb error n status last
  for error in ENOSPC ENOMEM; do
    for verb in "create -b b --pid-file pid" "run -b b"; do
      # shellcheck disable=SC2086
      strace -qq -o trace "$MOSS" oci --root state $verb c </dev/null
      last=$(wc -l <trace)
      clear_and_look "$verb"
      for ((n = 1; n <= last; ++n)); do
        status=0
        # shellcheck disable=SC2086
        tampered "error=$error:when=$n" $verb c || status=$?
        ((status != 124)) || fail "$verb, call $n with $error: hangs: $(<out)"
        # The dynamic loader's own calls come first; what it makes of a failure is not ours.
        ((n < 40 || status < 128)) || fail "$verb, call $n with $error: status $status: $(<out)"
        if ((n >= 40 && status != 0)); then
          [[ $(wc -l <out) -le 1 ]] || fail "$verb, call $n with $error says more than a line: $(<out)"
        fi
        clear_and_look "$verb, call $n with $error"
      done
    done
  done
}
