"""What the bench sees and does of the machine: processes, their costs, clocks, the compiled programs.

It knows no peer and no table. Everything below this process is the tree under test: the bench is a
subreaper, so nothing a peer leaves behind escapes the count or the clean-up.
"""

import contextlib
import ctypes
import mmap
import os
import resource
import signal
import struct
import subprocess
import time
from pathlib import Path

SERVICE = "bench-service"
PR_SET_CHILD_SUBREAPER = 36
DESCRIPTORS = 8192
HERE = Path(__file__).resolve().parent
STAMP = struct.Struct("QQ")


class Late(Exception):
    """Something did not happen within its bound."""


def now_ns():
    """The clock the services stamp with."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def adopt_orphans():
    """Makes this process the parent of every orphan below it, with descriptors enough for all."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "cannot become a subreaper")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = DESCRIPTORS if hard == resource.RLIM_INFINITY else min(DESCRIPTORS, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def compile_programs(folder):
    """Compiles the C programs, statically where the C library allows, and returns their paths."""
    paths = {}
    for name, *parts in (("service",), ("floor", "walls"), ("clock",)):
        out = folder / f"bench-{name}"
        sources = [str(HERE / "c" / f"{part}.c") for part in (name, *parts)]
        base = ["cc", "-O2", "-std=gnu11", "-D_GNU_SOURCE", "-o", str(out), *sources]
        if subprocess.run(base + ["-static"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
            subprocess.run(base, check=True)
        paths[name] = out
    return paths


def wait_until(happened, seconds, what, pause=0.003):
    """Returns the first true answer of `happened`, or raises Late after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        answer = happened()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Late(f"{what}: not within {seconds:g} s")
        time.sleep(pause)


@contextlib.contextmanager
def bound(seconds, what):
    """Interrupts a blocking call after `seconds` by raising Late."""

    def ring(_signal, _frame):
        raise Late(f"{what}: not within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def spawn(argv, env, out, keep=()):
    """Starts a program in a session of its own, its output in the file `out`; returns its pid.

    `keep` lists descriptors to pass on, each as (ours, theirs).
    """
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(out), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    actions += [(os.POSIX_SPAWN_DUP2, ours, theirs) for ours, theirs in keep]
    argv = [str(word) for word in argv]
    return os.posix_spawnp(argv[0], argv, env, file_actions=actions, setsid=True)


def tree():
    """Every process below this one, as {pid: name}; the dead but not yet reaped are left out."""
    children = {}
    names = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = Path("/proc", entry, "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        name, rest = stat[stat.index("(") + 1 :].rsplit(")", 1)
        state, parent = rest.split()[:2]
        children.setdefault(int(parent), []).append(int(entry))
        if state not in "ZX":
            names[int(entry)] = name
    found = {}
    ahead = list(children.get(os.getpid(), ()))
    while ahead:
        pid = ahead.pop()
        if pid in names:
            found[pid] = names[pid]
        ahead.extend(children.get(pid, ()))
    return found


def overhead():
    """The pids of everything in the tree that is not a service."""
    return [pid for pid, name in tree().items() if name != SERVICE]


def kill_tree():
    """Ends whatever is left below this process, and waits until it is gone."""
    for _ in range(200):
        left = tree()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0] > 0:
                pass
        if not left:
            return
        time.sleep(0.01)
    raise Late("some processes survived SIGKILL")


def wait_empty(seconds):
    """Blocks until no process is left below this one; returns the moment."""
    with bound(seconds, "stop"):
        try:
            while True:
                os.waitpid(-1, 0)
        except ChildProcessError:
            return now_ns()


def cpu_ns(pids):
    """Processor time of these processes and of the children they have reaped, in nanoseconds."""
    total = 0
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    for pid in pids:
        with contextlib.suppress(OSError, IndexError):
            total += int(time.clock_gettime(~pid << 3 | 2) * 1e9)  # the pid's own CPU clock
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            reaped = stat.rsplit(")", 1)[1].split()[13:15]
            total += sum(map(int, reaped)) * tick
    return total


def memory_kib(pids):
    """(private, proportional) memory of these processes."""
    private = shared_out = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
                if line.startswith(("Private_Clean:", "Private_Dirty:")):
                    private += int(line.split()[1])
                elif line.startswith("Pss:"):
                    shared_out += int(line.split()[1])
    return private, shared_out


def switches(pids):
    """Context switches of every thread of these processes so far."""
    total = 0
    for pid in pids:
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            with contextlib.suppress(OSError):
                for line in status.read_text(encoding="utf-8", errors="replace").splitlines():
                    if "voluntary_ctxt_switches" in line:
                        total += int(line.split()[1])
    return total


def clock(program, argv, env, count, seconds):
    """Milliseconds of each of up to `count` runs of a whole command, and its worst exit code."""
    words = [str(program), str(count), str(seconds), *map(str, argv)]
    done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=seconds + 30, check=True)
    runs = [line.split() for line in done.stdout.splitlines()]
    return [int(ns) / 1e6 for ns, _ in runs], max(int(code) for _, code in runs)


class Stamps:
    """The file in which every service writes who it is and when it started."""

    def __init__(self, path, slots):
        self.path = path
        self.slots = slots
        with open(path, "w+b") as file:
            file.truncate(slots * STAMP.size)
            self.map = mmap.mmap(file.fileno(), slots * STAMP.size)

    def read(self):
        """A list of (pid, ns), (0, 0) where nobody came yet."""
        return list(STAMP.iter_unpack(self.map[:]))

    def all_in(self):
        """Whether every slot is taken."""
        return all(pid for pid, _ in self.read())
