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

@test "a running container's files are its own, on both sides" {
  mkdir volume
  moss run -d --name r --network none -v "$PWD/volume:/volume" alpine sh -c '
    until [ -e /tmp/go ]; do sleep 0.05; done
    cat /tmp/written; stat -c %u /tmp/written; echo inside >/tmp/answer; touch /tmp/done; exec sleep 100' >/dev/null
  run moss unshare sh -euc '
    place=$("$0" mount r)
    echo outside >"$place/tmp/written"; chown 33 "$place/tmp/written"; touch "$place/tmp/go"
    timeout 20 sh -c "until test -e \"\$0/tmp/done\"; do sleep 0.05; done" "$place"
    cat "$place/tmp/answer"
    # What is mounted in it is not its files.
    touch "$place/volume/x"
    test "$("$0" mount r)" = "$place"
    "$0" mount --no-trunc | grep -qxF "$("$0" inspect --format "{{.Id}}" r) $place"
    "$0" mount --format json | grep -qF "\"r\""
    "$0" unmount r >/dev/null
    test ! -e "$place"
    "$0" mount --all | grep -qxF "$place"' "$MOSS"
  assert_success
  assert_output inside
  [[ ! -e volume/x ]]
  run moss logs r
  assert_output "outside
33"
  run moss diff r
  assert_has "A /tmp/written"
  assert_has "A /tmp/answer"
}

@test "one with an init process, with other ids and a read-only one too" {
  moss run -d --name init --init --network none alpine sleep 100 >/dev/null
  moss run -d --name keep --userns keep-id --network none alpine sleep 100 >/dev/null
  moss run -d --name read --read-only --network none alpine sleep 100 >/dev/null
  run moss unshare sh -euc '
    for name in init keep read; do test -s "$("$0" mount $name)/etc/passwd"; done
    ! touch "$("$0" mount read)/x" 2>/dev/null
    "$0" mount | wc -l' "$MOSS"
  assert_success
  assert_output 3
}

@test "a container is stopped and removed while it is mounted" {
  moss run -d --name r --network none alpine sleep 100 >/dev/null
  moss run -d --rm --name gone --network none alpine sleep 100 >/dev/null
  moss run -d --rm --name outside --network none alpine sleep 100 >/dev/null
  mkfifo mounted removed
  "$MOSS" unshare sh -euc '
    exec 2>&1
    place=$("$0" mount r)
    "$0" stop --time 0 r 2>/dev/null
    test -s "$place/etc/passwd"
    "$0" rm r
    test ! -e "$place"
    place=$("$0" mount gone)
    "$0" rm --force --time 0 gone
    test ! -e "$place"
    id=$("$0" inspect --format "{{.Id}}" outside)
    place=$("$0" mount outside)
    echo >mounted; read -r _ <removed
    "$0" mount --no-trunc | grep -qxF "$id $place"
    "$0" unmount "$id" >/dev/null
    "$0" mount | wc -l' "$MOSS" >told 3>&- &
  local unshare=$!
  timeout 20 cat mounted >/dev/null
  # From outside nobody reaches a mount in there.
  moss rm --force --time 0 outside
  echo >removed
  wait "$unshare"
  run cat told
  assert_output "r
r
gone
0"
  run find "$XDG_RUNTIME_DIR/moss/mounts" -mindepth 1
  assert_output ""
}

@test "the folder of --rootfs is the mount, running or not" {
  mkdir root
  tar -C root --no-same-owner -xf "$(rootfs_tarball)"
  moss run -d --name r --network none --rootfs "$PWD/root" sleep 100 >/dev/null
  run moss unshare "$MOSS" mount r
  assert_success
  assert_output "$PWD/root"
}

@test "a container that covers its root shows nothing by that" {
  moss run -d --name r --privileged --network none alpine sh -c 'mount -t tmpfs none /; exec sleep 100' >/dev/null
  wait_for 5 grep -qs ' / / .* - tmpfs none ' "/proc/$(moss inspect --format '{{.State.Pid}}' r)/mountinfo"
  run -125 moss unshare "$MOSS" mount r
  assert_has "mount r: it has mounted something else over its root"
}

@test "who outlives moss unshare is told that nobody mounts for it" {
  moss run -d --name r --network none alpine sleep 100 >/dev/null
  mkfifo go
  moss unshare sh -c '(read -r _ <go; "$0" mount r >told 2>&1; : >done) &' "$MOSS"
  echo >go
  wait_for 5 test -e done
  run cat told
  assert_has 'the "moss unshare" around this has ended'
}

@test "nobody who asks in another way makes moss unshare wait or fail" {
  moss run -d --name r --network none alpine sleep 100 >/dev/null
  run moss unshare sh -euc '
    python3 - "$MOSS_MOUNTS" <<"END"
import array, os, socket, sys
os.chdir(sys.argv[1]) # no address may be long
def ask(data, fds):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.connect("running.sock")
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    s.sendmsg([data], control)
def answer(data):
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ask(data, [theirs.fileno()])
    theirs.close()
    mine.settimeout(20)
    return mine.recv(4096)
ask(b"", [])
ask(b"x" * 64, [])
ask(b"x" * 100, [0])
ask(b"x" * 64, [os.open("/dev/null", os.O_RDONLY)])
print(answer(b""), answer(b"r"), answer(b"x" * 65))
print(answer(b"../" * 21 + b"/"), answer(b"0" * 64))
END
    test -s "$("$0" mount r)/etc/passwd"' "$MOSS"
  assert_success
  assert_output "b'' b'' b''
b'2 no such container' b'2 no such container'"
}

@test "a container's files are looked at in there as outside" {
  moss run --name c --network none alpine sh -c 'echo x >/new; chown 12:34 /new' >/dev/null
  moss export -o outside.tar c
  run moss unshare sh -euc '"$0" export -o inside.tar c; "$0" diff c; "$0" diff c alpine' "$MOSS"
  assert_success
  assert_output "A /new
A /new"
  cmp outside.tar inside.tar
  # And one that was made in there.
  run moss unshare sh -euc '"$0" run --name d --network none alpine touch /newer; "$0" diff d; "$0" rm d' "$MOSS"
  assert_success
  assert_output "A /newer
d"
}

@test "exec in there says that it works outside" {
  moss run -d --name r --network none alpine sleep 100 >/dev/null
  run -125 moss unshare "$MOSS" exec r true
  assert_has 'exec in r: a process in "moss unshare" may not enter a container beside it; run moss exec outside'
  run -125 moss unshare "$MOSS" exec --user nobody r true
  assert_has 'run moss exec outside'
}

@test "the command's end is moss unshare's" {
  run -7 moss unshare sh -c 'exit 7'
  run -143 moss unshare sh -c 'kill -TERM $$'
  run -127 moss unshare /no/such/command
}
