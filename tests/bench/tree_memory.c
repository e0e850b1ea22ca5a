// Runs a command and prints the largest resident memory any one process of it had, in KiB:
//
//   tree_memory COMMAND ARG...
//
// Small and alone in doing this, because the kernel counts what a process was before its execve too: started from a
// Python of 10 MiB, every command seems to have taken 10 MiB. Counts processes that are waited for, and theirs.
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (argc < 2) return 125;
  const pid_t pid = vfork();
  if (pid == 0) {
    execvp(argv[1], argv + 1);
    _exit(127);
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid || status != 0) return 1;
  struct rusage used;
  getrusage(RUSAGE_CHILDREN, &used);
  printf("%ld\n", used.ru_maxrss);
  return 0;
}
