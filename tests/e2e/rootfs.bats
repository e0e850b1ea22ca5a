# `moss run --rootfs`: a folder as the root, and that its symlinks lead nowhere outside.

load helpers

@test "--rootfs runs a folder and keeps what is written there" {
  make_rootfs root
  run moss run --rm --network none --rootfs "$PWD/root" sh -c 'echo kept >/file'
  assert_success
  [[ $(cat root/file) == kept ]]
}

@test "--rootfs with :O leaves the folder as it is" {
  make_rootfs root
  local before
  before=$(picture_of root)
  run moss run --rm --network none --rootfs "$PWD/root:O" sh -c 'echo lost >/file; cat /file'
  assert_success
  assert_output lost
  [[ $(picture_of root) == "$before" ]]
}

@test "symlinks in a rootfs never lead the mounts out" { # CVE-2026-41579, CVE-2019-19921, CVE-2023-27561
  make_victim victim
  local before folder
  before=$(picture_of victim)
  for folder in dev proc sys etc tmp run; do
    make_rootfs "root-$folder"
    rm -rf "root-$folder/$folder"
    ln -s "$PWD/victim" "root-$folder/$folder"
    run timeout 60 "$MOSS" run --rm --network none --tmpfs /tmp --rootfs "$PWD/root-$folder" true
    ((status != 124))
    [[ $(picture_of victim) == "$before" ]] || fail "changed through /$folder"
  done
}

@test "symlinks in place of the container's own files never lead out" { # CVE-2025-24965
  make_victim victim
  make_rootfs root
  local before file
  rm -f root/etc/{hosts,hostname,resolv.conf,mtab}
  for file in hosts hostname resolv.conf mtab; do
    ln -s "$PWD/victim/file" "root/etc/$file"
  done
  before=$(picture_of victim)
  run moss run --rm --network none --rootfs "$PWD/root" true
  [[ $(picture_of victim) == "$before" ]]
}

@test "moss's own binary cannot be the workload" { # CVE-2019-5736
  local before
  before=$(sha256_of "$MOSS")
  run -127 in_alpine -- /proc/self/exe --version
  refute_has "moss version"
  run in_alpine -- sh -c 'exec 3</proc/1/exe; (echo spoiled >/proc/self/fd/3) 2>/dev/null; readlink /proc/1/exe'
  refute_has moss
  [[ $(sha256_of "$MOSS") == "$before" ]]
}
