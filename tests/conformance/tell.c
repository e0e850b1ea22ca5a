// For notify.bats: says each of its words, as a message of its own, over the socket that NOTIFY_SOCKET names.
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

int main(int count, char** words) {
  struct sockaddr_un to = {.sun_family = AF_UNIX};
  const char* name = getenv("NOTIFY_SOCKET");
  if (name == NULL) return 2;
  strncpy(to.sun_path, name, sizeof to.sun_path - 1);
  const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
  for (int i = 1; i < count; ++i) {
    if (sendto(fd, words[i], strlen(words[i]), 0, (struct sockaddr*)&to, sizeof to) < 0) return 3;
  }
  return 0;
}
