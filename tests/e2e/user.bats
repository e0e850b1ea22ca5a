# Who the command is inside: user, groups and what a hostile image can do about it.

load helpers

@test "-u takes a name, a number and a group" {
  run in_alpine -u nobody -- sh -c 'echo $(id -u):$(id -g)'
  assert_output 65534:65534
  run in_alpine -u 1 -- sh -c 'echo $(id -u):$(id -g)'
  assert_output 1:1
  run in_alpine -u 4321 -- sh -c 'echo $(id -u):$(id -g):$HOME'
  assert_output 4321:0:/
  run in_alpine -u 1234:4321 -- sh -c 'echo $(id -u):$(id -g)'
  assert_output 1234:4321
  run in_alpine -u nobody:wheel -- sh -c 'echo $(id -u):$(id -g)'
  assert_output 65534:10
}

@test "a user that is neither a name nor a number is refused" { # CVE-2026-30892, CVE-2024-40635
  local user
  for user in 1: :1 +1 -1 0x1 "1 " " 1" 4294967296 4294967295 2147483648 18446744073709551616 no-such-user "a b" 0:evil; do
    run moss run --rm --network none "--user=$user" alpine id
    assert_status 125
    ((${#lines[@]} == 1)) || fail "user '$user':" "$output"
  done
  assert_no_containers
}

@test "a number is that number, whatever names /etc/passwd has" { # CVE-2016-3697
  mkdir -p layer/etc
  printf 'root:x:0:0:root:/root:/bin/sh\n1000:x:0:0:fake:/root:/bin/sh\n' >layer/etc/passwd
  tar -C layer -cf layer.tar --owner=0 --group=0 etc/passwd
  make_image numbers '{"User":"1000"}' layer.tar
  run moss run --rm --network none numbers id -u
  assert_success
  assert_output 1000
}

@test "the groups are those of the image, none of the caller's" { # CVE-2022-2989
  run in_alpine -- id -G
  assert_success
  assert_output "$(tar -xzOf "$(rootfs_tarball)" ./etc/group 2>/dev/null | awk -F: '("," $4 ",") ~ /,root,/ && $3 != 0 { print $3 }' | sort -n | sed '1i 0' | paste -sd' ')"
  run in_alpine -u 4321:4321 -- id -G
  assert_output 4321
  run in_alpine -u 4321:4321 --group-add wheel --group-add 777 -- id -G
  assert_output "4321 10 777"
}

@test "a user other than root holds no capability" { # CVE-2021-20188
  run in_alpine -u 1000 -- sh -c 'grep -E "Cap(Inh|Prm|Eff|Amb)" /proc/self/status | cut -f2 | sort -u'
  assert_success
  assert_output 0000000000000000
}

@test "a passwd file that is a fifo or a device hangs nothing" { # CVE-2024-9676
  make_rootfs root
  rm root/etc/passwd
  mkfifo root/etc/passwd
  run timeout 60 "$MOSS" run --rm --network none --rootfs "$PWD/root" true
  ((status != 124))
  rm root/etc/passwd
  ln -s /dev/zero root/etc/passwd
  run timeout 60 "$MOSS" run --rm --network none --rootfs "$PWD/root" true
  ((status != 124))
}
