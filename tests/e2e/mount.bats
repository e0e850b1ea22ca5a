# moss mount: inside moss unshare, as an ordinary user may.

load helpers

@test "outside of the user namespace the way in is told" {
  moss run --name c --network none alpine true
  refuses 'run "moss unshare", and moss mount there' mount c
  refuses 'run "moss unshare", and moss image mount there' image mount alpine
  refuses 'run "moss unshare", and moss unmount there' unmount c
}

@test "a container's files are read and written where it is mounted" {
  moss run --name c --network none alpine sh -c 'echo inside >/tmp/seen; chown 12 /tmp/seen'
  run moss unshare sh -euc '
    place=$("$0" mount c)
    cat "$place/tmp/seen"; stat -c %u "$place/tmp/seen"; echo outside >"$place/tmp/written"
    test "$("$0" mount c)" = "$place"
    "$0" mount | cut -d" " -f2 | grep -qx "$place"
    "$0" mount --format json | grep -q "\"mountpoint\": \"$place\""
    "$0" unmount c
    test ! -e "$place"
    ! "$0" umount c 2>/dev/null' "$MOSS"
  assert_success
  assert_output "inside
12
$(moss inspect --format '{{.Id}}' c)"
  run moss diff c
  assert_has "A /tmp/written"
  run moss export c
  assert_has outside
}

@test "an image's files are mounted read-only" {
  run moss unshare sh -euc '
    place=$("$0" image mount alpine)
    test -s "$place/etc/passwd"
    ! touch "$place/x" 2>/dev/null
    "$0" image mount --no-trunc | grep -q "$place"
    "$0" image unmount --all' "$MOSS"
  assert_success
  assert_output "$(moss images --quiet --no-trunc | cut -d: -f2)"
}

@test "what was mounted ends with the namespace" {
  moss run --name c --network none alpine true
  moss unshare sh -c '"$0" mount c >/dev/null' "$MOSS"
  run find "$XDG_RUNTIME_DIR/moss/mounts" -mindepth 1
  assert_output ""
  moss rm c
}

@test "what runs is not mounted a second time" {
  moss run -d --name r --network none alpine sleep 100 >/dev/null
  run -125 moss unshare "$MOSS" mount r
  assert_has "container r runs"
}
