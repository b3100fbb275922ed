"""The conformance suite against the runner. What is expected to fail is committed with its reasons; the suite
itself fails when one of these passes, so the lists cannot grow stale."""

import os
import subprocess

import pytest
from conftest import MODULES, NODE, ROOT


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_requirements_of(revision, served, pets, tmp_path):
    expected = tmp_path / "expected.yml"
    text = (ROOT / f"tests/conformance/expected-{revision}.yml").read_text()
    # A bridge has the sessions that this one needs.
    expected.write_text(text.replace("  - server-sse-multiple-streams\n", "") if "command" in served else text)
    command = [
        NODE, MODULES / ".bin/conformance", "server", "--url", pets.endpoint,
        "--requirements", revision, "--expected-failures", expected, "--output-dir", tmp_path,
    ]
    environment = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
