# needs: root
# The demo's promise in the cases that only root can bring about: started by root, by a user without subordinate ids,
# and by a member of the group that may read the shadow file.

load helpers

# The first group of a user, whose number it has where nobody knows the user.
group_of() { id -g "$1" 2>/dev/null || printf '%s\n' "$1"; }

# A copy of the binary and folders that another user may reach: as_other UID GROUPS moss-ARGUMENT...
as_other() {
  local uid=$1 groups=$2
  shift 2
  setpriv --reuid="$uid" --regid="$(group_of "$uid")" "$groups" env -i PATH="$PATH" HOME="$other/home" XDG_DATA_HOME="$other/data" \
    XDG_RUNTIME_DIR="$other/run" TMPDIR="$other/tmp" "$other/moss" "$@"
}

# An id nobody has, and so without subordinate ids.
stranger=54321

make_other() { # UID
  stranger=${1:-$stranger}
  other=$(mktemp -d /tmp/moss-other.XXXXXX)
  chmod 755 "$other"
  mkdir -m 700 "$other"/{home,data,run,tmp}
  cp "$MOSS" "$other/moss"
  cp "$(rootfs_tarball)" "$other/rootfs.tar.gz"
  chmod 644 "$other/rootfs.tar.gz"
  chown "$stranger:$(group_of "$stranger")" "$other"/{home,data,run,tmp}
  as_other "$stranger" --clear-groups import --quiet "$other/rootfs.tar.gz" alpine
}

teardown() {
  [[ -z ${other-} ]] || rm -rf "$other"
  e2e_teardown
}

@test "started by root, root inside is not root outside" {
  run moss run --rm --network none alpine cat /proc/self/uid_map
  assert_success
  read -r inside outside _ <<<"$output"
  ((inside == 0 && outside > 0)) || fail "root inside is uid $outside outside"
}

@test "root is root inside where --userns host asks for it" {
  run moss run --rm --network none --userns host alpine sh -c 'echo $(cat /proc/self/uid_map); stat -c %u /etc/passwd'
  assert_success
  assert_output "$(echo $(cat /proc/self/uid_map))"$'\n0'
}

@test "…and has a network there" {
  exec {tun}<>/dev/net/tun 2>/dev/null || skip "/dev/net/tun cannot be opened here"
  exec {tun}>&-
  run moss run --rm --userns host alpine ip -4 addr
  assert_success
  assert_has "inet 10.0.2."
}

@test "the helper of root's network leaves the host's mounts alone where they are shared" {
  exec {tun}<>/dev/net/tun 2>/dev/null || skip "/dev/net/tun cannot be opened here"
  exec {tun}>&-
  local map
  for map in host private; do
    run unshare --mount --propagation shared bash -c 'cat /proc/self/mountinfo >before
      "$0" run --rm --userns "$1" --network slirp4netns alpine true || exit
      diff before /proc/self/mountinfo' "$MOSS" "$map"
    assert_success
    assert_output ""
  done
}

@test "started by root, shadow is closed" {
  run moss run --rm --network none -v /etc:/host-etc:ro alpine head -1 /host-etc/shadow
  assert_status 1
  assert_has "Permission denied"
}

@test "started by root, shadow is closed to a privileged container" {
  run moss run --rm --network none --privileged -v /etc:/host-etc:ro alpine head -1 /host-etc/shadow
  assert_status 1
  assert_has "Permission denied"
}

@test "without subordinate ids, shadow is closed" {
  make_other
  run as_other "$stranger" --clear-groups run --rm --network none -v /etc:/host-etc:ro alpine head -1 /host-etc/shadow
  assert_status 1
  assert_has "Permission denied"
}

@test "a member of group shadow without subordinate ids is refused" {
  make_other
  run as_other "$stranger" --groups=shadow run --rm --network none -v /etc:/host-etc:ro alpine head -1 /host-etc/shadow
  assert_status 125
  assert_has shadow
  refute_has "root:"
}

@test "a member of group shadow without subordinate ids who allows it is warned, and reads it" {
  make_other
  run as_other "$stranger" --groups=shadow run --rm --network none --allow-groups -v /etc:/host-etc:ro alpine head -1 /host-etc/shadow
  assert_success
  assert_has "could not be dropped"
  assert_has shadow
  assert_has "$(head -n 1 /etc/shadow | cut -d: -f1):"
}

@test "a member of group shadow with subordinate ids is not one inside" {
  grep -q '^moss-test:' /etc/subuid || skip "no user moss-test with subordinate ids"
  make_other "$(id -u moss-test)"
  run as_other "$stranger" --groups=shadow run --rm --network none -v /etc:/host-etc:ro alpine head -1 /host-etc/shadow
  assert_status 1
  assert_has "Permission denied"
}
