#!/usr/bin/env python3
"""Types at a program behind an entrypoint on a terminal of its own, and prints what it sees.

    terminal.py ENTRYPOINT
"""

import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time

BOUND_S = 30


class Terminal:
    """An entrypoint with a program on a new terminal."""

    def __init__(self, script):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            # The kernel's own session has no parent to reap for it: -s keeps tini silent.
            os.execv(sys.argv[1], [sys.argv[1], "-s", "--", "sh", "-c", script])
        self.seen = b""
        self.until(b"ready")

    def until(self, words):
        """Reads until `words` have been seen."""
        end = time.monotonic() + BOUND_S
        while words not in self.seen:
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            if not ready:
                sys.exit(f"not seen: {words!r} in {self.seen!r}")
            try:
                self.seen += os.read(self.master, 4096)
            except OSError:
                sys.exit(f"it ended: {self.seen!r}")

    def type(self, keys):
        """As from a keyboard."""
        os.write(self.master, keys)

    def end(self):
        """Its exit code."""
        os.set_blocking(self.master, False)
        end = time.monotonic() + BOUND_S
        while time.monotonic() < end:
            try:
                os.read(self.master, 4096)
            except OSError:
                pass
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                os.close(self.master)
                return os.waitstatus_to_exitcode(status)
            time.sleep(0.005)
        sys.exit("it does not end")

    def program(self):
        """The program's pid."""
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as file:
            return int(file.read().split()[0])


def fields(pid):
    """State, parent, group, session, terminal and its foreground group."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()


def wait_state(pid, state):
    """Waits until a process is in a state; the state it is in."""
    end = time.monotonic() + BOUND_S
    while fields(pid)[0] != state and time.monotonic() < end:
        time.sleep(0.005)
    return fields(pid)[0]


LOOP = "echo ready; while :; do sleep 0.01; done"


def main():
    """One sight a line."""
    one = Terminal(f'trap "echo int; exit 5" INT; {LOOP}')
    program = one.program()
    leads = fields(program)[2] == fields(program)[5] == str(program)
    beside = fields(one.pid)[2] != fields(one.pid)[5]
    print(f"the program {'leads' if leads else 'does not lead'} the terminal's foreground group,"
          f" tini {'does not' if beside else 'is in it'}")
    one.type(b"\x03")
    one.until(b"int")
    print(f"Ctrl-C: int, exit {one.end()}")

    two = Terminal(f'trap "echo quit; exit 6" QUIT; {LOOP}')
    two.type(b"\x1c")
    two.until(b"quit")
    print(f"Ctrl-\\: quit, exit {two.end()}")

    three = Terminal(f'trap "stty size; exit 7" WINCH; {LOOP}')
    fcntl.ioctl(three.master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 132, 0, 0))
    three.until(b"40 132")
    print(f"resize: 40 132, exit {three.end()}")

    four = Terminal("echo ready; exec cat")
    program = four.program()
    end = time.monotonic() + BOUND_S
    while b"cat" not in open(f"/proc/{program}/comm", "rb").read():
        if time.monotonic() > end:
            sys.exit("it does not become cat")
        time.sleep(0.005)
    four.type(b"\x1a")
    stopped = wait_state(program, "T")
    own = "stopped" if fields(four.pid)[0] == "T" else "not"
    os.kill(four.pid, signal.SIGCONT)
    on = wait_state(program, "S")
    four.type(b"\x04")
    print(f"Ctrl-Z: the program is {stopped}, tini is {own}, after SIGCONT {on}; Ctrl-D: exit {four.end()}")


if __name__ == "__main__":
    main()
