#!/usr/bin/env bats
# --no-pivot: chroot(2) where the host's root is a ramdisk. What is below must stay out of reach.
# as: root user

load oci_helpers

# The oldest way out of a chroot: another one further down, with the working folder left above it.
escape_program() {
  cat >escape.c <<'C'
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char** argv) {
  mkdir("/cage", 0755);
  if (chroot("/cage") != 0) return perror("chroot"), 1;
  for (int i = 0; i < 64; ++i) if (chdir("..") != 0) return perror("chdir"), 1;
  if (chroot(".") != 0) return perror("chroot"), 1;
  return puts(access(argv[1], F_OK) == 0 ? "outside" : access("/cage", F_OK) == 0 ? "inside" : "nowhere"), 0;
}
C
  cc -static -w -o b/rootfs/escape escape.c
}

@test "the container's root is all there is, for exec too" {
  bundle b sh -c 'ls -d /cage '"$PWD"' /etc; readlink /proc/self/root; echo x >/proc/sys/kernel/core_pattern'
  run oci run --no-pivot -b b c
  assert_has $'/etc\n/'
  assert_has "cage: No such file"
  assert_has "$PWD: No such file"
  assert_has "core_pattern: Read-only file system"
  bundle b sleep 100
  oci run --no-pivot -b b -d c </dev/null >/dev/null 2>&1
  run oci exec c ls -d "$PWD" /etc
  assert_has /etc
  assert_has "$PWD: No such file"
  mkdir source && echo content >source/file
  echo "[{\"destination\": \"/data\", \"type\": \"bind\", \"source\": \"$PWD/source\", \"options\": [\"bind\"]}]" >mounts.json
  oci mounts add c mounts.json
  run oci exec c cat /data/file
  assert_output content
}

@test "who may chroot does not get out" {
  EDIT='.process.capabilities[] += ["CAP_SYS_CHROOT"]' bundle b /escape "$PWD"
  escape_program
  run oci run --no-pivot -b b c
  assert_success
  assert_output inside
}

@test "a user namespace made inside cannot mount a whole procfs or sysfs" {
  # Of the host's ones, which no mask covers, nothing is left.
  EDIT='.process.capabilities[] += ["CAP_SETFCAP"]' bundle b unshare -U -r -m -p -f -n sh -c 'mkdir -p /tmp/m; mount -t proc proc /tmp/m 2>&1; mount -t sysfs sysfs /tmp/m 2>&1; echo end'
  run oci run --no-pivot -b b c
  assert_has end
  [[ $(grep -c -i "permission denied\|not permitted" <<<"$output") == 2 ]] || fail "$output"
}

@test "with the right to unmount it is refused" {
  EDIT='.process.capabilities[] += ["CAP_SYS_ADMIN"]' bundle b true
  run oci run --no-pivot -b b c
  assert_status 1
  assert_has "--no-pivot: with CAP_SYS_ADMIN"
  run oci run -b b c
  assert_success
}

@test "root without a user namespace of the container's" {
  ((EUID == 0)) || return 0
  EDIT='del(.linux.uidMappings, .linux.gidMappings) | .linux.namespaces |= map(select(.type != "user"))
    | .process.capabilities[] += ["CAP_SYS_CHROOT"]' bundle b /escape "$PWD"
  escape_program
  run oci run --no-pivot -b b c
  assert_success
  assert_output inside
}
