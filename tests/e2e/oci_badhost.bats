#!/usr/bin/env bats
# The OCI runtime on a disk that is full, and the places its log can go to.

load oci_helpers

# Runs every verb that makes a container on tiny filesystems, $1...: what mount(8) is told of each.
sweep() {
  # Whoever mounts them is root of a namespace of his own, and the only one there.
  EDIT='.linux.uidMappings[0].hostID = 0 | .linux.gidMappings[0].hostID = 0' bundle b true
  cat >sweep <<'END'
mkdir small
for size; do
  mount -t tmpfs -o "$size,mode=700" none small || exit
  for verb in "run" "run -d" "create"; do
    for how in "--root $PWD/small/state" ""; do
      XDG_RUNTIME_DIR=$PWD/small "$MOSS" oci $how $verb -b b c </dev/null >/dev/null 2>said
      status=$?
      if ((status == 0)); then
        echo good >>results
        XDG_RUNTIME_DIR=$PWD/small "$MOSS" oci $how delete --force c || echo "size $size, $verb $how: delete failed"
      else
        echo bad >>results
        ((status == 1)) || echo "size $size, $verb $how: status $status"
        (($(wc -l <said) == 1)) || echo "size $size, $verb $how: $(cat said)"
        grep -q "o space left on device" said || echo "size $size, $verb $how: $(cat said)"
      fi
      left=$(find small -mindepth 1 ! -type d; find small -mindepth 2 -type d ! -name .seccomp)
      [[ -z $left ]] || echo "size $size, $verb $how left: $left"
    done
  done
  umount small
done
END
  MOSS=$MOSS run unshare --user --map-root-user --mount bash sweep "$@"
  [[ -z $output && $status == 0 ]] || fail "$output"
  # Some were too small, some large enough: it was this that was tried.
  grep -q good results
  grep -q bad results
}

@test "a full disk is told in one line, and nothing half-made is left" {
  sweep size={4,8,12,16,20,24,32,64}k
}

@test "without inodes too" {
  sweep size=64k,nr_inodes={1,2,3,4,5,6,7,8,9,12}
}

@test "an error goes to a file, in either form" {
  run oci --log plain start c
  assert_status 1
  grep -q 'level=error msg="container \\"c\\" does not exist"' plain
  run oci --log file:json --log-format json start c
  jq -e '.level == "error" and (.msg | contains("does not exist")) and (.time | fromdateiso8601? // true)' json
  [[ $(wc -l <json) == 1 ]]
}

# What listens there is a daemon's, so one of ours is put in its place, where only this test sees it.
@test "an error goes to the journal and to syslog" {
  cat >listener.py <<'PYTHON'
import os, socket, sys
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind(sys.argv[1])
open("ready", "w").close()
server.settimeout(10)
data = server.recv(65536)
with open("part", "wb") as file: file.write(data)
os.rename("part", "datagram")
PYTHON
  failure_goes_to journald:moss-test /run /run/systemd/journal/socket
  grep -qx 'MESSAGE=container "c" does not exist' datagram
  grep -qx PRIORITY=3 datagram
  grep -qx SYSLOG_IDENTIFIER=moss-test datagram
  failure_goes_to syslog:moss-test /dev /dev/log
  grep -q '^<27>moss-test: container "c" does not exist' datagram
}

# A failure with --log $1, while $2 is an empty folder in which somebody listens at $3.
failure_goes_to() {
  rm -f ready datagram
  cat >inside <<'END'
mount -t tmpfs none "$2" && mkdir -p "$(dirname "$3")"
python3 listener.py "$3" &
until [[ -e ready ]]; do sleep 0.05; done
"$MOSS" oci --root "$PWD/state" --log "$1" start c
wait
END
  MOSS=$MOSS run unshare --user --map-root-user --mount bash inside "$@"
  assert_has 'container "c" does not exist'
}

@test "a log that cannot be written hides nothing" {
  for log in /no/such/folder/log journald:x syslog:x; do
    run oci --log "$log" start c
    assert_status 1
    assert_output 'moss oci: container "c" does not exist'
  done
}
