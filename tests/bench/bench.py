#!/usr/bin/env python3
"""Measures mcp-init beside its peers and the floor, all in one run, and prints the table.

    bench.py [--rows start,restart,stop,memory,status,idle,log,runner,entrypoint] [--sizes 1,100,1000]
             [--peers floor,mcp-init,runit,…] [--rounds 3] [--init PATH] [--runner PATH] [--json FILE]

Peers are interleaved: in each round every peer takes its turn, so that a busy minute of the machine
costs all of them alike. The figures are medians. It ends with 0 also where mcp-init is behind.
"""

import argparse
import functools
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

import entrypoint  # noqa: E402
import measure  # noqa: E402
import peers as peerage  # noqa: E402
import report  # noqa: E402
import runner  # noqa: E402
import world  # noqa: E402

ROWS = ["start", "restart", "stop", "memory", "status", "idle", "log", "runner", "entrypoint"]
DETAIL = 100  # the size at which restart, status and idle are measured, or the nearest to it
PATIENCE_S = 12  # a trial that took longer is not repeated at its size


def arguments():
    """The command line."""
    top = peerage.TOP
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--sizes", default="1,100,1000")
    parser.add_argument("--peers", default="floor,floor+log,mcp-init,runit,s6,supervisor")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--init", default=top / "target/release/mcp-init")
    parser.add_argument("--runner", default=top / "target/release/mcp-runner")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--cache", type=Path, default=Path(os.environ.get("CACHE", top / ".cache")))
    args = parser.parse_args()
    args.rows = args.rows.split(",")
    args.sizes = sorted({int(size) for size in args.sizes.split(",")})
    args.peers = args.peers.split(",")
    unknown = [row for row in args.rows if row not in ROWS]
    if unknown:
        parser.error(f"unknown row {unknown[0]}: there are {', '.join(ROWS)}")
    return args


def choose(args, programs, sheet):
    """The peers asked for that can be measured here; the others are noted."""
    known = peerage.every_peer(programs, args.cache, args.init)
    strangers = set(args.peers) - {peer.name for peer in known}
    if strangers:
        sys.exit(f"bench: unknown peer {min(strangers)}: there are {', '.join(peer.name for peer in known)}")
    chosen = []
    for peer in known:
        if peer.name in args.peers:
            reason = peer.missing()
            if reason:
                sheet.note(peer, f"not measured: {reason}")
            else:
                chosen.append(peer)
    return chosen


def services_trial(peer, count, base, sheet, rows, detail, idle):
    """All rows that need running services, in one life of one peer; `detail` for the costly ones."""
    with measure.Trial(peer, base, sheet, count) as trial:
        stamps = trial.start()
        trial.check_capture()
        if "memory" in rows:
            trial.memory()
        if detail and "status" in rows:
            trial.status()
        if detail and idle and "idle" in rows:
            trial.idle()
        if detail and "restart" in rows and not peer.walled:
            trial.restart(stamps)
        trial.stop()


def log_trial(peer, timestamps, base, sheet):
    """The log's throughput, with one service."""
    if timestamps and not peer.stamps_log():
        return
    if peer.name == "floor" or (peer.captures and peer.name != "floor+log"):
        with measure.Trial(peer, base, sheet, 1) as trial:
            trial.flood(timestamps)


def plan(args, chosen):
    """Every trial of the run in order, as (name, peer, function of `base` and `sheet`)."""
    detail = min(args.sizes, key=lambda size: abs(size - DETAIL))
    for turn in range(args.rounds):
        if set(args.rows) - {"log", "runner", "entrypoint"}:
            for count in args.sizes:
                for peer in chosen:
                    trial = functools.partial(
                        services_trial, peer, count, rows=args.rows, detail=count == detail, idle=turn == 0
                    )
                    yield f"{count} services", peer, trial
        if "log" in args.rows:
            for timestamps in (False, True):
                for peer in chosen:
                    words = "log with timestamps" if timestamps else "log"
                    yield words, peer, functools.partial(log_trial, peer, timestamps)


def measure_all(args, chosen, base, sheet):
    """Runs the plan; a trial that fails is noted, cleaned up and not repeated."""
    done_with = set()
    turns = list(plan(args, chosen))
    for step, (name, peer, trial) in enumerate(turns):
        if (name, peer.name) in done_with:
            continue
        tell(f"{step + 1}/{len(turns)} {peer.name}: {name}")
        begun = time.monotonic()
        try:
            trial(base=base, sheet=sheet)
        except (world.Late, OSError, ValueError, ArithmeticError, LookupError) as problem:
            sheet.note(peer, f"{name}: {problem}")
            done_with.add((name, peer.name))
        if time.monotonic() - begun > PATIENCE_S and not set(args.rows) <= {"idle"}:
            done_with.add((name, peer.name))
    tell("")


def tell(words):
    """Progress, on one line of a terminal and nowhere else."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{words}")
        sys.stderr.flush()


def say(words):
    """A paragraph no wider than the table."""
    print(textwrap.fill(words, report.WIDTH, subsequent_indent="  ", break_on_hyphens=False))


def show(args, chosen, sheet, begun, load_before):
    """Prints everything, and writes the JSON file if asked for."""
    wanted = [row for row in report.rows(args.sizes) if row.group in args.rows]
    facts = report.conditions(chosen)
    facts["load"] = [load_before, report.load()]
    facts["rounds"] = args.rounds
    facts["seconds"] = round(time.monotonic() - begun)
    bold = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    print(
        f"{facts['cpus']} processors, Linux {facts['kernel']}, load {load_before} → {facts['load'][1]}; "
        f"rounds: {args.rounds}, peers interleaved, {facts['seconds']} s"
    )
    print("Medians; ×N is the ratio to the floor, which pays for the system calls alone.")
    print()
    for line in report.table(sheet, wanted, chosen, bold):
        print(line)
    print()
    brakes = "; ".join(f"{peer.name} {peer.brake}" for peer in chosen if peer.brake != "none")
    say(f"Restarts are of services older than {measure.SETTLE_S:g} s. Delays on purpose: {brakes or 'none'}.")
    say("Output is captured, rotated at 1 MB, 10 kept (floor: /dev/null, in the log rows `cat > file`). "
        f"The log rows: {measure.FLOOD_BYTES // 10**6} MB of {measure.FLOOD_LINE}-byte lines in 4 KiB writes.")
    for line in report.verdict(sheet, wanted):
        say(line)
    for line in [*runner.lines(sheet), *entrypoint.lines(sheet)]:
        print(line)
    for note in sheet.notes:
        say(f"note: {note}")
    if args.json:
        report.write_json(args.json, sheet, [*wanted, *runner.ROWS, *entrypoint.ROWS], facts)


def main():
    """Prepares the machine, measures, shows, and leaves nothing behind."""
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    world.adopt_orphans()
    shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    base = Path(tempfile.mkdtemp(prefix="mcpb.", dir=shm))
    begun = time.monotonic()
    load_before = report.load()
    sheet = measure.Sheet()
    try:
        programs = world.compile_programs(base)
        chosen = choose(args, programs, sheet)
        measure_all(args, chosen, base, sheet)
        if "runner" in args.rows:
            runner.measure(args.runner, base, sheet, args.rounds)
        if "entrypoint" in args.rows:
            entrypoint.measure(args.init, args.cache, programs["clock"], base, sheet, args.rounds)
    finally:
        world.kill_tree()
        shutil.rmtree(base, ignore_errors=True)
    show(args, chosen, sheet, begun, load_before)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
