# A real terminal: raw while the container runs, resized with ours, restored at the end.

load helpers

# Runs the Python on stdin, for which Session(ARGUMENT...) is moss on a new terminal of 24 rows and 80 columns.
with_terminal() {
  local scenario
  scenario=$(cat)
  cat >script.py <<END
import fcntl, os, pty, re, select, signal, struct, sys, termios, time

def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

class Session:
    """moss on a terminal of its own, of which we keep both ends."""
    def __init__(self, *arguments):
        self.master, self.slave = pty.openpty()
        resize(self.master, 24, 80)
        self.before = termios.tcgetattr(self.slave)
        self.seen = ""
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)
            for fd in 0, 1, 2:
                os.dup2(self.slave, fd)
            os.execv("$MOSS", ["moss", *arguments])
    def type(self, text):
        os.write(self.master, text.encode())
    def expect(self, pattern, seconds=60):
        end = time.monotonic() + seconds
        while not (found := re.search(pattern, self.seen)):
            if time.monotonic() > end:
                os.kill(self.pid, signal.SIGKILL)
                sys.exit(f"no {pattern!r} in {self.seen!r}")
            if select.select([self.master], [], [], 0.1)[0]:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
        self.seen = self.seen[found.end():]
        return found
    def end(self, seconds=60):
        """The exit code of moss; what it still writes is read, so that it cannot block."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 65536).decode(errors="replace")
        os.kill(self.pid, signal.SIGKILL)
        sys.exit("moss does not end")
    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)
    def is_restored(self):
        return termios.tcgetattr(self.slave) == self.before

def check(truth, what):
    if not truth:
        sys.exit(what)

RUN = "run", "-it", "--rm", "--network", "none", "alpine"
$scenario
END
  python3 script.py
}

@test "our terminal is raw while the container runs and restored at the end" {
  run with_terminal <<'END'
s = Session(*RUN, "sh")
s.expect(r"/ # ")
check(s.is_raw(), "not raw")
s.type("echo a$((1+1))b\r")
s.expect("a2b")
s.type("exit 6\r")
check(s.end() == 6, "wrong exit code")
check(s.is_restored(), "not restored")
END
  assert_success
}

@test "inside is a terminal of the size of ours" {
  run with_terminal <<'END'
s = Session(*RUN, "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && tty && stty size; echo $TERM")
s.expect(r"/dev/(pts/0|console)")
s.expect("24 80")
s.expect("xterm")
check(s.end() == 0, "wrong exit code")
END
  assert_success
}

@test "a resize is seen inside" {
  run with_terminal <<'END'
s = Session(*RUN, "sh", "-c", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done")
s.expect("ready")
resize(s.master, 40, 132)
s.expect("40 132")
s.type("\x03")
check(s.end() == 130, "wrong exit code")
END
  assert_success
}

@test "Ctrl-C goes to the command inside, not to moss" {
  run with_terminal <<'END'
s = Session(*RUN, "sh")
s.expect("/ # ")
s.type("sleep 100\r")
s.expect("sleep 100")
time.sleep(0.3)
s.type("\x03")
s.expect("/ # ")
s.type("echo $?\r")
s.expect("130")
s.type("exit\r")
s.end()
check(s.is_restored(), "not restored")
END
  assert_success
}

@test "Ctrl-Z stops a job of the shell inside" {
  run with_terminal <<'END'
s = Session(*RUN, "sh")
s.expect("/ # ")
s.type("sleep 100\r")
s.expect("sleep 100")
time.sleep(0.3)
s.type("\x1a")
s.expect("Stopped")
s.expect("/ # ")
s.type("kill -KILL %1; sleep 0.2; jobs\r")
s.expect("Killed")
s.type("exit 0\r")
check(s.end() == 0, "wrong exit code")
END
  assert_success
}

@test "Ctrl-D ends the shell inside" {
  run with_terminal <<'END'
s = Session(*RUN, "sh")
s.expect("/ # ")
s.type("\x04")
check(s.end() == 0, "wrong exit code")
check(s.is_restored(), "not restored")
END
  assert_success
}

@test "a failed start leaves the terminal as it was" {
  run with_terminal <<'END'
s = Session(*RUN, "no-such-command")
check(s.end() == 127, "wrong exit code")
check(s.is_restored(), "not restored")
END
  assert_success
}

@test "exec -it has a terminal of its own" {
  moss run -d --name n --network none alpine sleep 100 >/dev/null
  run with_terminal <<'END'
s = Session("exec", "-it", "n", "sh")
s.expect("/ # ")
check(s.is_raw(), "not raw")
s.type("stty size; tty\r")
s.expect("24 80")
s.expect("/dev/pts/")
resize(s.master, 30, 100)
time.sleep(0.3)
s.type("stty size\r")
s.expect("30 100")
s.type("exit 3\r")
check(s.end() == 3, "wrong exit code")
check(s.is_restored(), "not restored")
END
  assert_success
}

@test "much output comes whole through the terminal" {
  run with_terminal <<'END'
s = Session(*RUN, "sh", "-c", "seq 1 20000; echo the end")
s.expect("\r\n20000\r\nthe end")
check(s.end() == 0, "wrong exit code")
END
  assert_success
}
