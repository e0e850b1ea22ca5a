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
