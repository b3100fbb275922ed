"""A machine that boots our own program as its first process: a small initrd, a serial console, and the reason
of its end. Nothing is asserted here.

The initrd holds the static `mcp-init`, busybox, and the files a test gives it. Its `/init` mounts /proc, /sys,
/dev and the control groups, and becomes `mcp-init -c /etc/mcp-init run`.
"""

import glob
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).parent.parent.parent
CACHE = ROOT / ".cache/vm"
QEMU = (
    "qemu-system-x86_64 -M q35 -accel tcg -cpu max -smp 2 -m 512 -nodefaults -no-user-config -display none "
    "-serial stdio -no-reboot"
)
APPEND = (
    "console=ttyS0 panic=-1 quiet psi=1 mitigations=off nokaslr cryptomgr.notests apparmor=0 audit=0 "
    # Not the processor's own clock: how fast that is, a busy host lets nobody find out.
    "clocksource=acpi_pm no_timer_check 8250.nr_uarts=1"
)
INIT = """#!/bin/sh
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
mount -t tmpfs tmp /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
ip link set lo up
exec /bin/mcp-init -c /etc/mcp-init run
"""


def program():
    """The static program under test: MCP_INIT_STATIC, or else what `make static` has built."""
    said = os.environ.get("MCP_INIT_STATIC")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return pathlib.Path(said) if said else target / "static/mcp-init"


def libraries(program):
    """What the loader opens for a program of our own system, by the paths it opens it by."""
    said = subprocess.run(["ldd", program], capture_output=True, text=True).stdout
    return re.findall(r"(/\S+) \(0x", said)


def initrd(folder, files, programs=()):
    """Packs an initrd into `folder`: `files` are texts (or bytes) by their paths; those in /bin may be run. `programs`
    are of our own system, and come with their libraries."""
    tree = folder / "tree"
    for name in ("bin", "dev", "proc", "sys", "run", "tmp", "etc"):
        (tree / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", tree / "bin/busybox")
    shutil.copy(program(), tree / "bin/mcp-init")
    for applet in subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            (tree / "bin" / applet).symlink_to("busybox")
    for path, content in {"init": INIT, **files}.items():
        path = tree / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(0o755 if path.parent.name == "bin" or path.name == "init" else 0o644)
    for path in {path for program in programs for path in (str(program), *libraries(program))}:
        (tree / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tree / path.lstrip("/"))
    packed = folder / "initrd"
    pack = f"cd '{tree}' && find . | cpio -oH newc --quiet -R 0:0 | gzip -1 >'{packed}'"
    subprocess.run(pack, shell=True, check=True)
    return packed


class Machine:
    """A machine that runs; what it says on its console is in `said`."""

    def __init__(self, files, arguments=(), programs=()):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mcp-init-vm-"))
        self.said = ""
        self.reasons = []
        control = self.folder / "qmp"
        kernel = glob.glob(str(CACHE / "boot/vmlinuz-*"))[0]
        command = [*QEMU.split(), "-qmp", f"unix:{control},server=on,wait=off", "-kernel", kernel]
        command += ["-initrd", str(initrd(self.folder, files, programs)), "-append", APPEND, *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self._read, lambda: self._hear(control))]
        for thread in self.threads:
            thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self):
        while some := os.read(self.process.stdout.fileno(), 4096):
            self.said += some.decode(errors="replace").replace("\r", "")

    def _hear(self, control):
        """Hears why it ends: qemu's own exit code says nothing."""
        stream = socket.socket(socket.AF_UNIX)
        while self.process.poll() is None:
            try:
                stream.connect(str(control))
                break
            except OSError:
                time.sleep(0.02)
        stream.sendall(b'{"execute":"qmp_capabilities"}\n')
        try:
            for message in map(json.loads, stream.makefile()):
                if message.get("event") == "SHUTDOWN":
                    self.reasons.append(message["data"]["reason"])
        except (OSError, ValueError):
            pass

    def expect(self, pattern, seconds):
        """Waits until its console says something; the match, or the whole console as a failure."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := re.search(pattern, self.said, re.MULTILINE):
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"not within {seconds} s: {pattern}\n{self.said[-8000:]}")

    def results(self, seconds):
        """Waits for its end; the lines `RESULT name value` it has said."""
        self.expect(r"^RESULT end", seconds)
        return dict(re.findall(r"^RESULT (\S+) (.*)$", self.said, re.MULTILINE))
