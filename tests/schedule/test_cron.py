"""When `mcp-init schedule --cron` says that an expression comes is when cronsim says so: every run of a year, in ten
time zones, the nights in which clocks are changed included."""

import datetime
import os
import pathlib
import subprocess
import zoneinfo

import pytest
from cronsim import CronSim

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = pathlib.Path(os.environ.get("MCP_INIT", ROOT / "target/release/mcp-init"))

# Clocks are changed at one, two or three o'clock or at midnight, by an hour or by half of one, in March or in
# October, or not at all; hours ahead are whole, half and quarter.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Auckland",
]

FIXED = [
    "0 2 * * 0",
    "30 2 * * *",
    "0 1 * * *",
    "15,45 1-3 * * *",
    "0 0 * * *",
    "30 0 * * *",
    "59 23 * * *",
    "0 3 * * sun",
    "5/20 2 * * *",
    "0 12 1,15 * mon",
    "0 0 29 2 *",
    "0 0 31 */2 *",
    "1-59/13 0-4 * mar,oct,nov *",
    "0 6 */10 * 7",
    "0 6 */10 * */2",
    "@daily",
    "@weekly",
    "@monthly",
    "@yearly",
]
REAL = ["*/30 * * * *", "* 1-3 */9 * *", "@hourly", "*/7 * * * sun", "*/30 1-3 * * *", "10 */2 * * *", "*/20 2 * 3,10 *", "0 */6 1-7 * mon"]

# Where clocks are changed by half an hour, the reference, which goes by whole ones, leaves out what comes that day.
PASSED_OVER = {"Australia/Lord_Howe": ["10 */2 * * *", "0 */6 1-7 * mon"]}

WORDS = {"@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@hourly": "0 * * * *"}


def ours(expression, zone, begin, count):
    words = [PROGRAM, "schedule", "--cron", expression, "--from", begin.strftime("%Y-%m-%dT%H:%M:%SZ"), "-n", str(count)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, env={**os.environ, "TZ": zone})
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def theirs(expression, zone, begin, end):
    """Every time of the reference, as we print it. A time that is not on any clock there is printed as it is."""
    times = CronSim(WORDS.get(expression, expression), begin.astimezone(zone))
    while (time := next(times)).astimezone(datetime.UTC) < end:
        time = time.astimezone(datetime.UTC).astimezone(zone)
        offset = time.strftime("%z")
        yield f"{time:%Y-%m-%d %H:%M:%S} {offset[:3]}:{offset[3:5]}"


@pytest.mark.parametrize("zone", ZONES)
def test_a_year_is_that_of_the_reference(zone):
    begin = datetime.datetime(2026, 1, 1, 11, 59, 30, tzinfo=datetime.UTC)
    end = begin + datetime.timedelta(days=365)
    wrong = []
    for expression in FIXED + REAL:
        if expression in PASSED_OVER.get(zone, []):
            continue
        wanted = list(theirs(expression, zoneinfo.ZoneInfo(zone), begin, end))
        found = ours(expression, zone, begin, len(wanted))
        if found != wanted:
            where = next((pair for pair in zip(found, wanted) if pair[0] != pair[1]), (len(found), len(wanted)))
            wrong.append(f"{expression}: {where[0]} where the reference has {where[1]}")
    assert not wrong, "\n".join(wrong)
