// Can owners live in a metadata layer, and contents in one folder of the user's own? What the kernel says, and what it
// costs. As an ordinary user with subordinate ids:
//
//   cc -O2 -o metadata_overlay metadata_overlay.c
//   unshare --user --map-root-user --map-auto --mount ./metadata_overlay FOLDER [FILES [LENGTH]]
//
// FOLDER is empty, on the file system of the store. LENGTH is that of a name below data/: 65 of a digest in
// hexadecimal; up to 24 fit into an inode of ext4. Prints one line for each question; exits with 1 where overlayfs does
// not give a file of the metadata layer the contents it names.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static void must(int result, const char* what) {
  if (result >= 0) return;
  fprintf(stderr, "%s: %s\n", what, strerror(errno));
  exit(2);
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

// One file of the metadata layer: no contents, but an owner, a size, and where the contents are.
static void make_metadata(int dir, const char* name, const char* contents, off_t size, uid_t owner) {
  const int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
  must(fd, name);
  must(ftruncate(fd, size), "ftruncate");
  must(fsetxattr(fd, "user.overlay.metacopy", "", 0, 0), "set user.overlay.metacopy");
  must(fsetxattr(fd, "user.overlay.redirect", contents, strlen(contents), 0), "set user.overlay.redirect");
  if (owner != 0) must(fchown(fd, owner, owner), "fchown");
  close(fd);
}

// Mounts, and looks at f: 0 where it has its contents and its owner.
static int try_mount(const char* what, const char* options) {
  if (mount("overlay", "merged", "overlay", 0, options) != 0) {
    printf("%s: refused: %s\n", what, strerror(errno));
    return 1;
  }
  char text[8] = "";
  struct stat status;
  const int fd = open("merged/f", O_RDONLY);
  int bad = fd < 0 || read(fd, text, sizeof text) != 5 || memcmp(text, "hello", 5) != 0 || fstat(fd, &status) != 0;
  if (bad) {
    printf("%s: mounted, but reading f: %s\n", what, fd < 0 ? strerror(errno) : "other contents");
  } else {
    printf("%s: f has its contents, owner %u\n", what, status.st_uid);
  }
  if (fd >= 0) close(fd);
  must(umount("merged"), "umount");
  return bad;
}

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const int files = argc > 2 ? atoi(argv[2]) : 27000;
  const int length = argc > 3 ? atoi(argv[3]) : 65;
  must(chdir(argv[1]), argv[1]);
  const char* folders[] = {"data", "disk", "memory", "merged", "many", "manydisk", "plain"};
  for (size_t i = 0; i < sizeof folders / sizeof *folders; ++i) must(mkdir(folders[i], 0755), folders[i]);
  int fd = open("data/0123", O_WRONLY | O_CREAT, 0644);
  must(fd, "data/0123");
  must(write(fd, "hello", 5), "write");
  close(fd);
  must(mount("none", "memory", "tmpfs", 0, NULL), "mount a tmpfs");
  must(mount("none", "many", "tmpfs", 0, "nr_inodes=0"), "mount a tmpfs");
  const int memory = open("memory", O_RDONLY | O_DIRECTORY), disk = open("disk", O_RDONLY | O_DIRECTORY);
  make_metadata(memory, "f", "/0123", 5, 33);
  make_metadata(disk, "f", "/0123", 5, 33);
  int bad = try_mount("metadata on a tmpfs, data-only lower (::)", "userxattr,lowerdir=memory::data");
  bad |= try_mount("metadata on the disk, data-only lower (::)", "userxattr,lowerdir=disk::data");
  (void)try_mount("an ordinary lower folder (:)", "userxattr,lowerdir=memory:data");
  (void)try_mount("metacopy=on", "userxattr,metacopy=on,lowerdir=memory::data");
  (void)try_mount("redirect_dir=on", "userxattr,redirect_dir=on,lowerdir=memory::data");
  if (chown("memory/f", 200000000, 200000000) != 0) printf("an owner that is not mapped: %s\n", strerror(errno));
  // The price: a metadata layer of as many files as a usual large one has, 100 to a folder.
  const char* const kinds[] = {"many", "manydisk", "plain"};
  for (int kind = 0; kind < 3; ++kind) {
    const double start = now_ms();
    const int root = open(kinds[kind], O_RDONLY | O_DIRECTORY);
    int dir = -1;
    for (int i = 0; i < files; ++i) {
      char name[32], contents[72];
      if (i % 100 == 0) {
        if (dir >= 0) close(dir);
        snprintf(name, sizeof name, "d%d", i);
        must(mkdirat(root, name, 0755), name);
        dir = openat(root, name, O_RDONLY | O_DIRECTORY);
      }
      snprintf(name, sizeof name, "f%d", i);
      snprintf(contents, sizeof contents, "/%0*d", length - 1, i);
      if (kind < 2) {
        make_metadata(dir, name, contents, 1000, 0);
      } else {
        fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0644);
        must(write(fd, contents, strlen(contents)), "write");
        close(fd);
      }
    }
    if (dir >= 0) close(dir);
    close(root);
    printf("%d %s: %.0f ms\n", files,
           kind == 0   ? "metadata files on a tmpfs"
           : kind == 1 ? "metadata files on the disk"
                       : "plain files on the disk, for comparison",
           now_ms() - start);
  }
  return bad;
}
