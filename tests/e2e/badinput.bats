# Hosts and words that are not as they should be: one line, exit 125, nothing left.

load helpers

# Nothing of a container is left, in the store or in the runtime folder.
assert_nothing_left() {
  [[ ! -d $XDG_DATA_HOME/moss/containers ]] || [[ -z $(ls "$XDG_DATA_HOME/moss/containers") ]]
  [[ ! -d $XDG_RUNTIME_DIR/moss/containers ]] || [[ -z $(ls "$XDG_RUNTIME_DIR/moss/containers") ]]
}

@test "without user namespaces the way to allow them is told" {
  run unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_user_namespaces; exec "$0" run --rm --network none alpine true' "$MOSS"
  assert_status 125
  ((${#lines[@]} == 1)) || fail "$output"
  assert_has "user.max_user_namespaces"
  assert_nothing_left
}

@test "a full disk is told, and nothing half-made is left" {
  make_image spare '{}'
  cat >full <<'END'
mkdir small && mount -t tmpfs -o size=1m none small && export XDG_DATA_HOME=$PWD/small/data && mkdir -m 700 "$XDG_DATA_HOME"
"$MOSS" load -q -i spare.layout
echo "status $?"
find small -type f -size +64k
END
  MOSS=$MOSS run unshare --user --map-root-user --map-auto --mount bash full
  assert_has "No space left on device"
  assert_has "status 125"
  ((${#lines[@]} == 2)) || fail "$output"
}

@test "a disk too full for a container is told, and nothing of it is left" {
  cat >full <<'END'
mkdir small && mount -t tmpfs -o size=16m none small && export XDG_DATA_HOME=$PWD/small/data && mkdir -m 700 "$XDG_DATA_HOME"
"$MOSS" import -q "$1" alpine >/dev/null && "$MOSS" run --rm --network none alpine true || exit
head -c 16m /dev/zero >small/fill 2>/dev/null
"$MOSS" run --network none alpine true
echo "status $?"
ls "$XDG_DATA_HOME/moss/containers"
END
  MOSS=$MOSS run unshare --user --map-root-user --map-auto --mount bash full "$(rootfs_tarball)"
  assert_has "no space left for containers"
  assert_has "status 125"
  ((${#lines[@]} == 2)) || fail "$output"
}

@test "a home that is read-only is told" {
  mkdir -m 500 closed
  XDG_DATA_HOME=$PWD/closed/data run moss import -q "$(rootfs_tarball)" x
  assert_status 125
  ((${#lines[@]} == 1)) || fail "$output"
  assert_has "$PWD/closed"
}

@test "a closed home is told with the variable that names another" {
  mkdir -m 0 closed
  XDG_DATA_HOME=$PWD/closed refuses "images are kept in $PWD/closed/moss, which is closed to you" run --rm --network none alpine true
  assert_has XDG_DATA_HOME
  chmod 700 closed
}

@test "a home that became read-only is told, whatever file was the first" {
  cat >fixed <<'END'
mount --bind "$XDG_DATA_HOME" "$XDG_DATA_HOME" && mount -o remount,bind,ro "$XDG_DATA_HOME" || exit
"$MOSS" run --rm --network none alpine true
echo "status $?"
END
  MOSS=$MOSS run unshare --user --map-root-user --mount bash fixed
  assert_has "XDG_DATA_HOME: Read-only file system"
  assert_has "status 125"
  ((${#lines[@]} == 2)) || fail "$output"
}

@test "a runtime folder that is closed is told with the variable that names another" {
  mkdir -m 500 closed
  XDG_RUNTIME_DIR=$PWD/closed refuses "containers are kept in $PWD/closed/moss, which cannot be written to" run --rm --network none alpine true
  assert_has XDG_RUNTIME_DIR
}

@test "no XDG_RUNTIME_DIR is no hindrance" {
  run env -u XDG_RUNTIME_DIR "$MOSS" run --rm --network none alpine echo ok
  assert_success
  assert_output ok
}

@test "a runtime folder that is not there is told by its name" {
  XDG_RUNTIME_DIR=$PWD/missing/run run moss run --rm --network none alpine true
  ((status == 0)) || { assert_status 125 && assert_has "$PWD/missing"; }
}

@test "a user of the image's that is not there is refused" {
  refuses no-such-user run --rm --network none -u no-such-user alpine true
  assert_nothing_left
}

@test "a mount that is none is refused" {
  refuses /no/such/folder run --rm --network none -v /no/such/folder:/x alpine true
  refuses --mount run --rm --network none --mount type=nonsense,dst=/x alpine true
  assert_nothing_left
}

@test "a missing image is refused with what to do" {
  refuses no-such-image run --rm --network none --pull never no-such-image true
  assert_nothing_left
}

@test "a name that is no image's is refused" {
  local name
  for name in "" UPPER/case "a b" ../x "x:" "x@sha256:12" $'x\ny'; do
    run moss run --rm --network none --pull never "$name" true
    assert_status 125
    ((${#lines[@]} == 1)) || fail "image '$name':" "$output"
  done
  assert_nothing_left
}

@test "control bytes in words are printed escaped" {
  run moss run --rm --network none --pull never $'x\e[31m' true
  assert_status 125
  refute_has $'\e'
}

@test "numbers that are none are refused" {
  local option
  for option in --shm-size=x --shm-size=-1 --umask=999 --preserve-fds=x --preserve-fds=-1 --stop-signal=NOSUCH --pids=1 \
    --ulimit=nofile=x --pull=nonsense --userns=nonsense --env-file=/no/such/file --sysctl=x; do
    run moss run --rm --network none "$option" alpine true
    assert_status 125
    ((${#lines[@]} == 1)) || fail "$option:" "$output"
  done
  assert_nothing_left
}

@test "a container that is not there is told in the same words by every command" {
  local verb
  for verb in "exec nope true" "logs nope" "wait nope" "stop nope" "kill nope"; do
    # shellcheck disable=SC2086 # words
    run moss $verb
    assert_status 125
    assert_output 'Error: no container with name or id "nope"; see: moss ps -a'
  done
  run moss rm nope
  assert_status 1 # Podman's
  assert_output 'Error: no container with name or id "nope"; see: moss ps -a'
  run moss rm --ignore nope
  assert_success
  assert_output ""
}

@test "an option without its value, or with one of another kind, is told by its name" {
  refuses "option --network needs a value; see: moss run --help" run --network
  refuses "option --time needs a value; see: moss stop --help" stop -t
  refuses "option --tail: expected a number, found abc" logs --tail abc x
  refuses "option --rm: expected true or false, found foo" run --rm=foo alpine
  refuses "option --tls-verify: expected true or false, found x" pull --tls-verify=x alpine
}

@test "words too many and options of nobody are told" {
  refuses "unknown option --frob; see: moss ps --help" ps --frob
  refuses "one word too many: x; see: moss ps --help" ps x
  refuses "which image? see: moss run --help" run
  refuses "in which container? see: moss exec --help" exec
}

@test "a registry that does not answer is told with what else can be done" {
  run moss pull --quiet --retry 0 localhost:1/nothing
  assert_status 125
  ((${#lines[@]} == 1)) || fail "$output"
  assert_has "localhost:1/nothing"
  assert_has "moss load -i FILE"
}

@test "a kernel parameter that is not there is told" {
  refuses "net/ipv4/nonsense for later (this kernel has no such parameter)" run --rm --network none --sysctl net.ipv4.nonsense=1 alpine true
  assert_nothing_left
}

@test "a file that cannot be written is told by the name it was asked for" {
  refuses "--pidfile: write $PWD/missing/pid: No such file" run --rm --network none --pidfile "$PWD/missing/pid" alpine true
  refuses "--cidfile: open $PWD/missing/id: No such file" run --rm --network none --cidfile "$PWD/missing/id" alpine true
  assert_nothing_left
}

@test "-it without a terminal is told, and runs" {
  run moss run --rm --network none -it alpine echo ok </dev/null
  assert_success
  assert_has "the input is no terminal"
  assert_has ok
}

@test "without subordinate ids other users' ids are refused with where to get some" {
  run unshare --user --map-root-user "$MOSS" run --rm --network none -u 1000 alpine true
  assert_status 125
  assert_has "/etc/subuid"
  assert_nothing_left
}

@test "without subordinate ids keep-id keeps the one there is" {
  cat >single <<'END'
: >none && mount --bind none /etc/subuid && mount --bind none /etc/subgid || exit
exec unshare --user --map-user=1000 --map-group=1000 "$MOSS" run --rm --network none --userns keep-id alpine sh -c 'id -u; stat -c %u /bin'
END
  MOSS=$MOSS run unshare --user --map-root-user --mount bash single
  assert_success
  assert_has "no subordinate ids"
  [[ ${lines[*]: -2} == "1000 1000" ]] || fail "$output"
  rm -r "$XDG_RUNTIME_DIR/moss/told" # what is told once in a session
}
