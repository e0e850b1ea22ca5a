# The promise of scripts/demo, in every way an ordinary user can start a container: a mounted /etc/shadow stays closed.

load helpers

# The host's shadow file is not readable inside, however the container is made: shadow_is_closed OPTION...
shadow_is_closed() {
  run moss run --rm --network none "$@" -v /etc:/host-etc:ro alpine head -1 /host-etc/shadow
  assert_status 1
  assert_has "Permission denied"
}

@test "the demo's promises hold" {
  # A binary of its own: the demo looks for what still runs it, and other tests run the built one.
  # shellcheck disable=SC2154 # from helpers
  cp "$MOSS" moss
  MOSS=$PWD/moss run "$repo/scripts/demo" alpine
  assert_success
  refute_has BROKEN
}

@test "shadow is closed with subordinate ids" {
  shadow_is_closed
}

@test "shadow is closed with a single id" {
  shadow_is_closed --uidmap 0:0:1 --gidmap 0:0:1
}

@test "shadow is closed with keep-id" {
  shadow_is_closed --userns keep-id
}

@test "shadow is closed to a privileged container" {
  shadow_is_closed --privileged
}

@test "a mounted /etc can replace the container's own" {
  run moss run --rm --network none -v /etc:/etc:ro alpine head -1 /etc/shadow
  assert_status 1
  assert_has "Permission denied"
}

@test "nothing can be written below a mounted /etc" {
  run moss run --rm --network none -v /etc:/host-etc alpine touch /host-etc/moss-was-here
  assert_status 1
  [[ ! -e /etc/moss-was-here ]]
}

@test "world-readable files stay readable" {
  run moss run --rm --network none -v /etc:/host-etc:ro alpine cat /host-etc/passwd
  assert_success
  assert_output "$(cat /etc/passwd)"
}

@test "one's own closed files stay readable to root inside" {
  install -m 600 /dev/stdin mine <<<"my own"
  run moss run --rm --network none -v "$PWD/mine:/mine:ro" alpine cat /mine
  assert_success
  assert_output "my own"
}

@test "an access list that lets the user in lets root inside in" {
  install -m 600 /dev/stdin listed <<<"by list"
  as_owner chown 7:7 listed
  run moss run --rm --network none --uidmap 0:0:1 --gidmap 0:0:1 -v "$PWD/listed:/listed:ro" alpine cat /listed
  assert_status 1
  as_owner setfacl -m u:0:r listed
  run moss run --rm --network none --uidmap 0:0:1 --gidmap 0:0:1 -v "$PWD/listed:/listed:ro" alpine cat /listed
  assert_success
  assert_output "by list"
}
