#!/usr/bin/env bats
# Mounts that come to a running container and go again: `mounts add` and `mounts remove`, as crun has them.
# as: root user

load oci_helpers

running() {
  bundle b sleep 100
  oci run -b b -d c </dev/null >/dev/null 2>&1
}

# `mounts $1` with a file that holds $2.
mounts() {
  printf '%s' "$2" >mounts.json
  run oci mounts "$1" c mounts.json
}

@test "a folder of the host comes and goes" {
  running
  mkdir -p source/below && echo content >source/file
  mounts add "[{\"destination\": \"/data/new\", \"type\": \"bind\", \"source\": \"$PWD/source\", \"options\": [\"bind\", \"ro\"]}]"
  assert_success
  assert_output ""
  run oci exec c sh -c 'cat /data/new/file; touch /data/new/x 2>/dev/null || echo read-only'
  assert_output $'content\nread-only'
  grep -q " /data/new ro" "/proc/$(pid_of c)/mountinfo"
  mounts remove '[{"destination": "/data/new"}]'
  assert_success
  run oci exec c ls /data/new
  assert_output ""
  run ! grep -F " /data/new " "/proc/$(pid_of c)/mountinfo"
  [[ $(cat source/file) == content ]]
}

@test "new filesystems, files and what a config.json lists can be added" {
  running
  echo content >file
  chmod 600 file
  mounts add "{\"ociVersion\": \"1.0.0\", \"mounts\": [
    {\"destination\": \"/t\", \"type\": \"tmpfs\", \"source\": \"tmpfs\", \"options\": [\"size=64k\", \"nodev\", \"mode=750\"]},
    {\"destination\": \"/t/file\", \"type\": \"bind\", \"source\": \"$PWD/file\", \"options\": [\"bind\"]},
    {\"destination\": \"/p\", \"type\": \"proc\", \"source\": \"proc\"}]}"
  assert_success
  run oci exec c sh -c 'stat -c "%F %a %u" /t; cat /t/file; cat /p/1/comm'
  assert_output $'directory 750 0\ncontent\nsleep'
  mounts remove '[{"destination": "/p"}, {"destination": "/t/file"}, {"destination": "/t"}]'
  assert_success
  run awk '$5 ~ "^/[tp]($|/)"' "/proc/$(pid_of c)/mountinfo"
  assert_output ""
}

@test "a created container takes them too" {
  bundle b cat /data/file
  oci create -b b c </dev/null >output 2>&1
  mkdir source && echo content >source/file
  mounts add "[{\"destination\": \"/data\", \"type\": \"bind\", \"source\": \"$PWD/source\", \"options\": [\"rbind\"]}]"
  if ((EUID != 0)); then
    # Until its start the process is closed to everybody but root, its own user included.
    assert_status 1
    assert_has "permission denied"
    return
  fi
  assert_success
  oci start c
  wait_for 5 has_status c stopped
  [[ $(cat output) == content ]]
}

# Whatever the container made of its root: what is reached lies inside.
@test "links in the root lead nowhere else" {
  running
  mkdir victim source && echo precious >victim/file && echo new >source/file
  oci exec c ln -s "$PWD/victim" /away
  oci exec c ln -s ../../../../../../../../../../.. /up
  mounts add "[{\"destination\": \"/away/made\", \"type\": \"bind\", \"source\": \"$PWD/source\", \"options\": [\"bind\"]}]"
  [[ $(ls victim) == file && $(cat victim/file) == precious ]]
  mounts add "[{\"destination\": \"/up$PWD/victim\", \"type\": \"bind\", \"source\": \"$PWD/source\", \"options\": [\"bind\"]}]"
  assert_success
  run oci exec c cat /away/file # the link's target, made inside
  assert_output new
  [[ $(ls victim) == file && $(cat victim/file) == precious ]]
  mounts remove '[{"destination": "/away"}]'
  assert_success
  [[ $(ls victim) == file && $(cat victim/file) == precious ]]
}

@test "what cannot be done is an error, and nothing is attached where a source is missing" {
  running
  local before
  before=$(cat "/proc/$(pid_of c)/mountinfo")
  mounts add "[{\"destination\": \"/a\", \"type\": \"tmpfs\"}, {\"destination\": \"/b\", \"type\": \"bind\", \"source\": \"$PWD/none\", \"options\": [\"bind\"]}]"
  assert_status 1
  assert_has "copy the mount of $PWD/none: no such file or directory"
  ((${#lines[@]} == 1))
  mounts add '[{"destination": "/", "type": "tmpfs"}]'
  assert_status 1
  mounts add '[{"destination": "/../x", "type": "tmpfs"}]'
  assert_status 1
  mounts add '[{"destination": "/x", "type": "no-such-type"}]'
  assert_status 1
  mounts add '[{"destination": 5}]'
  assert_status 1
  assert_has "mounts: [0].destination"
  mounts remove '[{"destination": "/etc"}]'
  assert_status 1
  assert_has "nothing is mounted there"
  mounts remove '[{"destination": "/no/such/path"}]'
  assert_status 1
  mounts twice '[]'
  assert_status 1
  [[ $(cat "/proc/$(pid_of c)/mountinfo") == "$before" ]]
  oci kill c KILL
  wait_for 5 has_status c stopped
  mounts add '[{"destination": "/x", "type": "tmpfs"}]'
  assert_status 1
  assert_has "container not running"
}
