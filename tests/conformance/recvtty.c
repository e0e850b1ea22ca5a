// Stands in for runc's recvtty in runc's own tests: recvtty [--no-stdin] --pid-file FILE --mode null|single SOCKET.
//
// Listens on SOCKET, takes the terminals that a runtime sends (one descriptor each, by SCM_RIGHTS) and throws away what
// they show, or with "single" writes it to its output, until it is killed. It gives them no input. The tests wait for
// the socket for a second at most, so it is there at once.
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { kMaxTerminals = 64 };

static int take_terminal(int listener) {
  const int connection = accept(listener, NULL, NULL);
  char text[4096];
  struct iovec data = {text, sizeof text};
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
  } control;
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
  int terminal = -1;
  if (recvmsg(connection, &message, 0) >= 0 && CMSG_FIRSTHDR(&message) != NULL)
    memcpy(&terminal, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof terminal);
  close(connection);
  return terminal;
}

int main(int argc, char** argv) {
  static const struct option options[] = {{"pid-file", required_argument, NULL, 'p'},
                                          {"mode", required_argument, NULL, 'm'},
                                          {"no-stdin", no_argument, NULL, 'n'},
                                          {NULL, 0, NULL, 0}};
  const char* pid_file = NULL;
  int is_single = 0;
  for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
    if (option == 'p') pid_file = optarg;
    if (option == 'm') is_single = strcmp(optarg, "single") == 0;
    if (option == '?' || (option == 'm' && !is_single && strcmp(optarg, "null") != 0)) return 2;
  }
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (optind + 1 != argc || strlen(argv[optind]) >= sizeof address.sun_path) return 2;
  strcpy(address.sun_path, argv[optind]);
  struct pollfd fds[1 + kMaxTerminals] = {{socket(AF_UNIX, SOCK_STREAM, 0), POLLIN, 0}};
  if (bind(fds[0].fd, (const struct sockaddr*)&address, sizeof address) != 0 || listen(fds[0].fd, 16) != 0) {
    perror(argv[optind]);
    return 1;
  }
  FILE* const file = pid_file != NULL ? fopen(pid_file, "w") : NULL;
  if (file != NULL) {
    fprintf(file, "%d", getpid());
    fclose(file);
  }
  nfds_t count = 1;
  while (poll(fds, count, -1) >= 0 || errno == EINTR) {
    for (nfds_t i = 1; i < count; ++i) {
      char shown[65536];
      if (fds[i].revents == 0) continue;
      const ssize_t length = read(fds[i].fd, shown, sizeof shown);
      if (length > 0 && (!is_single || write(STDOUT_FILENO, shown, (size_t)length) == length)) continue;
      close(fds[i].fd);  // nobody has the other end any more
      fds[i] = fds[--count];
      --i;
    }
    if ((fds[0].revents & POLLIN) != 0 && count <= kMaxTerminals) {
      const int terminal = take_terminal(fds[0].fd);
      if (terminal >= 0) fds[count++] = (struct pollfd){terminal, POLLIN, 0};
    }
  }
  return 1;
}
