"""Hosts that boot: roots laid over our own, each with another init as its first process. Nothing is asserted here.

All of it happens in a mount namespace of its own (see the Makefile), on a tmpfs that goes with it.
"""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
CACHE = ROOT / ".cache/hosts"
STATIC = pathlib.Path(os.environ["MCP_STATIC"])
PORT = 3917
# The longest that a boot, all that is tried in it and the way down may take.
BOOT_SECONDS = 240

SERVICES = {
    "pets": {
        "mcpConfig": {"port": PORT, "openApiData": "../pets.json", "baseUrl": "mock"},
        "healthCheck": {"type": "mcp", "interval": "1s"},
    },
    "surroundings": {
        "command": ["/bin/sh", "-c", "echo \"token is $TOKEN\"; exec sleep 43210"],
        "env": {"TOKEN": "${HOST_TOKEN}"},
        "memoryLimit": "64M",
        "schedule": [{"cron": "* * * * *", "run": ["true"]}],
    },
}
BROKEN = {"command": ["/bin/false"], "restartPolicy": {"maxRetries": 1, "retryDelay": "100ms"}}


def run(*words, **options):
    """Runs a command that must end with 0."""
    return subprocess.run([str(word) for word in words], check=True, capture_output=True, text=True, **options)


class Host:
    """A root with an init that runs the trial once a boot, and boots until it is over."""

    again = "reboot"

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mcp-init-host-"))
        run("mount", "-t", "tmpfs", "tmpfs", self.folder)
        for name in ("upper", "work", "root"):
            (self.folder / name).mkdir()
        self.root = self.folder / "root"
        layers = f"lowerdir=/,upperdir={self.folder}/upper,workdir={self.folder}/work"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        self.prepare()

    def write(self, path, text, mode=0o644):
        """A file in the root."""
        path = self.root / path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def prepare(self):
        """What every root has: the programs, a configuration, and the trial."""
        for name in ("mcp-init", "mcp-runner"):
            shutil.copy(STATIC / name, self.root / "usr/local/bin" / name)
        for left in ("etc/mcp-init", "var/lib/mcp-init", "var/log/mcp-init", "trial"):
            shutil.rmtree(self.root / left, ignore_errors=True)
        # What somebody does to these on our own host meanwhile is not seen in here.
        for hidden in ("root", "var/log", "var/cache"):
            shutil.rmtree(self.root / hidden)
            (self.root / hidden).mkdir()
        for name, service in SERVICES.items():
            self.write(f"etc/mcp-init/services.d/{name}.json", json.dumps(service))
        self.write("etc/mcp-init/environment", "HOST_TOKEN=\"from the file\"\n", 0o600)
        self.write("etc/mcp-init/pets.json", (ROOT / "etc/openapi/pets.json").read_text())
        self.write("trial/broken.json", json.dumps(BROKEN))
        self.write("trial/lib.sh", (HERE / "lib.sh").read_text())
        self.write("trial/run", (HERE / "trial.sh").read_text(), 0o755)
        self.write("etc/fstab", "")
        self.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n")

    def unpack(self, *packages):
        """Lays Debian's packages over the root, as dpkg does: through links to folders."""
        for package in packages:
            deb = next(CACHE.glob(f"{package}_*.deb"))
            files = subprocess.run(["dpkg-deb", "--fsys-tarfile", str(deb)], check=True, capture_output=True).stdout
            run("tar", "-x", "--keep-directory-symlink", "-C", self.root, input=None, stdin=self.piped(files))

    def piped(self, data):
        """Bytes as a file to read."""
        file = tempfile.TemporaryFile()
        file.write(data)
        file.seek(0)
        return file

    def command(self):
        """Boots it; the command ends when the host does."""
        script = f"""
            mount -t tmpfs run {self.root}/run && mount --rbind /dev {self.root}/dev && mkdir -p {self.root}/run/lock
            {self.before_boot}
            ip link set lo up
            mount -t proc proc {self.root}/proc && exec chroot {self.root} {self.init}"""
        return ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--net", "--uts", "sh", "-c", script]

    before_boot = ":"
    init = "/sbin/init"

    def boot(self):
        """Boots it once; what it says on its console goes to a file."""
        with open(self.folder / "console", "ab") as console:
            process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=console, stderr=console)
            try:
                process.wait(BOOT_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                pytest.fail(f"{type(self).__name__} does not end\n{self.story()}")

    def said(self, name):
        """What the trial wrote."""
        path = self.root / "trial" / name
        return path.read_text() if path.exists() else ""

    def results(self):
        """What the trial told, by name."""
        return dict((line + " ").split(" ", 1) for line in self.said("results").splitlines())

    def listing(self, name):
        """The files there were then."""
        return set(self.said(name).splitlines())

    def story(self):
        """What a reader of a failed test wants to know."""
        console = (self.folder / "console").read_text(errors="replace")[-6000:]
        parts = [f"--- {name}\n{self.said(name)}" for name in ("results", "log", "broken", "deploy", "again", "booted")]
        return "\n".join(parts) + f"\n--- console\n{console}"

    def close(self):
        """Removes it."""
        run("umount", "-R", self.root)
        run("umount", self.folder)
        self.folder.rmdir()


class Systemd(Host):
    """systemd, by systemd-nspawn, which gives it control groups."""

    again = "systemctl --no-block reboot"
    unit = "/etc/systemd/system/mcp-init.service"

    def prepare(self):
        super().prepare()
        for wants in self.root.glob("etc/systemd/system/*.wants"):
            shutil.rmtree(wants)
        units = self.root / "etc/systemd/system"
        (units / "multi-user.target.wants").mkdir()
        for name, target in (("default.target", "/lib/systemd/system/multi-user.target"), ("getty.target", "/dev/null"),
                             ("systemd-networkd-wait-online.service", "/dev/null")):
            (units / name).unlink(missing_ok=True)
            (units / name).symlink_to(target)
        # Not before the boot is over: a deployment is no part of it.
        trial = f"""[Unit]
            Description=Trial
            [Service]
            ExecStart=/trial/run '{self.again}'
            KillMode=process
            """
        self.write("etc/systemd/system/trial.service", trial.replace("            ", ""))
        (units / "multi-user.target.wants/trial.service").symlink_to("../trial.service")

    def command(self):
        # A reboot would be done by nspawn itself: it ends instead when the machine asks for one.
        return ["systemd-nspawn", "--register=no", "--keep-unit", "--quiet", "--directory", self.root, "--boot",
                "--private-network", "--console=pipe"]

    def close(self):
        super().close()
        # What nspawn makes for those that it cannot register stays, empty.
        for group in ("payload", "supervisor"):
            for folder in pathlib.Path("/sys/fs/cgroup").glob(f"*/{group}"):
                subprocess.run(["find", folder, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";"], capture_output=True)


class OpenRc(Host):
    """OpenRC with its own init."""

    again = "openrc-shutdown --reboot now"
    unit = "/etc/init.d/mcp-init"
    init = "/sbin/openrc-init"
    folders = "starting started stopping inactive wasinactive failed hotplugged daemons options exclusive scheduled init.d tmp"

    def prepare(self):
        super().prepare()
        self.unpack("libeinfo1", "librc1", "openrc", "insserv")
        run("chroot", self.root, "ldconfig")
        shutil.rmtree(self.root / "etc/runlevels", ignore_errors=True)
        for level in ("sysinit", "boot", "default", "shutdown"):
            (self.root / "etc/runlevels" / level).mkdir(parents=True)
        self.write("etc/init.d/trial", f"#!/sbin/openrc-run\nstart() {{\n    /trial/run '{self.again}' &\n}}\n", 0o755)
        (self.root / "etc/runlevels/default/trial").symlink_to("/etc/init.d/trial")
        self.before_boot = f"for f in {self.folders}; do mkdir -p {self.root}/run/openrc/$f; done"


class Runit(Host):
    """runit."""

    again = "runit-init 6"
    unit = "/etc/sv/mcp-init/run"
    init = "/sbin/runit"

    def prepare(self):
        super().prepare()
        self.unpack("runit")
        (self.root / "etc/service").unlink(missing_ok=True)
        (self.root / "etc/service").symlink_to("/etc/runit/runsvdir/default")
        shutil.copy(self.root / "lib/runit/runit-init", self.root / "sbin/runit-init")
        self.write("etc/runit/1", "#!/bin/sh\ninstall -m000 /dev/null /run/runit.stopit\ninstall -m000 /dev/null /run/runit.reboot\nmkdir -p /run/runit\n", 0o755)
        # Not Debian's, which runs whatever scripts our own host has for its end.
        self.write("etc/runit/3", "#!/bin/sh\nexec sv -w 30 force-shutdown /etc/service/*\n", 0o755)
        self.write("etc/runit/2", f"#!/bin/sh\n/trial/run '{self.again}' &\nexec runsvdir -P /etc/service\n", 0o755)


class SysV(Host):
    """sysvinit, as Debian has it."""

    again = "init 6"
    unit = "/etc/init.d/mcp-init"
    inittab = """id:2:initdefault:
si::sysinit:/bin/true
l2:2:wait:/etc/init.d/rc 2
l6:6:wait:/etc/init.d/rc 6
tr:2:once:/trial/run '{again}'
rb:6:wait:/sbin/reboot -f
"""

    def prepare(self):
        super().prepare()
        (self.root / "sbin/init").unlink()
        for name in ("halt", "reboot", "shutdown", "runlevel", "telinit"):
            (self.root / "sbin" / name).unlink(missing_ok=True)
        self.unpack("sysvinit-core", "sysv-rc", "startpar", "insserv")
        for script in self.root.glob("etc/rc?.d/*"):
            script.unlink()
        for script in self.root.glob("etc/init.d/*"):
            if script.name not in ("rc", "rcS", "README"):
                script.unlink()
        self.write("etc/inittab", self.inittab.format(again=self.again))


KINDS = [Systemd, OpenRc, Runit, SysV]


@pytest.fixture(params=KINDS, ids=[kind.__name__.lower() for kind in KINDS])
def host(request):
    """A host of each kind."""
    host = request.param()
    yield host
    host.close()
