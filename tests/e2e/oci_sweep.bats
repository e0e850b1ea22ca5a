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
  grep -ls "$BATS_TEST_TMPDIR/b/rootfs / " /proc/[0-9]*/mountinfo || true
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

# The system calls of "moss oci $*", one a line, as strace counts them: "openat 3" is the third openat. Not the execve
# that begins it.
calls_of() {
  strace -qq -o trace "$MOSS" oci --root state "$@" </dev/null >/dev/null 2>&1
  sed -n 's/^\([a-z0-9_]*\)(.*/\1/p' trace | awk '$1 != "execve" { print $1, ++count[$1] }'
}

# Has strace do $1 to the $3rd call of $2 in the rest of the line: to the process itself, not to its children.
tampered() {
  local what=$1 name=$2 number=$3
  shift 3
  timeout --kill-after 1 10 strace -qq -o /dev/null -e "inject=$name:$what:when=$number" "$MOSS" oci --root state "$@" </dev/null >out 2>&1
}

# Kills "moss oci $*" at each of its calls, with `before` done each time, and looks at what is left.
kill_everywhere() {
  local name number status points=0
  before
  calls_of "$@" >calls
  clear_and_look "$1"
  while read -r name number; do
    before
    status=0
    tampered signal=KILL "$name" "$number" "$@" 2>/dev/null || status=$?
    ((status != 124)) || fail "$1: $name $number: hangs"
    wait_for 3 "${after:-true}" || fail "$1 killed at $name $number: $(survivors)"
    clear_and_look "$1 killed at $name $number"
    ((status != 137)) || points=$((points + 1))
  done <calls
  ((points > 40)) || fail "$1: only $points calls to kill it at"
}

nobody_lives() { [[ -z $(survivors) ]]; }

@test "create, killed at each of its system calls, leaves nothing that delete --force does not clear" {
  bundle b sleep 100
  before() { :; }
  kill_everywhere create -b b --pid-file pid c
}

@test "create takes the name of one that was killed" {
  bundle b sleep 100
  calls_of create -b b --pid-file pid c | awk 'NR % 5 == 0' >calls
  clear_and_look create
  while read -r name number; do
    tampered signal=KILL "$name" "$number" create -b b --pid-file pid c 2>/dev/null || true
    # Its child may need a moment to see that it is alone.
    wait_for 3 free_or_created || fail "killed at $name $number: $(oci create -b b c 2>&1)"
    clear_and_look "killed at $name $number"
  done <calls
}

# Once its record is written a container whose process has died is a stopped one, whoever killed its creator: that name is
# given back by delete and by nothing else.
free_or_created() {
  [[ $(oci state c 2>/dev/null | jq -r .status) =~ ^(created|stopped)$ ]] || oci create -b b c </dev/null >/dev/null 2>&1
}

@test "start, killed at each of its system calls, can be followed by delete --force" {
  bundle b sleep 100
  before() { oci create -b b c </dev/null; }
  kill_everywhere start c
}

@test "delete, killed at each of its system calls, can be done again" {
  bundle b sleep 100
  before() { oci create -b b c </dev/null; }
  kill_everywhere delete --force c
}

@test "run, killed at each of its system calls, takes its container along" {
  bundle b sleep 0.1
  before() { :; }
  after=nobody_lives kill_everywhere run -b b c
}

@test "whichever system call fails, nothing hangs, crashes or is left" {
  bundle b sleep 0.05
  local verb name number status
  for verb in "create -b b --pid-file pid" "run -b b"; do
    # What the dynamic loader makes of a failure is not ours: moss begins after its last mprotect or munmap.
    # shellcheck disable=SC2086
    calls_of $verb c | tac | sed '/^munmap /,$d' | tac >calls
    clear_and_look "$verb"
    while read -r name number; do
      # Some cannot fail like that: the C library itself ends a process whose futex does, brk answers with the break as
      # it was, and close closes whatever it answers.
      [[ ! $name =~ ^(exit_group|futex|brk|close)$ ]] || continue
      status=0
      # shellcheck disable=SC2086
      tampered error=ENOMEM "$name" "$number" $verb c 2>/dev/null || status=$?
      ((status != 124)) || fail "$verb, $name $number fails: hangs: $(<out)"
      ((status < 128)) || fail "$verb, $name $number fails: status $status: $(<out)"
      ((status == 0 || $(wc -l <out) <= 1)) || fail "$verb, $name $number fails: more than a line: $(<out)"
      clear_and_look "$verb, $name $number fails"
    done <calls
  done
}
