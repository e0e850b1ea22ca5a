#!/usr/bin/env bats
# Notified system calls: a real agent behind linux.seccomp.listenerPath answers them. And --pidfd-socket.
# as: root user

load oci_helpers

# An agent that takes one listener after the other and answers its notified calls. It writes what it was sent to
# state.json, and each call it answers to calls. `python3 agent.py [no-answer]`
agent() {
  cat >agent.py <<'PYTHON'
import array, fcntl, json, os, socket, struct, sys, threading
NOTIF, RESP = struct.Struct("QIIiIQQQQQQQ"), struct.Struct("QqiI")
RECV, SEND = 0xC0502100, 0xC0182101  # SECCOMP_IOCTL_NOTIF_RECV, _SEND
def answer(listener):
    while True:
        call = bytearray(NOTIF.size)
        try:
            fcntl.ioctl(listener, RECV, call)
            id, pid, _, number, arch, *_ = NOTIF.unpack(call)
            with open("calls", "a") as file: file.write(f"{number}\n")
            # As if the call had been made, and failed with ENOSPC.
            fcntl.ioctl(listener, SEND, RESP.pack(id, 0, -28, 0))
        except OSError: return
server = socket.socket(socket.AF_UNIX)
server.bind("agent.sock")
server.listen()
while True:
    connection, _ = server.accept()
    data, ancillary, flags, _ = connection.recvmsg(65536, socket.CMSG_SPACE(4))
    fds = array.array("i", ancillary[0][2])
    if sys.argv[1:] == ["no-answer"]:
        os.close(fds[0])
        continue
    with open("state.part", "wb") as file: file.write(data)
    os.rename("state.part", "state.json")
    threading.Thread(target=answer, args=(fds[0],), daemon=True).start()
PYTHON
  python3 agent.py "$@" 3>&- &
  agent_pid=$!
  wait_for 5 test -S agent.sock
}

# A filter that notifies of mkdir. $1: more members of linux.seccomp, as jq has them.
notifying() {
  export EDIT=".linux.seccomp = {defaultAction: \"SCMP_ACT_ALLOW\", listenerPath: \"$PWD/agent.sock\", listenerMetadata: \"words\",
    syscalls: [{names: [\"mkdir\", \"mkdirat\"], action: \"SCMP_ACT_NOTIFY\"}]} + ${1:-{\}}"
}

teardown() {
  [[ -z ${agent_pid-} ]] || kill "$agent_pid"
  oci_teardown
}

@test "an agent answers a container's system calls" {
  agent
  notifying
  bundle b sh -c 'mkdir /made; echo end'
  run timeout 60 "$MOSS" oci --root state run -b b c
  assert_success
  assert_has "No space left on device"
  assert_has end
  [[ -s calls ]]
  # What the spec wants told with the descriptor.
  jq -e '.ociVersion and .fds == ["seccompFd"] and .metadata == "words" and .state.id == "c" and .state.status == "creating"
    and .state.bundle == "'"$PWD/b"'" and .pid == .state.pid and .pid > 0' state.json
}

@test "with every way of starting, exec too, and the flags for listeners" {
  agent
  notifying '{flags: ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", "SECCOMP_FILTER_FLAG_TSYNC"]}'
  bundle b sh -c 'mkdir /made 2>/out; exec sleep 100'
  oci create -b b c </dev/null >/dev/null 2>&1
  [[ ! -e state.json ]] # the filter comes with the start
  timeout 60 "$MOSS" oci --root state start c
  wait_for 5 grep -q "No space" b/rootfs/out
  [[ $(jq -r .state.status state.json) == created ]]
  rm state.json
  run timeout 60 "$MOSS" oci --root state exec c mkdir /other
  assert_status 1
  assert_has "No space left on device"
  [[ $(jq -r .state.status state.json) == running ]]
  [[ $(jq .pid state.json) != "$(pid_of c)" && $(jq .state.pid state.json) == "$(pid_of c)" ]]
  oci delete --force c
  rm state.json b/rootfs/out
  timeout 60 "$MOSS" oci --root state run -d -b b c </dev/null >/dev/null 2>&1
  wait_for 5 grep -q "No space" b/rootfs/out
}

@test "without an agent there is no container" {
  notifying
  bundle b true
  run timeout 60 "$MOSS" oci --root state run -b b c
  assert_status 1
  assert_has "linux.seccomp.listenerPath: connect to $PWD/agent.sock: no such file or directory"
  ((${#lines[@]} == 1))
  run oci state c
  assert_status 1
}

@test "an agent that drops the listener does not hang the container" {
  agent no-answer
  notifying
  bundle b sh -c 'mkdir /made; echo end'
  run timeout -k 1 60 "$MOSS" oci --root state run -b b c
  assert_success
  assert_has "not implemented" # what the kernel says of a listener that is gone
  assert_has end
}

@test "a pidfd of the container's process goes to whoever asked for one" {
  cat >taker.py <<'PYTHON'
import array, os, signal, socket
server = socket.socket(socket.AF_UNIX)
server.bind("pidfd.sock")
server.listen()
for name in ("first", "second"):
    connection, _ = server.accept()
    data, ancillary, *_ = connection.recvmsg(100, socket.CMSG_SPACE(4))
    fd = array.array("i", ancillary[0][2])[0]
    with open(f"/proc/self/fdinfo/{fd}") as info: pid = [l.split()[1] for l in info if l.startswith("Pid:")][0]
    with open("part", "w") as file: file.write(pid)
    os.rename("part", name)
    if name == "second": signal.pidfd_send_signal(fd, signal.SIGKILL)
PYTHON
  python3 taker.py 3>&- &
  wait_for 5 test -S pidfd.sock
  bundle b sleep 100
  oci create --pidfd-socket pidfd.sock -b b c </dev/null >/dev/null 2>&1
  wait_for 5 test -e first
  [[ $(cat first) == "$(pid_of c)" ]]
  oci start c
  run timeout 60 "$MOSS" oci --root state exec --pidfd-socket pidfd.sock c sleep 100
  assert_status 137
  has_status c running
  bundle other true
  run oci run --pidfd-socket no-such.sock -b other d
  assert_status 1
  assert_has "connect to no-such.sock"
}
