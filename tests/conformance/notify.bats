#!/usr/bin/env bats
# NOTIFY_SOCKET: a workload tells the service manager outside that it is ready, sd_notify(3). Not of the runtime-spec, but
# what runc and crun do. On them all pass but two: runc's foreground run misses the word if messages come before it, and crun's
# container may write where the socket is.
# as: root user

load helpers

# A service manager: what it hears until somebody is ready goes to the file heard, a message a line with its lines joined.
# It does so for the host's path or abstract name $1.
manager() {
  export NOTIFY_SOCKET=$1
  python3 - <<'END' 3>&- 4>&- &
import os, socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = os.environ["NOTIFY_SOCKET"]
s.bind("\0" + name[1:] if name[0] == "@" else name)
s.settimeout(60)
open("listens", "w")
while True:
    lines = s.recv(4096).decode().rstrip("\n").split("\n")
    print(*lines, file=open("heard", "a"))
    if "READY=1" in lines:
        break
END
  manager=$!
  wait_for 10 test -e listens
  gcc -static -O1 -o bundle/rootfs/bin/tell "$BATS_TEST_DIRNAME/tell.c"
}
end_manager() {
  kill "$manager"
  wait "$manager" || true
}

@test "run hands on the workload's word that it is ready, and nothing else that it says" {
  manager "$PWD/manager.sock"
  runs 'tell STATUS=evil MAINPID=1 "STATUS=x
READY=1"'
  assert_success
  wait "$manager"
  [[ $(cat heard) == READY=1 ]] || fail "heard: $(cat heard)"
}

@test "a service manager with an abstract name hears it too" {
  manager "@moss-test-$BASHPID"
  runs 'tell READY=1'
  assert_success
  wait "$manager"
  [[ $(cat heard) == READY=1 ]] || fail "heard: $(cat heard)"
}

@test "start returns when the workload is ready, and says which process it is" {
  manager "$PWD/manager.sock"
  program 'while ! [ -e /go ]; do sleep 0.05; done; tell READY=1; sleep 100'
  create
  start 3>&- 4>&- &
  local starting=$!
  wait_for 10 is_status running
  sleep 0.2
  kill -0 "$starting" || fail "start did not wait"
  [[ ! -e heard ]]
  touch bundle/rootfs/go
  wait "$starting"
  wait "$manager"
  is_status running
  # crun leaves it to the service manager to know the process; runc says it in a message after this one.
  [[ ${OCI_RUNTIME##*/} =~ ^(crun|runc)$ ]] || grep -qw "MAINPID=$(cat pid)" heard || fail "heard: $(cat heard)"
  grep -qw READY=1 heard
}

@test "start of a workload that ends without the word returns, and nobody is told" {
  manager "$PWD/manager.sock"
  program 'exit 3'
  create
  timeout 60 "$OCI_RUNTIME" --root "$BATS_TEST_TMPDIR/state" start "$id"
  [[ ! -e heard ]]
  end_manager
}

@test "a container whose start still waits for the word can be deleted" {
  manager "$PWD/manager.sock"
  program 'sleep 100'
  create
  start 3>&- 4>&- &
  local starting=$!
  wait_for 10 is_status running
  timeout 60 "$OCI_RUNTIME" --root "$BATS_TEST_TMPDIR/state" delete --force "$id"
  wait "$starting" || true
  [[ ! -e state/$id ]]
  end_manager
}

@test "the container cannot change where it speaks to" {
  manager "$PWD/manager.sock"
  runs 'cd "${NOTIFY_SOCKET%/*}" && ! rm notify.sock 2>/dev/null && ! touch other 2>/dev/null && ls; tell READY=1'
  assert_success
  assert_output notify.sock
  wait "$manager"
}
