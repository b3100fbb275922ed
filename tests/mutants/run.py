"""Faults planted in the rules of a service's life, each of which its tests must find.

A fault is a piece of text in one file and what stands in its place. It is planted in a copy of the sources, and
the tests of `src/life` are run there: they have to fail, and to have been compiled.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPY = ROOT / ".cache/mutants"
LIFE = "src/life"

# Seconds after which the tests of a fault do not end: without one they take a few.
ENDLESS = 180

# What it does wrong, where, what stands there, what stands there instead.
FAULTS = [
    ("a stop does not say that it is unwanted", "service.rs",
     "    fn stop(&mut self, now: Instant, act: Act<'_>) {\n        self.want = Want::Down;",
     "    fn stop(&mut self, now: Instant, act: Act<'_>) {"),
    ("an end is complete when the leader is gone", "ending.rs", "        if !left {", "        if !left || lived.is_zero() || true {"),
    ("a mere start forgets failures", "starting.rs",
     "                act(Action::Note(Note::Started(pid)));",
     "                act(Action::Note(Note::Started(pid)));\n                self.backoff.forget();"),
    ("a stop forgets to kill", "ending.rs",
     "        let kill_at = later(now, self.policy.stop_within);\n        self.state = State::Stopping",
     "        let kill_at = later(now, Duration::from_hours(1));\n        self.state = State::Stopping"),
    ("what is needed is not waited for", "starting.rs", "        if self.needs.is_empty() {", "        if self.needs.len() < 99 {"),
    ("those that use a service are not stopped first", "order.rs",
     "        self.is_ordered && !self.users(", "        self.is_ordered && self.users("),
    ("what has failed is waited for", "order.rs",
     "(Some(other), _) => service.block(other, act)", "(Some(other), _) => service.wait_for(other, act)"),
    ("restarts have no bound", "roster.rs", "!self.rate.take(now)", "!self.rate.take(now) && now < *retry_at.as_ref().unwrap_or(&now)"),
    ("a start that was called off makes a process", "roster.rs",
     "    todo.retain(|(whose, action)| (*whose, action) != (id, &Action::Spawn));", "    let _ = (id, todo);"),
    ("services are started while everything ends", "roster.rs",
     "matches!(event, Event::Start | Event::Restart | Event::Recover | Event::Reset)",
     "matches!(event, Event::Restart | Event::Recover | Event::Reset)"),
    ("what cannot be killed holds the rest", "state.rs",
     "State::Stopping { .. } | State::Sweeping { .. } => !self.is_stuck(),",
     "State::Stopping { .. } | State::Sweeping { .. } => true,"),
    ("a failure for good is tried again", "ending.rs",
     "(Why::Itself, Meaning::ForGood) => self.give_up(Some(exit), act)",
     "(Why::Itself, Meaning::ForGood) => self.failed(Some(exit), lived, now, act)"),
    ("the machine's trouble counts as the service's", "starting.rs",
     "(Want::Up, Blame::Machine) => self.retry_later(now, act)",
     "(Want::Up, Blame::Machine) => self.failed(None, Duration::ZERO, now, act)"),
    ("a request that hangs spares its server for ever", "health.rs",
     "            && now < *due.get_or_insert_with(|| later(now, patience))",
     "            && now < later(*due.get_or_insert(now), patience).max(later(now, patience))"),
    ("a frozen server is spared", "health.rs",
     "            *load = Load::None;\n            self.failed_check(now, act);",
     "            let _ = (load, act, now);"),
    ("two restarts make two processes", "service.rs",
     "            State::Stopped\n            | State::Waiting { .. }\n            | State::Blocked { .. }\n            | State::Leaving { .. }\n            | State::Stopping { .. }\n            | State::Sweeping { .. }\n            | State::Backoff { .. }\n            | State::Failed => self.start(now, act),",
     "            State::Stopping { .. } | State::Sweeping { .. } => self.begin(now, act),\n            State::Stopped\n            | State::Waiting { .. }\n            | State::Blocked { .. }\n            | State::Leaving { .. }\n            | State::Backoff { .. }\n            | State::Failed => self.start(now, act),"),
]


def copy_sources():
    """A copy of everything that is ours, kept between the runs so that little is compiled."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        source, target = ROOT / name, COPY / name
        if source.is_file() and not (target.exists() and target.read_bytes() == source.read_bytes()):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)


def run_tests():
    """The exit code of the tests, and what they said; None if they could not be compiled."""
    environment = {**os.environ, "RUSTFLAGS": os.environ.get("RUSTFLAGS", "") + " -A warnings", "RUST_BACKTRACE": "0"}
    environment.setdefault("CARGO_TARGET_DIR", str(ROOT / "target"))
    cargo = [os.environ.get("CARGO", "cargo"), "test", "--quiet", "--locked", "--package", "mcp-init", "--lib"]
    if subprocess.run([*cargo, "--no-run"], cwd=COPY, env=environment, capture_output=True).returncode:
        return None, "it does not compile"
    tests = subprocess.Popen([*cargo, "life::"], cwd=COPY, env=environment, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, text=True, start_new_session=True)
    try:
        out, _ = tests.communicate(timeout=ENDLESS)
    except subprocess.TimeoutExpired:
        os.killpg(tests.pid, signal.SIGKILL)
        tests.communicate()
        return 1, "it never ends"
    said = [line for line in out.splitlines() if line.startswith("thread ")]
    after = out.split(said[0], 1)[1].strip().splitlines()[0] if said else ""
    return tests.returncode, after


def main():
    wanted = sys.argv[1:]
    copy_sources()
    missed = []
    for what, name, old, new in FAULTS:
        if wanted and not any(word in what for word in wanted):
            continue
        path = COPY / LIFE / name
        text = path.read_text()
        if text.count(old) != 1:
            missed.append(what)
            print(f"NOT PLANTED  {what}: {LIFE}/{name} has changed", flush=True)
            continue
        path.write_text(text.replace(old, new))
        try:
            code, said = run_tests()
        finally:
            path.write_text(text)
        if code:
            print(f"found        {what}: {said}", flush=True)
        else:
            missed.append(what)
            print(f"NOT FOUND    {what}: {said}", flush=True)
    print(f"{len(missed)} of {len(FAULTS)} faults were not found" if missed else "all faults were found")
    return bool(missed)


sys.exit(main())
