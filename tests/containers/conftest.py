"""The engines, each with an image of the static programs; all of it inside the namespaces that jail.sh makes."""

import gzip
import json
import os
import pathlib
import shutil
import subprocess
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
STATIC = pathlib.Path(os.environ["MCP_STATIC"])
PORT = 3001
IMAGE = "localhost/mcp-init:test"
IMAGE_BYTES_MAX = 6_000_000


def run(*words, ok=True, **options):
    """What a command prints; it must end with 0 unless told otherwise."""
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=120, **options)
    if ok and done.returncode != 0:
        pytest.fail(f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def wait_until(what, bound, is_so, story=lambda: ""):
    """Waits for a condition; tells the story when it does not come true."""
    end = time.monotonic() + bound
    while time.monotonic() < end:
        value = is_so()
        if value:
            return value
        time.sleep(0.02)
    pytest.fail(f"not within {bound} s: {what}\n{story()}")


def context(folder):
    """The folder that the image is built in."""
    folder.mkdir(parents=True)
    for name in ("mcp-init", "mcp-runner"):
        shutil.copy(STATIC / name, folder / name)
    shutil.copy(ROOT / "etc/container/Containerfile", folder)
    shutil.copy(ROOT / "etc/container/mcp-init.json", folder)
    (folder / "openapi").mkdir()
    shutil.copy(ROOT / "etc/openapi/pets.json", folder / "openapi")
    (folder / "services.d").mkdir()
    pets = {"mcpConfig": {"port": PORT, "openApiData": "../openapi/pets.json", "baseUrl": "mock"}}
    (folder / "services.d/pets.json").write_text(json.dumps(pets))
    return folder


class Engine:
    """An engine's command line."""

    def __init__(self, name, *prefix):
        self.name, self.prefix = name, prefix

    def __call__(self, *words, **options):
        return run(*self.prefix, *words, **options)

    def sizes(self, folder):
        """Bytes of the image as a registry hands it out, packed, and unpacked."""
        self("save", "--output", folder / "image.tar", IMAGE)
        packed = len(gzip.compress((folder / "image.tar").read_bytes()))
        return packed, int(self("image", "inspect", "--format", "{{.Size}}", IMAGE).stdout)

    def pid(self, container):
        """The pid of its first process, as we see it."""
        return int(self("inspect", "--format", "{{.State.Pid}}", container).stdout)

    def story(self, container):
        """What a reader of a failed test wants to know."""
        done = self("logs", container, ok=False)
        state = self("inspect", "--format", "{{json .State}}", container, ok=False).stdout
        return f"{state}\n{done.stdout}{done.stderr}\n{run('ps', 'axo', 'pid,ppid,stat,args').stdout}"


@pytest.fixture(scope="session")
def podman(tmp_path_factory):
    engine = Engine("podman", "podman")
    folder = context(tmp_path_factory.mktemp("podman") / "context")
    engine("build", "--quiet", "--isolation", "chroot", "--format", "docker", "--tag", IMAGE, folder)
    return engine


@pytest.fixture(scope="session")
def docker(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docker")
    words = ["dockerd", "--storage-driver", "overlay2", "--bridge", "none", "--iptables=false", "--ip6tables=false",
             "--ip-forward=false", "--data-root", folder / "data", "--exec-root", folder / "exec",
             "--pidfile", folder / "pid", "-H", f"unix://{folder}/s", "--oom-score-adjust", "0",
             "--exec-opt", "native.cgroupdriver=cgroupfs"]
    with open(folder / "log", "w") as log:
        daemon = subprocess.Popen([str(word) for word in words], stdout=log, stderr=log)
    # A newer client on the path may speak a newer protocol than Debian's daemon.
    client = "/usr/bin/docker" if os.path.exists("/usr/bin/docker") else "docker"
    engine = Engine("docker", client, "-H", f"unix://{folder}/s")
    story = lambda: (folder / "log").read_text()[-4000:]
    wait_until("dockerd answers", 30, lambda: engine("version", ok=False).returncode == 0, story)
    build = ["build", "--quiet", "--tag", IMAGE, context(folder / "context"), "--file",
             folder / "context/Containerfile"]
    engine(*build, env={**os.environ, "DOCKER_BUILDKIT": "0"})
    yield engine
    daemon.terminate()
    daemon.wait(30)


@pytest.fixture(params=["podman", "docker"])
def engine(request):
    return request.getfixturevalue(request.param)
