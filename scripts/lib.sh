# shellcheck shell=bash
# Shared by the scripts beside it, which source it first.
set -euo pipefail
umask 022
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '%s\n' "$*"; }
die() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

# The opening comment of a script is its help.
help_if_asked() {
  [[ ${1-} == --help || ${1-} == -h ]] || return 0
  sed -n '2,/^\([^#]\|$\)/s/^# \{0,1\}//p' "$0"
  exit 0
}

is_root() { ((EUID == 0)); }

as_root() {
  if is_root; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "this needs root: run it as root or install sudo ($*)"
  fi
}

# Runs a command as an ordinary user, with nothing of our own environment: as_user NAME VAR=VALUE... COMMAND...
as_user() {
  local user=$1 home
  shift
  home=$(getent passwd "$user" | cut -d: -f6)
  local clean=(env -i "USER=$user" "LOGNAME=$user" "HOME=$home" "LANG=C.UTF-8" "PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin")
  if is_root; then
    setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups "${clean[@]}" "$@"
  else
    "${clean[@]}" "$@"
  fi
}

# Makes an unprivileged user with 65536 subordinate ids of its own, unless it is there already.
make_user() {
  local user=$1 file flag first
  getent passwd "$user" >/dev/null || useradd --system --user-group --create-home --home-dir "/var/lib/$user" --shell /bin/sh "$user"
  for file in subuid subgid; do
    touch "/etc/$file"
    grep -q "^$user:" "/etc/$file" && continue
    flag=--add-${file}s
    # The first id above every range that is handed out, and above any likely real user.
    first=$(awk -F: 'BEGIN { next_id = 524288 } $2 + $3 > next_id { next_id = $2 + $3 } END { print next_id }' /etc/subuid /etc/subgid)
    usermod "$flag" "$first-$((first + 65535))" "$user"
  done
}

# The ordinary user for the work at hand: the caller, or for root the one named here.
choose_user() {
  if is_root; then
    make_user "$1"
    say "running as root: rootless work is done by the unprivileged user $1" >&2
    printf '%s\n' "$1"
  else
    id -un
  fi
}

# Prints why an ordinary user cannot make a container here, and the fix; nothing when it can.
# Asks the kernel and util-linux only, so that it can be the first thing a script does.
why_userns_closed() {
  local try=(unshare --user --map-root-user --mount --pid --fork --mount-proc true)
  is_root && try=(setpriv --reuid=65534 --regid=65534 --clear-groups "${try[@]}")
  local error
  error=$("${try[@]}" 2>&1) && return 0
  local fix="if this is a container, give it --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined"
  [[ $(sysctl_value user/max_user_namespaces) == 0 ]] && fix="sudo sysctl user.max_user_namespaces=15000"
  [[ $(sysctl_value kernel/unprivileged_userns_clone) == 0 ]] && fix="sudo sysctl kernel.unprivileged_userns_clone=1"
  [[ $(sysctl_value kernel/apparmor_restrict_unprivileged_userns) == 1 ]] && fix="sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
  say "user namespaces are closed to ordinary users here (${error//$'\n'/; }); to open them: $fix"
}
sysctl_value() { cat "/proc/sys/$1" 2>/dev/null || true; }

# Removes a folder that may hold files of subordinate ids.
remove_tree() {
  rm -rf "$1" 2>/dev/null && return
  unshare --user --map-root-user --map-auto rm -rf "$1"
}

# A rootfs tarball to make images from: the caller's, the shared one, or one assembled from busybox in folder $1.
rootfs_tarball() {
  local found
  if [[ -n ${MOSS_ALPINE_TARBALL-} ]]; then
    [[ -r $MOSS_ALPINE_TARBALL ]] || die "MOSS_ALPINE_TARBALL=$MOSS_ALPINE_TARBALL cannot be read"
    printf '%s\n' "$MOSS_ALPINE_TARBALL"
    return
  fi
  for found in "$top"/../shared/images/alpine-minirootfs-*-"$(uname -m)".tar.gz; do
    [[ -r $found ]] && printf '%s\n' "$found" && return
  done
  "$top/scripts/busybox-rootfs" "$1/busybox.tar.gz"
  printf '%s\n' "$1/busybox.tar.gz"
}
