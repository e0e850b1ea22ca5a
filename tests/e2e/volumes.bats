# What `-v`, `--mount` and `--tmpfs` promise.

load helpers

@test "a volume shows the host's folder and writes to it" {
  mkdir shared
  echo from-host >shared/in
  run in_alpine -v "$PWD/shared:/data" -- sh -c 'cat /data/in; echo from-inside >/data/out'
  assert_success
  assert_output from-host
  [[ $(cat shared/out) == from-inside ]]
  [[ $(stat -c %u shared/out) == "$EUID" ]]
}

@test "ro closes the mounts below a folder too" {
  mkdir -p shared/below
  cat >nested <<'END'
mount -t tmpfs none shared/below && echo kept >shared/below/file
"$MOSS" run --rm --network none -v "$PWD/shared:/data:ro" alpine sh -c 'cat /data/below/file; touch /data/x; touch /data/below/x'
END
  run unshare --user --map-root-user --map-auto --mount bash nested
  ((status != 0))
  assert_has kept
  [[ $(grep -c "Read-only file system" <<<"$output") == 2 ]]
  [[ ! -e shared/x ]]
}

@test ":O keeps what the container writes to itself" {
  mkdir shared
  echo before >shared/file
  run in_alpine -v "$PWD/shared:/data:O" -- sh -c 'echo after >/data/file; cat /data/file'
  assert_success
  assert_output after
  [[ $(cat shared/file) == before ]]
}

@test "a single file can be mounted" {
  echo content >file
  run in_alpine -v "$PWD/file:/etc/some.conf:ro" -- sh -c 'cat /etc/some.conf; echo x >/etc/some.conf'
  ((status != 0))
  assert_has content
  assert_has "Read-only file system"
}

@test "a source that is missing is refused by its name" {
  refuses "$PWD/missing" run --rm --network none -v "$PWD/missing:/data" alpine true
  [[ ! -e missing ]]
  refuses "$PWD/missing" run --rm --network none --mount "type=bind,src=$PWD/missing,dst=/data" alpine true
}

@test "nothing is mounted over /proc or the root" { # CVE-2019-16884
  mkdir shared
  local destination
  for destination in /proc /proc/self /proc/sys / /./ /x/../proc; do
    run in_alpine -v "$PWD/shared:$destination" -- true
    assert_status 125
    ((${#lines[@]} == 1)) || fail "$destination:" "$output"
  done
}

@test "a volume the image asks for never reaches the host" { # CVE-2019-16884, CVE-2022-23648
  make_victim victim
  local before volume
  before=$(picture_of victim)
  for volume in /proc "/../../..$PWD/victim" /x/../../etc; do
    make_image asking "{\"Volumes\":{\"$volume\":{}}}"
    run moss run --rm --network none asking sh -c "grep -q ' /proc proc ' /proc/mounts && ls $PWD/victim"
    ((status != 0)) || fail "$volume is the host's:" "$output"
    [[ $(picture_of victim) == "$before" ]]
  done
}

@test "destinations through symlinks stay inside" { # CVE-2019-18837, CVE-2021-30465
  make_victim victim
  mkdir shared
  local before
  before=$(picture_of victim)
  make_rootfs root
  ln -s "$PWD/victim" root/link
  run moss run --rm --network none -v "$PWD/shared:/link/new" --tmpfs /link/tmp --rootfs "$PWD/root" true
  [[ $(picture_of victim) == "$before" ]]
}

@test "options of -v are known or refused" {
  mkdir shared
  refuses nonsense run --rm --network none -v "$PWD/shared:/data:nonsense" alpine true
  refuses relative run --rm --network none -v "$PWD/shared:relative" alpine true
  run in_alpine -v "$PWD/shared:/data:ro,noexec,nosuid,nodev,rprivate" -- grep " /data " /proc/mounts
  assert_success
  local flag
  for flag in ro noexec nosuid nodev; do assert_has "$flag"; done
}

@test "--mount takes bind and tmpfs with all names of its words" {
  mkdir shared
  run in_alpine --mount "type=bind,source=$PWD/shared,target=/a,readonly" --mount "type=bind,src=$PWD/shared,dst=/b" -- \
    sh -c 'touch /b/x; touch /a/y'
  assert_status 1
  [[ -e shared/x && ! -e shared/y ]]
  run in_alpine --mount type=tmpfs,destination=/t,tmpfs-size=1m,tmpfs-mode=700 -- sh -c 'stat -c %a /t; df -k /t | tail -1'
  assert_success
  assert_has 700
  assert_has " 1024 "
}

@test "--mount refuses what it does not know" { # CVE-2024-9407
  mkdir shared
  local words
  for words in type=bind "type=nonsense,dst=/a" "type=bind,src=$PWD/shared" "type=bind,src=$PWD/shared,dst=/a,nonsense" \
    "type=bind,src=$PWD/shared,dst=/a,bind-propagation=rprivate:nonsense" "type=tmpfs,dst=/a,tmpfs-size=x" ""; do
    run in_alpine --mount "$words" -- true
    assert_status 125
    ((${#lines[@]} == 1)) || fail "$words:" "$output"
  done
}

@test "two mounts at one place are refused" {
  mkdir one two
  refuses /data run --rm --network none -v "$PWD/one:/data" -v "$PWD/two:/data" alpine true
}

@test "--tmpfs keeps the image's content, and hides it with notmpcopyup" {
  run in_alpine --tmpfs /var -- stat -c %a /var/tmp
  assert_success
  assert_output 1777
  run in_alpine --tmpfs /var:notmpcopyup -- ls /var
  assert_success
  assert_output ""
}

@test "--tmpfs takes size, mode and ro" {
  run in_alpine --tmpfs /t:size=1m,mode=1777 -- sh -c 'stat -c %a /t; df -k /t | tail -1'
  assert_success
  assert_has 1777
  assert_has " 1024 "
  run in_alpine --tmpfs /t:ro -- touch /t/x
  assert_status 1
}

@test "what is mounted is gone from the host afterwards" {
  mkdir shared
  in_alpine -v "$PWD/shared:/data" --tmpfs /t -- true
  run grep -F "$PWD" /proc/self/mounts
  assert_status 1
}
