// Making mounts without attaching them: system calls and the stack.
#include "runtime/launch/mounting.hh"

#include <fcntl.h>
#include <string.h>

#include "runtime/launch/raw.hh"

namespace moss::runtime {

namespace {

// "/proc/self/fd/N"
void write_fd_path(char* path, int fd) {
  ::memcpy(path, "/proc/self/fd/", 14);
  path[14 + write_number(path + 14, static_cast<unsigned>(fd))] = '\0';
}

int set_option(int context, const char* option, const int** held) {
  const char* equals = ::strchr(option, '=');
  if (equals == nullptr) return ::fsconfig(context, FSCONFIG_SET_FLAG, option, nullptr, 0);
  char key[64];
  const auto length = static_cast<size_t>(equals - option);
  if (length >= sizeof key) {
    errno = EINVAL;
    return -1;
  }
  ::memcpy(key, option, length);
  key[length] = '\0';
  const char* value = equals + 1;
  char fd_path[32];
  if (*held != nullptr && value[0] == '/') {
    write_fd_path(fd_path, *(*held)++);
    value = fd_path;
  }
  return ::fsconfig(context, FSCONFIG_SET_STRING, key, value, 0);
}

int set_options(int context, Strings options, const int* held) {
  for (const char* option : options) {
    if (set_option(context, option, &held) != 0) return -1;
  }
  return 0;
}

// mount(2)'s options: one text, and a page is all that it reads.
class OptionText {
 public:
  /// Whether there was room.
  bool add(const char* text, size_t length) {
    if (length >= sizeof text_ - length_) return false;
    ::memcpy(text_ + length_, text, length);
    length_ += length;
    text_[length_] = '\0';
    return true;
  }
  bool add(const char* text) { return add(text, ::strlen(text)); }
  const char* get() const { return text_; }
  bool empty() const { return length_ == 0; }

 private:
  char text_[4096] = {};
  size_t length_ = 0;
};

// mount(2) needs a place. The mount lies there only until there is a copy of it that lies nowhere.
int classic_mount(const char* type, const char* source, unsigned long flags, const char* data, const char* scratch) {
  if (::mount(source, scratch, type, flags, data) != 0) return -1;
  const Held copy(::open_tree(AT_FDCWD, scratch, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  const int error = copy ? 0 : errno;
  if (::umount2(scratch, MNT_DETACH) != 0) return -1;
  if (error == 0) return ::fcntl(copy.get(), F_DUPFD_CLOEXEC, 3);
  errno = error;
  return -1;
}

// Somebody else's, whole: nothing of it may be changed from inside.
int stand_in(const char* source) {
  return prepare_bind({.slot = 0,
                       .held = false,
                       .source = source,
                       .set = 0,
                       .clear = 0,
                       .set_below = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC,
                       .clear_below = 0,
                       .propagation = 0,
                       .propagation_recursive = false,
                       .recursive = true});
}

// Answers that mean "not in this way" rather than "no".
bool is_unknown_to_fsopen(int error) { return error == EINVAL || error == ENOSYS || error == EOPNOTSUPP; }

}  // namespace

int new_mount(const char* type, const char* source, Strings options, uint64_t attributes, const int* held) {
  const Held context(::fsopen(type, FSOPEN_CLOEXEC));
  if (!context) return -1;
  if (::fsconfig(context.get(), FSCONFIG_SET_STRING, "source", source, 0) != 0) return -1;
  if (set_options(context.get(), options, held) != 0) return -1;
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return -1;
  return ::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes));
}

int classic_overlay(const MountRootClassic& step, const int* held) {
  constexpr const char* kLower = "lowerdir+=";
  OptionText text;
  bool below = false;  // the option before was a lower folder too
  for (const char* option : step.options) {
    const bool lower = ::strncmp(option, kLower, ::strlen(kLower)) == 0;
    bool fits = true;
    if (lower && below) {
      fits = text.add(":");
    } else {
      fits = (text.empty() || text.add(",")) && (!lower || text.add("lowerdir="));
    }
    below = lower;
    const char* equals = ::strchr(option, '=');
    const char* value = equals == nullptr ? "" : equals + 1;
    if (!lower) fits = fits && text.add(option, ::strlen(option) - ::strlen(value));
    char fd_path[32];
    if (value[0] == '/') {
      write_fd_path(fd_path, *held++);
      value = fd_path;
    }
    if (!fits || !text.add(value)) {
      errno = E2BIG;
      return -1;
    }
  }
  Held mount(classic_mount(step.type, step.type, 0, text.get(), step.scratch));
  if (!mount) return -1;
  if (const int error = change_attributes(mount.get(), step.attributes, 0, false)) {
    errno = error;
    return -1;
  }
  return mount.release();
}

int reconfigure(int mount, Strings options) {
  const Held context(::fspick(mount, "", FSPICK_EMPTY_PATH | FSPICK_CLOEXEC));
  if (!context || set_options(context.get(), options, nullptr) != 0) return errno;
  return check(::fsconfig(context.get(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0));
}

int prepare_mount(const PrepareMount& step, const char* scratch) {
  int made = new_mount(step.type, step.source, step.options, step.attributes);
  if (made < 0 && errno == EPERM && step.fallback != nullptr) return stand_in(step.fallback);
  if (made < 0 && is_unknown_to_fsopen(errno) && scratch != nullptr) {
    made = classic_mount(step.type, step.source, step.classic_flags, step.classic_data, scratch);
    if (made >= 0 && step.attributes != 0 && change_attributes(made, step.attributes, 0, false) != 0) {
      ::close(made);
      return -1;
    }
  }
  Held mount(made);
  if (!mount) return -1;
  if (step.propagation != 0 && set_attributes(mount.get(), false, {.propagation = step.propagation}) != 0) return -1;
  return mount.release();
}

int prepare_bind(const PrepareBind& step, int held) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | static_cast<unsigned>(step.recursive ? AT_RECURSIVE : 0);
  Held tree(step.held ? ::open_tree(held, "", flags | AT_EMPTY_PATH) : ::open_tree(AT_FDCWD, step.source, flags));
  if (!tree) return -1;
  // Private unless asked: what the host mounts later does not show up inside.
  const bool asked = step.propagation != 0;
  mount_attr propagation{.propagation = asked ? step.propagation : static_cast<uint64_t>(MS_PRIVATE)};
  if (set_attributes(tree.get(), !asked || step.propagation_recursive, propagation) != 0) return -1;
  if (const int error = change_attributes(tree.get(), step.set_below, step.clear_below, true)) {
    errno = error;
    return -1;
  }
  if (const int error = change_attributes(tree.get(), step.set, step.clear, false)) {
    errno = error;
    return -1;
  }
  return tree.release();
}

long set_attributes(int mount, bool below, mount_attr attributes) {
  const unsigned flags = AT_EMPTY_PATH | static_cast<unsigned>(below ? AT_RECURSIVE : 0);
  return ::mount_setattr(mount, "", flags, &attributes, sizeof attributes);
}

int change_attributes(int mount, uint64_t set, uint64_t clear, bool below) {
  if (set == 0 && clear == 0) return 0;
  mount_attr attributes{.attr_set = set, .attr_clr = clear};
  if (set_attributes(mount, below, attributes) == 0) return 0;
  // What is locked stays locked: "rw" of a source that the host locked read-only asks for more than there is to give.
  attributes.attr_clr &= MOUNT_ATTR__ATIME;
  if (errno != EPERM) return errno;
  if (attributes.attr_clr != clear && set_attributes(mount, below, attributes) == 0) return 0;
  // Nor is it ours to say how access times are kept, where the host has said it.
  attributes.attr_set &= ~uint64_t{MOUNT_ATTR__ATIME};
  attributes.attr_clr = 0;
  return attributes.attr_set == 0 ? 0 : check(set_attributes(mount, below, attributes));
}

}  // namespace moss::runtime
