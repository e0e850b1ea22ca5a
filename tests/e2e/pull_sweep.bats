# speed: slow
# A pull that is killed at any moment, or whose disk fails: the image is absent or whole, nothing else is damaged, and the
# next command takes away what is left.

load helpers
load registry
load sweep
check_store=full

setup_file() {
  need_registry
  use_home "$BATS_FILE_TMPDIR/template"
  cd "$BATS_FILE_TMPDIR" || return
  make_small_images
  moss load -q -i other
  wait_for 60 is_synced
  start_registry
  echo "$registry" >served
  sk copy -q --dest-compress --dest-tls-verify=false oci:pair:localhost/one:latest "docker://$registry/small:1"
  mkdir big.root
  head -c 3000000 /dev/urandom >big.root/noise
  mkfifo big.root/fifo
  ln big.root/noise big.root/again
  ln -s noise big.root/link
  tar -C big.root --owner=5 --group=6 -cf big.tar .
  make_layout big '{"Cmd":["big"]}' base.tar big.tar
  sk copy -q --dest-compress --dest-tls-verify=false oci:big:test "docker://$registry/big:1"
}

teardown_file() {
  stop_servers
  as_owner rm -rf "$BATS_FILE_TMPDIR/template"
}

setup() {
  use_home "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR" || return
  registry=$(<"$BATS_FILE_TMPDIR/served")
}

@test "a pull, killed anywhere, leaves its image whole or absent" {
  least=1 kill_everywhere pull -q "$registry/small:1"
}

@test "a pull of a large layer, killed anywhere, leaves its image whole or absent" {
  least=1 kill_everywhere pull -q "$registry/big:1"
}

@test "whichever call of a pull a disk fails, it is told and nothing is left" {
  fail_everywhere pull -q "$registry/small:1"
}
