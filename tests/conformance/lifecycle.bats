# The runtime-spec's runtime.md: operations, states, lifecycle, hooks.
# as: root user

load helpers

# State: "The state of a container includes the following properties", and its pattern in JSON.
@test "the state has version, id, status, pid, bundle and annotations" {
  edit 'c["annotations"] = {"org.example.word": "yes"}'
  create
  run oci state "$id"
  assert_success
  STATE=$output ID=$id PID=$(cat pid) python3 - <<'END'
import json, os, re
state = json.loads(os.environ["STATE"])
assert re.match(r"\d+\.\d+\.\d+", state["ociVersion"])
assert state["id"] == os.environ["ID"]
assert state["status"] == "created"
assert state["pid"] == int(os.environ["PID"])
assert state["bundle"] == os.path.realpath("bundle")
assert state["annotations"]["org.example.word"] == "yes"
END
}

# State: "id … MUST be unique across all containers on this host"; Create: "a new container MUST NOT be created".
@test "an id that is taken is refused, and its container is unharmed" {
  create
  local pid
  pid=$(state_of pid)
  run create
  ((status != 0))
  is_status created
  [[ $(state_of pid) == "$pid" ]]
}

# Create: "This operation MUST generate an error if it is not provided a path to the bundle and the container ID".
@test "create without an id or with a folder that is no bundle is an error" {
  run oci create --bundle bundle
  ((status != 0))
  mkdir empty
  run oci create --bundle empty "$id"
  ((status != 0))
  run oci create --bundle no/such/folder "$id"
  ((status != 0))
  run oci state "$id"
  ((status != 0))
}

# Create: an id that "is not valid in any other way, the implementation MUST generate an error".
@test "an id that would be another folder is refused" {
  local bad
  for bad in ../escaped . .. a/b ""; do
    run oci create --bundle bundle "$bad"
    ((status != 0)) || fail "accepted '$bad'"
  done
  run find "$BATS_TEST_TMPDIR" -name escaped
  assert_output ""
}

# Lifecycle 2: "the user-specified program MUST NOT be run at this time"; Start: "MUST run the user-specified program".
@test "create does not run the program, start does" {
  program 'echo ran; sleep 100'
  create
  is_status created
  sleep 0.2
  run cat out
  assert_output ""
  start
  wait_for 5 grep -q ran out
  is_status running
}

# Lifecycle 2: "Any updates to config.json after this step MUST NOT affect the container."
@test "changes to config.json after create have no effect" {
  program 'echo first'
  create
  program 'echo second'
  start
  wait_for 5 is_status stopped
  run cat out
  assert_output first
}

# Query State: "MUST generate an error if it is not provided the ID", and for "a container that does not exist".
@test "state without an id or of no container is an error" {
  run oci state
  ((status != 0))
  run oci state "$id"
  ((status != 0))
}

# Start: errors "if it is not provided the container ID" and "to start a container that is not created … MUST have no effect".
@test "start of what is not created is an error without effect" {
  run oci start
  ((status != 0))
  run oci start "$id"
  ((status != 0))
  create
  start
  local pid
  pid=$(state_of pid)
  run start
  ((status != 0))
  is_status running
  [[ $(state_of pid) == "$pid" ]]
  oci kill "$id" KILL
  wait_for 5 is_status stopped
  run start
  ((status != 0))
  is_status stopped
}

# Start: "This operation MUST generate an error if process was not set."
@test "a container without a process does not start" {
  edit 'del c["process"]'
  run create
  if ((status == 0)); then
    run start
    ((status != 0))
  fi
}

# Kill: errors without an id, and for a container that is neither created nor running, with no effect.
@test "kill of what is not there or has stopped is an error" {
  run oci kill
  ((status != 0))
  run oci kill "$id" KILL
  ((status != 0))
  create
  start
  oci kill "$id" KILL
  wait_for 5 is_status stopped
  run oci kill "$id" KILL
  ((status != 0))
  is_status stopped
}

# Kill: "This operation MUST send the specified signal to the container process."
@test "kill sends the signal by name, with and without SIG, and by number" {
  program 'for s in USR1 USR2 HUP; do trap "echo $s" $s; done; echo ready; while :; do sleep 0.05; done'
  create
  start
  wait_for 5 grep -q ready out
  oci kill "$id" SIGUSR1
  wait_for 5 grep -q USR1 out
  oci kill "$id" USR2
  wait_for 5 grep -q USR2 out
  oci kill "$id" 1
  wait_for 5 grep -q HUP out
  is_status running
}

@test "kill ends a container that was only created" {
  create
  oci kill "$id" KILL
  wait_for 5 is_status stopped
}

# Delete: errors without an id, and for a container that is not stopped, with no effect.
@test "delete of what is not there or running is an error without effect" {
  run oci delete
  ((status != 0))
  run oci delete "$id"
  ((status != 0))
  create
  start
  run oci delete "$id"
  ((status != 0))
  is_status running
}

# Delete: "MUST delete the resources that were created during the create step"; then the id "MAY be used again".
@test "after delete nothing of the container is left, and its id is free" {
  create
  start
  oci kill "$id" KILL
  wait_for 5 is_status stopped
  oci delete "$id"
  run oci state "$id"
  ((status != 0))
  run find /sys/fs/cgroup -type d -name "*$id*"
  assert_output ""
  run find state -mindepth 1
  assert_output ""
  create
}

# Delete: "resources associated with the container, but not created by this container, MUST NOT be deleted".
@test "delete leaves the bundle and the sources of mounts alone" {
  mkdir source
  echo precious | tee source/file bundle/rootfs/file >/dev/null
  edit "c['mounts'].append({'destination': '/mnt', 'type': 'bind', 'source': os.path.abspath('source'), 'options': ['rbind']})"
  create
  start
  oci delete --force "$id"
  run cat source/file bundle/rootfs/file
  assert_output $'precious\nprecious'
}

# Create: "If the runtime cannot apply a property as specified in the configuration, it MUST generate an error and a new
# container MUST NOT be created."
@test "a property that cannot be applied is an error, and no container is created" {
  edit "c['mounts'].append({'destination': '/mnt', 'type': 'no-such-filesystem', 'source': 'x'})"
  refused
  run find /sys/fs/cgroup -type d -name "*$id*"
  assert_output ""
}

# --- hooks: Lifecycle 3, 4, 5, 7, 9, 12; config.md "POSIX-platform Hooks" ---

# A hook of this kind that writes NAME and its stdin below $PWD/told, or with its third word ends with that status.
hook() {
  mkdir -p told
  KIND=$1 NAME=$2 STATUS=${3:-0} edit 'name = os.environ["NAME"]' \
    'c.setdefault("hooks", {}).setdefault(os.environ["KIND"], []).append({"path": "/bin/sh", "args": ["sh", "-c",
       f"cat >{os.getcwd()}/told/{name}; echo {name} >>{os.getcwd()}/told/order; exit " + os.environ["STATUS"]]})'
}
order() { tr "\n" " " <told/order; }
order_is() { [[ $(order) == "$1" ]] || fail "expected $1, got $(order)"; }

@test "hooks are called in the order of the lifecycle, and those of a kind in the order listed" {
  hook poststop stop
  hook poststart post
  hook createRuntime first
  hook createRuntime second
  hook createContainer inside
  create
  order_is "first second inside "
  start
  wait_for 5 test -e told/post
  order_is "first second inside post "
  oci kill "$id" KILL
  wait_for 5 is_status stopped
  oci delete "$id"
  order_is "first second inside post stop "
}

# "The state of the container MUST be passed to hooks over stdin"
@test "hooks get the container's state on stdin" {
  edit 'c["annotations"] = {"org.example.word": "yes"}'
  hook createRuntime early
  hook poststart late
  create
  local pid
  pid=$(state_of pid)
  start
  wait_for 5 test -s told/late
  ID=$id PID=$pid python3 - <<'END'
import json, os
for name, statuses in (("early", ("creating", "created")), ("late", ("running",))):
    state = json.load(open("told/" + name))
    assert state["id"] == os.environ["ID"]
    assert state["pid"] == int(os.environ["PID"])
    assert state["status"] in statuses, (name, state["status"])
    assert os.path.realpath(state["bundle"]) == os.path.realpath("bundle")
    assert state["annotations"]["org.example.word"] == "yes"
END
}

# "startContainer … in the container namespace", its path resolved there, before the program.
@test "a startContainer hook runs inside, just before the program" {
  edit 'c["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo hook >>/order"]}]}'
  program 'echo program >>/order'
  create
  [[ ! -e bundle/rootfs/order ]]
  start
  wait_for 5 is_status stopped
  run cat bundle/rootfs/order
  assert_output $'hook\nprogram'
}

# Hooks: env "with the same semantics as IEEE Std 1003.1-2008's environ"; left out, it is that of the runtime.
@test "a hook without an environment has that of the runtime" {
  export GIVEN=yes
  edit 'hook = lambda name, **more: {"path": "/bin/sh", "args": ["sh", "-c", "echo $GIVEN >" + os.path.abspath(name)], **more}' \
    'c["hooks"] = {"createRuntime": [hook("runtime"), hook("runtime-own", env=["GIVEN=own"]), hook("runtime-none", env=[])],
      "createContainer": [hook("container"), hook("container-own", env=["GIVEN=own"])]}'
  runs true
  assert_success
  [[ $(cat runtime runtime-own runtime-none container container-own) == $'yes\nown\n\nyes\nown' ]] || fail "$(tail -n +1 runtime* container*)"
}
# What nvidia's and others' hooks rely on.
@test "a createContainer hook starts in the container's root" {
  edit 'c["hooks"] = {"createContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo here >./made"]}]}'
  runs 'cat /made'
  assert_output here
}
# The caller's environment is no business of the container's own programs.
@test "a startContainer hook without an environment has that of the process" {
  export GIVEN=yes
  edit 'process["env"].append("OWN=1")' \
    'c["hooks"] = {"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", "echo $GIVEN$OWN >/made"]}]}'
  runs 'cat /made'
  assert_output 1
}

# "If any createRuntime hook fails, the runtime MUST generate an error, stop the container" (prestart, createContainer too).
@test "a failing prestart, createRuntime or createContainer hook is an error, and the container is gone" {
  local kind
  for kind in prestart createRuntime createContainer; do
    write_config
    rm -rf told
    hook "$kind" failing 3
    refused
    [[ -e told/failing ]]
  done
}

# "If any poststop hook fails, the runtime MUST log a warning, but the remaining hooks and lifecycle continue"
@test "a failing poststop hook does not keep the rest from happening" {
  hook poststop failing 3
  hook poststop after
  create
  start
  oci kill "$id" KILL
  wait_for 5 is_status stopped
  oci delete "$id"
  order_is "failing after "
  run oci state "$id"
  ((status != 0))
}

# "timeout … If set, timeout MUST be greater than zero", "the number of seconds before aborting the hook"
@test "a hook that takes longer than its timeout is aborted and has failed" {
  edit 'c["hooks"] = {"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "30"], "timeout": 1}]}'
  local began=$SECONDS
  refused
  ((SECONDS - began < 25))
}

# "path (string, REQUIRED) … MUST be absolute"
@test "a hook with a relative path is an error" {
  edit 'c["hooks"] = {"createRuntime": [{"path": "bin/true"}]}'
  refused
}
