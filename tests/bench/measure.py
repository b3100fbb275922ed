"""How each row is measured: one peer, one size, one round at a time. Nothing is printed here."""

import os
import re
import shutil
import signal
import subprocess
import time

import world

START_S = 90  # bounds, far above the slowest peer
STOP_S = 90
SETTLE_S = 2.0  # older than any delay a peer puts on the young
KILLS = 50
KILLS_S = 5  # a slow peer gives fewer samples
KILL_GAP_S = 0.02
STATUS_RUNS = 20
STATUS_S = 1.5
IDLE_S = 10
FLOOD_BYTES = 200_000_000
FLOOD_LINE = 100
NUMBER = re.compile(rb"#(\d{10}) x*$")


class Sheet:
    """All samples, as {measure: {peer: [number, …]}}, and what went wrong, in words."""

    def __init__(self):
        self.samples = {}
        self.notes = []

    def add(self, measure, peer, *values):
        """Adds samples of one measure of one peer."""
        self.samples.setdefault(measure, {}).setdefault(peer.name, []).extend(values)

    def note(self, peer, words):
        """Says once what went wrong."""
        line = f"{peer.name}: {words}"
        if line not in self.notes:
            self.notes.append(line)


class Trial:
    """One peer with `count` services, from an empty folder to an empty process tree."""

    def __init__(self, peer, base, sheet, count):
        self.peer = peer
        self.sheet = sheet
        self.count = count
        self.home = base / peer.name.replace("+", "-")
        self.names = [f"s{slot:04}" for slot in range(count)]
        self.root = 0

    def __enter__(self):
        shutil.rmtree(self.home, ignore_errors=True)
        self.home.mkdir()
        return self

    def __exit__(self, *_):
        world.kill_tree()
        shutil.rmtree(self.home, ignore_errors=True)

    def launch(self, services, slots, timestamps=False):
        """Lays the peer out and starts it; returns its stamps and the moment before."""
        stamps = world.Stamps(services.pop("stamps"), slots)
        self.peer.lay_out(self.home, services, timestamps)
        argv = self.peer.command()
        begun = world.now_ns()
        self.root = world.spawn(argv, self.peer.env, self.home / "own.out")
        return stamps, begun

    def last_words(self):
        """The last line the peer itself said, for a report of its failure."""
        try:
            lines = (self.home / "own.out").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        except OSError:
            lines = []
        return f" (it said: {lines[-1][:160]})" if lines else ""

    def start(self):
        """Starts all services; wall time to the last one's own stamp, CPU of the whole tree."""
        path = self.home / "stamps"
        program = self.peer.programs["service"]
        services = {name: [program, path, slot] for slot, name in enumerate(self.names)}
        stamps, begun = self.launch({"stamps": path, **services}, self.count)

        def started():
            if stamps.all_in():
                return True
            if os.waitid(os.P_PID, self.root, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                raise world.Late("it ended")
            return False

        try:
            world.wait_until(started, START_S, f"start of {self.count}")
        except world.Late as late:
            missing = sum(not pid for pid, _ in stamps.read())
            raise world.Late(f"{late}, {missing} of {self.count} not started{self.last_words()}") from late
        last = max(ns for _, ns in stamps.read())
        self.sheet.add(f"start.{self.count}", self.peer, (last - begun) / 1e6)
        settled = last + SETTLE_S * 1e9
        time.sleep(max(0.0, (settled - world.now_ns()) / 1e9))
        cpu = world.cpu_ns(world.tree())
        self.sheet.add(f"start_cpu.{self.count}", self.peer, cpu / 1e6 / self.count)
        return stamps

    def check_capture(self):
        """The line each service said must be in its log, or the peer is not measured with capture."""
        if not self.peer.captures:
            return
        silent = sum(
            not any(b"started" in path.read_bytes() for path in self.peer.logs(name)) for name in self.names
        )
        if silent:
            self.sheet.note(self.peer, f"the output of {silent} of {self.count} services is not in the logs")

    def memory(self):
        """Private and proportional memory, and the number of processes, of all but the services."""
        pids = world.overhead()
        private, proportional = world.memory_kib(pids)
        self.sheet.add(f"private.{self.count}", self.peer, private)
        self.sheet.add(f"pss.{self.count}", self.peer, proportional)
        self.sheet.add(f"processes.{self.count}", self.peer, len(pids))

    def status(self):
        """The whole `status` command, for one service and for all."""
        asked = {"status_one": self.peer.status(self.names[self.count // 2]), "status_all": self.peer.status()}
        for measure, argv in asked.items():
            if argv is None:
                continue
            clock = self.peer.programs["clock"]
            runs, code = world.clock(clock, argv, self.peer.env, STATUS_RUNS, STATUS_S)
            if code:
                self.sheet.note(self.peer, f"{measure} ended with {code}")
            self.sheet.add(measure, self.peer, *runs)

    def idle(self):
        """System calls and context switches of all but the services while nothing happens."""
        pids = world.overhead()
        before = world.switches(pids)
        calls = syscalls(pids, IDLE_S, self.home / "calls")
        woken = world.switches(pids) - before
        self.sheet.add("idle_switches", self.peer, woken)
        if calls is None and woken == 0:
            calls = 0  # who is never woken calls nothing
        if calls is not None:
            self.sheet.add("idle_calls", self.peer, calls)

    def restart(self, stamps):
        """SIGKILL to the stamp of the successor, one service after the other.

        Never two at once: a peer that sleeps would be woken by the second death.
        """
        end = time.monotonic() + KILLS_S
        for step in range(KILLS):
            slot = step * self.count // KILLS
            before = stamps.read()[slot]
            if time.monotonic() > end or world.now_ns() - before[1] < SETTLE_S * 1e9:
                break
            killed = world.now_ns()
            os.kill(before[0], signal.SIGKILL)
            world.wait_until(lambda: stamps.read()[slot][0] != before[0], 30, "restart")
            time.sleep(KILL_GAP_S)  # lets its own bookkeeping end, and both words of the stamp arrive
            self.sheet.add("restart", self.peer, (stamps.read()[slot][1] - killed) / 1e6)

    def stop(self):
        """From the order to the moment the last process of the tree is gone."""
        begun = world.now_ns()
        self.peer.stop(self.root)
        self.sheet.add(f"stop.{self.count}", self.peer, (world.wait_empty(STOP_S) - begun) / 1e6)

    def flood(self, timestamps):
        """One service prints as fast as it is read, until its last line is in the log."""
        path = self.home / "stamps"
        argv = [self.peer.programs["service"], path, 0, FLOOD_BYTES, FLOOD_LINE]
        stamps, _ = self.launch({"stamps": path, self.names[0]: argv}, 1, timestamps)
        world.wait_until(stamps.all_in, START_S, "log")
        time.sleep(1)  # what starting costs is another row
        before = world.cpu_ns(world.overhead())
        os.kill(stamps.read()[0][0], signal.SIGUSR1)
        last = f"#{FLOOD_BYTES // FLOOD_LINE:010} ".encode()

        def written():
            newest = self.peer.logs(self.names[0])[-2:]
            return any(last in tail(path, 4096) for path in newest)

        world.wait_until(written, START_S, "log")
        seconds = (world.now_ns() - stamps.read()[0][1]) / 1e9
        cpu = (world.cpu_ns(world.overhead()) - before) / 1e9
        name = "log_time" if timestamps else "log"
        self.sheet.add(name, self.peer, FLOOD_BYTES / 1e6 / seconds)
        self.sheet.add(f"{name}_cpu", self.peer, cpu / (FLOOD_BYTES / 1e9))
        torn, lost = damage(self.peer.logs(self.names[0]))
        self.sheet.add(f"{name}_torn", self.peer, torn)
        self.sheet.add(f"{name}_lost", self.peer, lost)


def tail(path, length):
    """The last bytes of a file; nothing if it was just rotated away."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - length))
            return file.read()
    except OSError:
        return b""


def damage(files):
    """(torn, lost): lines cut by rotation, and numbers missing between the first and last kept."""
    torn = 0
    numbers = []
    for path in files:
        lines = path.read_bytes().split(b"\n")
        torn += bool(lines.pop())  # a file that does not end in a line's end
        for line in lines:
            match = NUMBER.search(line)
            if match and len(line) - match.start() == FLOOD_LINE - 1:
                numbers.append(int(match[1]))
    numbers.sort()
    lost = numbers[-1] - numbers[0] + 1 - len(set(numbers)) if numbers else 0
    return torn, max(0, lost - torn)


def syscalls(pids, seconds, out):
    """System calls of these processes in `seconds`, by perf; None, as late, where it may not count.

    strace is no substitute: to attach it wakes the process, and so makes the calls it reports.
    """
    begun = time.monotonic()
    if shutil.which("perf"):
        argv = ["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "-o", str(out), "-p"]
        argv += [",".join(map(str, pids)), "sleep", str(seconds)]
        subprocess.run(argv, capture_output=True, timeout=seconds + 30, check=False)
        for line in tail(out, 4096).decode(errors="replace").splitlines():
            if "raw_syscalls:sys_enter" in line:
                count = line.split(",")[0]  # "<not counted>" is what perf says of none
                return int(count) if count.isdigit() else 0
    time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
    return None
