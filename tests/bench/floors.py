"""What the system calls alone cost: peers that start, start again and stop, and do nothing else. And bubblewrap,
run by one of them. Nothing is measured here."""

import os
import signal

from peer import Peer


class Floor(Peer):
    """The system calls alone; nothing captured, nothing kept."""

    name = "floor"
    captures = False

    def command(self):
        argv = next(iter(self.services.values()))
        if len(argv) > 3:  # the log's floor: the writer and `cat`
            (self.home / "log").mkdir()
            return ["sh", "-c", f"{' '.join(map(str, argv))} | exec cat >{self.home}/log/0"]
        return [self.programs["floor"], len(self.services), self.log_folder(), argv[0], argv[1], *self.words(argv)]

    def words(self, argv):
        """What comes before the program of each service."""
        return []

    def stop(self, pid):
        if len(next(iter(self.services.values()))) > 3:
            os.killpg(pid, signal.SIGTERM)
        else:
            os.kill(pid, signal.SIGTERM)

    def log_folder(self):
        """Where the output goes: nowhere."""
        return "-"

    def status(self, service=None):
        return [self.programs["service"]]  # a program that does nothing

    def logs(self, service):
        return [self.home / "log" / "0"]


class FloorLog(Floor):
    """The same with a pipe and a file a service."""

    name = "floor+log"
    captures = True

    def write_files(self, timestamps):
        (self.home / "log").mkdir()

    def log_folder(self):
        return self.home / "log"

    def status(self, service=None):
        return None

    def logs(self, service):
        return [self.home / "log" / str(list(self.services).index(service))]


class FloorWalls(FloorLog):
    """The floor of a sandbox: the same, and the walls of `strict` around each service, by the system calls alone."""

    name = "floor+walls"
    walled = True

    def missing(self):
        return None if os.geteuid() == 0 and os.uname().machine == "x86_64" else "only as root, on x86-64"

    def words(self, argv):
        return ["walls"]


class Bubblewrap(FloorLog):
    """The same by bubblewrap, which knows neither Landlock nor, unless it is given one, a filter of system calls."""

    name = "bwrap"
    walled = True

    def missing(self):
        return None if self.find("bwrap") else "not found: bwrap"

    def words(self, argv):
        words = [self.find("bwrap"), "--unshare-pid", "--as-pid-1", "--die-with-parent", "--cap-drop", "ALL"]
        words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        for name in ("/bin", "/lib", "/lib64", "/sbin"):
            words += ["--symlink", os.readlink(name), name] if os.path.islink(name) else ["--ro-bind-try", name, name]
        for name in ("/etc", "/opt", "/usr", argv[0]):
            words += ["--ro-bind", str(name), str(name)]
        for name in ("/etc/gshadow", "/etc/shadow"):
            words += ["--ro-bind", "/dev/null", name]
        return [*words, "--bind", str(argv[1]), str(argv[1]), "--remount-ro", "/"]
