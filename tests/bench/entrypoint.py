"""The entrypoint's own rows: what it adds to the start of a program, and what it weighs, beside tini."""

import os
import shutil
from pathlib import Path

import report
import world

TURNS = 15
RUNS = 20
RUNS_S = 1.0
READY_S = 10
SLEEP_S = 60

# Both adopt orphans, so that neither warns that it does not.
OPTIONS = ["-s", "--"]
TRUE = "/bin/true"

ROWS = [
    report.Row("entrypoint", "entrypoint start-up vs tini", "entrypoint_start", "ms"),
    report.Row("entrypoint", "private dirty memory vs tini", "entrypoint_dirty", "KiB"),
]
STARTS_MOST = 1.1  # start-up, in tini's
DIRTY_MOST_KIB = 120


class Entrypoint:
    """The name under which the samples of one are kept."""

    def __init__(self, name, path):
        self.name = name
        self.path = path


def tini(cache):
    """Where tini is: installed, or unpacked beside the other peers."""
    unpacked = cache / "peers/usr/bin/tini"
    return unpacked if unpacked.exists() else shutil.which("tini")


def start_up(both, clock, sheet):
    """The median of a few runs less that of the bare program right before them, turn by turn."""
    for _ in range(TURNS):
        runs, _ = world.clock(clock, [TRUE], dict(os.environ), RUNS, RUNS_S)
        bare = report.median(runs)
        for one in both:
            argv = [one.path, *OPTIONS, TRUE]
            runs, code = world.clock(clock, argv, dict(os.environ), RUNS, RUNS_S)
            if code:
                raise world.Late(f"{one.name} ended with {code}")
            sheet.add("entrypoint_start", one, report.median(runs) - bare)


def dirty_kib(pid):
    """Private dirty memory of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines():
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1])
    raise world.Late("no Private_Dirty in smaps_rollup")


def weigh(both, base, sheet):
    """Each with a program that sleeps."""
    for one in both:
        # What the linker wrote a moment ago is dirty in the page cache, and would count as if we had.
        with open(one.path, "rb") as program:
            os.fsync(program.fileno())
        argv = [one.path, *OPTIONS, "/bin/sleep", SLEEP_S]
        pid = world.spawn(argv, dict(os.environ), base / "entrypoint.out")
        world.wait_until(lambda: "sleep" in world.tree().values(), READY_S, f"start of {one.name}")
        sheet.add("entrypoint_dirty", one, dirty_kib(pid))
        world.kill_tree()


def measure(init, cache, clock, base, sheet, rounds):
    """Everything, the two in turns."""
    ours = Entrypoint("mcp-init", Path(init).resolve())
    path = tini(cache)
    if path is None:
        sheet.note(Entrypoint("tini", None), "not measured: not found: tini")
        return
    both = [ours, Entrypoint("tini", path)]
    try:
        start_up(both, clock, sheet)
        for _ in range(rounds):
            weigh(both, base, sheet)
    except (world.Late, OSError) as problem:
        sheet.note(ours, str(problem))
    finally:
        world.kill_tree()


def lines(sheet):
    """What the table has no column for."""
    words = []
    for row in ROWS:
        values = row.values(sheet)
        if len(values) < 2:
            continue
        ours, theirs = values["mcp-init"], values["tini"]
        if row.measure == "entrypoint_start":
            met = ours <= STARTS_MOST * theirs
            aim = f"at most ×{STARTS_MOST}"
        else:
            met = ours <= DIRTY_MOST_KIB
            aim = f"at most {DIRTY_MOST_KIB} KiB"
        figures = f"{report.number(ours)} to {report.number(theirs)} {row.unit}, {report.ratio(ours, theirs)}"
        words.append(f"{row.label:<{report.LABEL + 3}} {figures} (aim: {aim}: {'met' if met else 'MISSED'})")
    return words and ["", *words]
