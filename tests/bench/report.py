"""What is shown: the table, the verdict and the JSON file. Nothing is measured here."""

import json
import os
import statistics
from pathlib import Path

LABEL = 26
CELL = 14
FLOOR_CELL = 8
WIDTH = 109
OWN = "mcp-init"
FLOORS = ("floor", "floor+log", "floor+walls")
OWN_MORE = ("strict", "limited", "bwrap")  # itself with more to do; and what walls in but does not supervise
FLOORS_MOST = 1.5  # start and restart, output captured, in floors
PRIVATE_MOST_KIB = 1024  # supervisor and scribe together, with 100 services

# dinit is not in Debian 12. These are its ratios to the floor in a run of its own elsewhere, by the
# measure they stand for: constants to compare with, and not figures of this run.
DINIT = {
    "start.100": ("start", 1.9),
    "restart": ("restart", 1.9),
    "stop.100": ("stop", 1.5),
    "private.100": ("private memory", 3.0),
}


def median(values):
    """The middle sample."""
    return statistics.median(values)


def p99(values):
    """The sample that 99 % do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


class Row:
    """One line of the table: which samples, how they become one figure, what is better."""

    def __init__(self, group, label, measure, unit, figure=median, more_is_better=False, ratio=True, compared=True):
        self.group = group
        self.label = label
        self.measure = measure
        self.unit = unit
        self.figure = figure
        self.more_is_better = more_is_better
        self.ratio = ratio
        self.compared = compared

    def values(self, sheet):
        """{peer: figure} of those that were measured."""
        return {name: self.figure(got) for name, got in sheet.samples.get(self.measure, {}).items() if got}


def rows(sizes):
    """Every row, in order; those without samples are not printed."""
    many = [size for size in sizes if size > 1]
    table = []
    for size in many:
        table.append(Row("start", f"start {size:,}, wall", f"start.{size}", "ms"))
        table.append(Row("start", f"start {size:,}, CPU each", f"start_cpu.{size}", "ms"))
    table.append(Row("restart", "restart after kill -9, p50", "restart", "ms"))
    table.append(Row("restart", "restart after kill -9, p99", "restart", "ms", p99))
    table += [Row("stop", f"stop {size:,}", f"stop.{size}", "ms") for size in many]
    table += [Row("memory", f"private memory, {size:,}", f"private.{size}", "KiB") for size in sizes]
    table += [Row("memory", f"PSS, {size:,}", f"pss.{size}", "KiB") for size in sizes]
    most = sizes[-1]
    table.append(Row("memory", f"processes, {most:,}", f"processes.{most}", "", ratio=False, compared=False))
    table.append(Row("status", "status of one", "status_one", "ms"))
    table.append(Row("status", "status of all", "status_all", "ms"))
    table.append(Row("idle", "idle 10 s, switches", "idle_switches", "", ratio=False))
    table.append(Row("idle", "idle 10 s, system calls", "idle_calls", "", ratio=False))
    for name, words in (("log", "log, plain"), ("log_time", "log, timestamps")):
        table.append(Row("log", words, name, "MB/s", more_is_better=True))
        table.append(Row("log", f"{words}, CPU", f"{name}_cpu", "s/GB", ratio=False))
        table.append(Row("log", f"{words}, torn", f"{name}_torn", "", max, ratio=False))
        table.append(Row("log", f"{words}, lost", f"{name}_lost", "", max, ratio=False))
    return table


def number(value):
    """A figure with as many digits as can be trusted."""
    if value == 0:
        return "0"
    if value < 10:
        return f"{value:.2f}".removesuffix(".00")
    if value < 100:
        return f"{value:.1f}".removesuffix(".0")
    return f"{value:,.0f}"


def ratio(value, floor):
    """×N in at most five characters."""
    times = value / floor
    return f"×{times:.2f}" if times < 10 else f"×{times:.0f}" if times < 9999 else "×9999"


def cell(value, floor, row, width):
    """One figure with its ratio to the floor, right-aligned."""
    if value is None:
        return "–".rjust(width)
    words = number(value)
    if row.ratio and floor:
        words += f" {ratio(value, floor):>5}"
    return words.rjust(width)


def table(sheet, wanted, peers, bold):
    """The lines of the table: one row a measure, one column a peer, the floor first."""
    names = [peer.name for peer in peers]
    widths = [FLOOR_CELL if name == "floor" else CELL for name in names]
    head = "".join(name.rjust(width) for name, width in zip(names, widths))
    lines = [" " * (LABEL + 5) + head]
    group = None
    for row in wanted:
        values = row.values(sheet)
        if not values:
            continue
        if row.group != group:
            group = row.group
            lines.append("─" * (LABEL + 5 + sum(widths)))
        floor = values.get("floor")
        cells = []
        for name, width in zip(names, widths):
            text = cell(values.get(name), floor if name != "floor" else None, row, width)
            cells.append(f"\033[1m{text}\033[0m" if bold and name == OWN else text)
        lines.append(f"{row.label:<{LABEL}}{row.unit:>5}" + "".join(cells))
    return lines


def aims(sheet, wanted):
    """What this project asks of itself beside being ahead, and whether this run met it."""
    lines = []
    figures = {row.measure: row.values(sheet) for row in reversed(wanted)}  # of two rows, the median's
    for measure, words in (("start.100", "start of 100"), ("start.1000", "start of 1,000"), ("restart", "restart")):
        here = figures.get(measure, {})
        if OWN in here and here.get("floor"):
            met = "met" if here[OWN] <= FLOORS_MOST * here["floor"] else "MISSED"
            lines.append(f"{words} at most ×{FLOORS_MOST}: {ratio(here[OWN], here['floor'])} {met}")
    weight = figures.get("private.100", {}).get(OWN)
    if weight is not None:
        met = "met" if weight <= PRIVATE_MOST_KIB else "MISSED"
        lines.append(f"private memory with 100 at most {PRIVATE_MOST_KIB:,} KiB: {number(weight)} {met}")
    return [f"Aims: {'; '.join(lines)}."] if lines else []


def walls(sheet, wanted):
    """What the walls of a sandbox cost, beside a floor that builds the same ones by the system calls alone."""
    lines = []
    for row in wanted:
        here = row.values(sheet)
        floors = [name for name in ("floor", "floor+walls") if here.get(name)]
        if row.group == "start" and "strict" in here and floors:
            ratios = ", ".join(f"{ratio(here['strict'], here[name])} of {name}" for name in floors)
            lines.append(f"{row.label} {ratios}")
    return [f"Sandbox: {'; '.join(lines)}."] if lines else []


def behind(sheet, wanted):
    """(rows compared, [(label, best peer, its figure, ours)]) where a peer is ahead of mcp-init."""
    compared = 0
    lost = []
    for row in wanted:
        values = row.values(sheet)
        ours = values.get(OWN)
        theirs = {name: value for name, value in values.items() if name not in (OWN, *FLOORS, *OWN_MORE)}
        if ours is None or not theirs or not row.compared:
            continue
        compared += 1
        pick = max if row.more_is_better else min
        best = pick(theirs, key=theirs.get)
        if pick(theirs[best], ours) != ours:
            lost.append((row, best, theirs[best], ours))
    return compared, lost


def verdict(sheet, wanted):
    """Where mcp-init stands among the peers of this run, and what to compare its ratios with."""
    compared, lost = behind(sheet, wanted)
    lines = []
    if compared:
        lines.append(f"{OWN} is ahead of, or level with, every peer in {compared - len(lost)} of {compared} rows.")
    for row, best, theirs, ours in lost:
        lines.append(f"  behind in {row.label}: {best} {number(theirs)}, {OWN} {number(ours)} {row.unit}".rstrip())
    lines += aims(sheet, wanted)
    lines += walls(sheet, wanted)
    marks = []
    figures = {row.measure: row.values(sheet) for row in reversed(wanted)}  # of two rows, the median's
    for measure, (name, times) in DINIT.items():
        here = figures.get(measure, {})
        ours = f" ({OWN} here {ratio(here[OWN], here['floor'])})" if OWN in here and here.get("floor") else ""
        marks.append(f"{name} ×{times}{ours}")
    lines.append(
        "Reference constants, NOT measured here (dinit is not in Debian 12; its ratios to the floor with 100 "
        f"services, measured elsewhere): {', '.join(marks)}."
    )
    return lines


def conditions(peers):
    """What the figures depend on, for the head of the table and the JSON file."""
    cpus = len(os.sched_getaffinity(0))
    return {"cpus": cpus, "kernel": os.uname().release, "brakes": {p.name: p.brake for p in peers}}


def load():
    """The load average of the last minute."""
    return Path("/proc/loadavg").read_text(encoding="ascii").split()[0]


def write_json(path, sheet, wanted, facts):
    """Every figure with its samples, for a machine."""
    figures = {}
    for row in wanted:
        for name, value in row.values(sheet).items():
            samples = sheet.samples[row.measure][name]
            figures.setdefault(row.label, {"unit": row.unit})[name] = {"figure": value, "samples": samples}
    reference = {"dinit": dict(DINIT.values())}
    document = {"conditions": facts, "rows": figures, "notes": sheet.notes, "referenceNotMeasured": reference}
    Path(path).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
