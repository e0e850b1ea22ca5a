# needs: root
# A disk that is too small for a pull or a commit, by 64 KiB more each time, or has too few inodes: it is told in one line,
# nothing is damaged, and with more space it works, without a repair.
#
# The disk is a tmpfs in a mount namespace of the test's own, which only root can make so that its subordinate ids may write
# there. With MOSS_TEST_ALL=1 in steps of 64 KiB and 1 inode, else in a few.

load helpers
load registry

# In the namespace: "$@" with larger and larger disks, below $disk. Prints how often it failed.
# shellcheck disable=SC2016 # another shell's
grow='
  set -u
  what=$1 step=$2 first=$3
  shift 3
  die() { echo "$what $size: $*"; exit 1; }
  mount -t tmpfs -o "size=64m,nr_inodes=10000" none "$disk" || exit
  export XDG_DATA_HOME=$disk
  cp -a "$template/." "$disk" || exit
  failed=0
  used_kib=$(df -k --output=used "$disk" | tail -1) used_files=$(df --output=iused "$disk" | tail -1)
  size=$first
  while :; do
    if [ "$what" = size ]; then full="size=$((used_kib + size))k,nr_inodes=10000"; else full="size=64m,nr_inodes=$((used_files + size))"; fi
    mount -o "remount,$full" "$disk" || die remount
    if timeout 20 "$MOSS" "$@" >said 2>&1; then break; fi
    failed=$((failed + 1))
    [ "$(wc -l <said)" = 1 ] && grep -q "No space left on device" said || die "$(cat said)"
    [ "$("$MOSS" images -q | wc -l)" = "$images" ] || die "a half image: $("$MOSS" images)"
    "$MOSS" system check --quick >said 2>&1 || die "damage: $(cat said)"
    size=$((size + step))
    [ "$size" -lt 100000 ] || die "never enough"
  done
  mount -o remount,size=64m,nr_inodes=10000 "$disk"
  [ "$("$MOSS" images -q | wc -l)" = $((images + 1)) ] || die "no image at the end"
  # commit holds the store while it adds, so what an earlier one left goes with the next of another kind.
  tar -cf empty.tar -T /dev/null && "$MOSS" import -q empty.tar empty >said 2>&1 || die "the next command: $(cat said)"
  for _ in $(seq 100); do [ -e "$disk/moss/unsynced" ] || break; sleep 0.05; done
  "$MOSS" system check --max 0s >said 2>&1 && [ ! -s said ] || die "at the end: $(cat said)"
  echo "$failed"
'

# too_small STEP-KIB STEP-INODES LEAST ARG...: it fails LEAST times at least for want of bytes, and of inodes.
too_small() {
  local kib=$1 files=$2 least=$3
  shift 3
  export disk=$PWD/disk template=$XDG_DATA_HOME images MOSS
  images=$(moss images -q | wc -l)
  mkdir -p disk
  run unshare --mount --propagation private sh -c "$grow" sh size "$kib" 0 "$@"
  assert_success
  ((output >= least)) || fail "it failed $output times only"
  run unshare --mount --propagation private sh -c "$grow" sh files "$files" 0 "$@"
  assert_success
  ((output >= least)) || fail "it failed $output times only"
}

@test "a pull onto a disk that is too small" {
  local kib=448 files=7
  [[ -z ${MOSS_TEST_ALL-} ]] || kib=64 files=1
  start_registry
  mkdir root
  head -c 2000000 /dev/urandom >root/noise
  for i in {1..30}; do echo "$i" >"root/$i"; done
  tar -C root --owner=0 --group=0 -cf big.tar .
  make_layout big '{}' big.tar
  sk copy -q --dest-compress --dest-tls-verify=false oci:big:test "docker://$registry/big:1"
  too_small "$kib" "$files" 3 pull -q "$registry/big:1"
}

@test "a commit onto a disk that is too small" {
  local kib=448 files=7
  [[ -z ${MOSS_TEST_ALL-} ]] || kib=64 files=1
  moss run --name c --network none alpine sh -c 'mkdir /new; head -c 1500000 /dev/urandom >/new/noise; for i in $(seq 25); do echo $i >/new/$i; done'
  too_small "$kib" "$files" 3 commit -q c made
}
