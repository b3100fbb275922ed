"""What every peer has in common. Nothing is measured here."""

import os
import shutil
import signal
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]


class Peer:
    """One supervisor, with a home folder of its own for each measurement."""

    name = ""
    brake = "none"
    captures = True
    walled = False  # whether its services are process 1 of all they see: the pid they stamp is nobody's out here

    def __init__(self, programs, cache):
        self.programs = programs
        self.cache = cache
        self.home = Path("/")
        self.services = {}
        bins = [str(cache / "peers" / part) for part in ("usr/bin", "usr/sbin")]
        self.env = {"PATH": ":".join([*bins, os.environ.get("PATH", "/usr/bin:/bin")]), "HOME": "/", "LANG": "C"}

    def find(self, program):
        """The path of a program of this peer, or None."""
        return shutil.which(program, path=self.env["PATH"])

    def missing(self):
        """Why this peer cannot be measured here, or None."""
        return None

    def lay_out(self, home, services, timestamps=False):
        """Writes what the peer needs to run `services`, {id: argv}, below the new folder `home`."""
        self.home = home
        self.services = services
        self.write_files(timestamps)

    def write_files(self, timestamps):
        """The peer's own files."""

    def command(self):
        """What starts it."""
        raise NotImplementedError

    def stop(self, pid):
        """Asks it, or its tools, to end everything; returns at once."""
        os.kill(pid, signal.SIGTERM)

    def status(self, service=None):
        """The command that tells the status of one service, or of all; None where there is none."""
        return None

    def logs(self, service):
        """The files that hold this service's output, oldest first."""
        folder = self.home / "log" / service
        kept = [path for path in folder.glob("*") if path.name not in ("lock", "state", "config")]
        return sorted(kept, key=lambda path: (path.name == "current", path.name))

    def stamps_log(self):
        """Whether its logger can put a time in front of each line."""
        return False

    def script(self, path, text):
        """Writes an executable shell script."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        path.chmod(0o755)
