"""Who is measured: how each peer is laid out, started, asked and stopped. Nothing is measured here.

Every peer captures output into one folder or file a service, rotates at 1 MB and keeps 10, where
it can; run scripts are `#!/bin/sh` and `exec`, as people write them.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from floors import Bubblewrap, Floor, FloorLog, FloorWalls
from peer import TOP, Peer

KEEP = 10
ROTATE = 1_000_000  # no multiple of a line's length: a careless logger shows its cuts


class McpInit(Peer):
    """The supervisor of this checkout."""

    name = "mcp-init"
    brake = "retryDelay 0, jitter 0"

    def __init__(self, programs, cache, binary):
        super().__init__(programs, cache)
        self.binary = Path(binary).resolve()

    def missing(self):
        return None if self.binary.is_file() else f"no {self.binary}"

    def write_files(self, timestamps):
        folder = self.home / "conf" / "services.d"
        folder.mkdir(parents=True)
        places = {"runtimeDir": "run", "stateDir": "state", "logDir": "log"}
        own = {key: str(self.home / name) for key, name in places.items()}
        (folder.parent / "mcp-init.json").write_text(json.dumps(own), encoding="utf-8")
        for name, argv in self.services.items():
            service = {
                "command": str(argv[0]),
                "args": [str(word) for word in argv[1:]],
                "restart": "always",
                "restartPolicy": {"retryDelay": 0, "jitter": 0, "resetAfter": "1s", "maxRetries": 1000},
                "healthCheck": {"type": "none"},
                "log": {"mode": "file", "maxSize": ROTATE, "maxFiles": KEEP, "timestamps": timestamps},
            }
            service.update(self.more(argv))
            (folder / f"{name}.json").write_text(json.dumps(service), encoding="utf-8")

    def more(self, argv):
        """What else a service's file says."""
        return {}

    def verb(self, *words):
        """A command line of the binary for this home."""
        return [self.binary, "-c", self.home / "conf", *words]

    def command(self):
        return self.verb("run")

    def status(self, service=None):
        return self.verb("status", service) if service else self.verb("status")

    def stamps_log(self):
        return True


class Strict(McpInit):
    """The same with every wall around each service; asked for by name."""

    name = "strict"
    walled = True

    def more(self, argv):
        return {"sandbox": {"writable": [str(argv[1])]}}


class Limited(McpInit):
    """The same with every limit on each service, none of which it meets or feels: what it costs to set and to hold
    them. Asked for by name."""

    name = "limited"

    def more(self, argv):
        rlimits = {"nofile": [256, 512], "core": 0, "memlock": 65536, "stack": "8M", "fsize": "1G"}
        return {
            "umask": "027",
            "groups": [],
            "memoryLimit": "256M",
            "cpuLimit": 400,
            "pidsLimit": 64,
            "limits": {
                "rlimits": rlimits,
                "nice": 0,
                "ioClass": "best-effort",
                "ioLevel": 5,
                "oomScoreAdj": 100,
                "cpuAffinity": ["0-1"],
                "scheduling": {"policy": "other"},
                "capabilities": {"bounding": ["NET_BIND_SERVICE"]},
                "noNewPrivileges": True,
            },
        }


class Scanned(Peer):
    """What runit, s6 and daemontools share: a scanned folder, a folder and a run script a service."""

    programs_needed = ()

    def missing(self):
        absent = [program for program in self.programs_needed if self.find(program) is None]
        return f"not found: {', '.join(absent)}" if absent else None

    def logger(self, folder, timestamps):
        """The command of the logger that writes `folder`."""
        raise NotImplementedError

    def write_files(self, timestamps):
        scan = self.home / "scan"
        long_ago = time.time() - 100
        for name, argv in self.services.items():
            folder = self.home / "log" / name
            folder.mkdir(parents=True)
            self.script(scan / name / "run", f"exec {' '.join(map(str, argv))}")
            self.script(scan / name / "log" / "run", f"exec {self.logger(folder, timestamps)}")
        os.utime(scan, (long_ago, long_ago))  # runsvdir waits a second on a folder of this second

    def folders(self, service):
        """The folder of one service, or of all."""
        return [self.home / "scan" / name for name in ([service] if service else self.services)]

    def stamps_log(self):
        return True


class Runit(Scanned):
    """runsvdir, a runsv and an svlogd a service."""

    name = "runit"
    brake = "1 s, only below 1 s of life"
    programs_needed = ("runsvdir", "runsv", "svlogd", "sv")

    def logger(self, folder, timestamps):
        (folder / "config").write_text(f"s{ROTATE}\nn{KEEP}\n", encoding="utf-8")
        return f"svlogd {'-tt ' if timestamps else ''}{folder}"

    def command(self):
        return [self.find("runsvdir"), self.home / "scan"]

    def stop(self, pid):
        os.kill(pid, signal.SIGHUP)

    def status(self, service=None):
        return [self.find("sv"), "status", *self.folders(service)]


class S6(Scanned):
    """s6-svscan, an s6-supervise twice and an s6-log a service."""

    name = "s6"
    brake = "1 s after every death"
    programs_needed = ("s6-svscan", "s6-supervise", "s6-log", "s6-svstat")

    def logger(self, folder, timestamps):
        return f"s6-log n{KEEP} s{ROTATE} {'T ' if timestamps else ''}{folder}"

    def command(self):
        return [self.find("s6-svscan"), "-c", 2 * len(self.services) + 10, self.home / "scan"]

    def status(self, service=None):
        if service:
            return [self.find("s6-svstat"), *self.folders(service)]
        # It has no command for all: a loop, as its users write it.
        return ["/bin/sh", "-c", f"for d in {self.home}/scan/*; do {self.find('s6-svstat')} $d; done"]


class Daemontools(Scanned):
    """svscan, a supervise twice and a multilog a service."""

    name = "daemontools"
    brake = "1 s, only below 1 s of life"
    programs_needed = ("svscan", "supervise", "multilog", "svstat", "svc")

    def logger(self, folder, timestamps):
        return f"multilog {'t ' if timestamps else ''}n{KEEP} s{ROTATE} {folder}"

    def command(self):
        return [self.find("svscan"), self.home / "scan"]

    def stop(self, pid):
        os.kill(pid, signal.SIGTERM)
        every = [path for folder in self.folders(None) for path in (folder, folder / "log")]
        argv = [str(word) for word in (self.find("svc"), "-dx", *every)]
        os.posix_spawn(argv[0], argv, self.env)

    def status(self, service=None):
        return [self.find("svstat"), *self.folders(service)]


class Supervisor(Peer):
    """supervisord: one Python process."""

    name = "supervisor"
    brake = "its tick of 1 s"

    def __init__(self, programs, cache):
        super().__init__(programs, cache)
        self.env["PYTHONPATH"] = str(cache / "peers/usr/lib/python3/dist-packages")

    def python(self):
        """The interpreter Debian's package was made for, where there is one."""
        return "/usr/bin/python3" if Path("/usr/bin/python3").exists() else sys.executable

    def missing(self):
        if self.find("supervisord") is None or self.find("supervisorctl") is None:
            return "not found: supervisord"
        probe = [self.python(), "-c", "import supervisor.supervisord, supervisor.supervisorctl"]
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            if subprocess.run(probe, env=self.env, capture_output=True, timeout=30, check=False).returncode == 0:
                return None
        return "its Python modules do not load"

    def write_files(self, timestamps):
        (self.home / "log").mkdir()
        descriptors = max(1024, 4 * len(self.services) + 100)
        parts = [
            f"[supervisord]\nnodaemon=true\nlogfile={self.home}/own.log\npidfile={self.home}/pid\n"
            f"loglevel=warn\nminfds={descriptors}\n",
            f"[unix_http_server]\nfile={self.home}/sock\n",
            f"[supervisorctl]\nserverurl=unix://{self.home}/sock\n",
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface\n",
        ]
        for name, argv in self.services.items():
            parts.append(
                f"[program:{name}]\ncommand={' '.join(map(str, argv))}\nautorestart=true\nredirect_stderr=true\n"
                f"stdout_logfile={self.home}/log/{name}\nstdout_logfile_maxbytes={ROTATE}\n"
                f"stdout_logfile_backups={KEEP}\n"
            )
        # One group, or it stops one service after the other.
        parts.append(f"[group:all]\nprograms={','.join(self.services)}\n")
        (self.home / "conf").write_text("\n".join(parts), encoding="utf-8")

    def command(self):
        return [self.python(), self.find("supervisord"), "-n", "-c", self.home / "conf"]

    def status(self, service=None):
        own = [self.python(), self.find("supervisorctl"), "-c", self.home / "conf", "status"]
        return [*own, f"all:{service}"] if service else own

    def logs(self, service):
        files = (self.home / "log").glob(f"{service}*")
        return sorted(files, key=lambda path: -int(path.suffix[1:] or 0))


def every_peer(programs, cache, binary):
    """All that can be asked for, in the order of the table."""
    own = [kind(programs, cache, binary) for kind in (McpInit, Strict, Limited)]
    floors = [kind(programs, cache) for kind in (Floor, FloorLog, FloorWalls)]
    others = [kind(programs, cache) for kind in (Bubblewrap, Runit, S6, Daemontools, Supervisor)]
    return [*floors, *own, *others]
