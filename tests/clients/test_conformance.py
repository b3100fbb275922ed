"""The conformance suite against the runner. What is expected to fail is committed with its reasons; the suite
itself fails when one of these passes, so the lists cannot grow stale."""

import os
import subprocess

import pytest
from conftest import MODULES, NODE, ROOT


@pytest.mark.parametrize("revision", ["2025-11-25", "2026-07-28"])
def test_requirements_of(revision, pets, tmp_path):
    expected = ROOT / f"tests/conformance/expected-{revision}.yml"
    command = [
        NODE, MODULES / ".bin/conformance", "server", "--url", pets.endpoint,
        "--requirements", revision, "--expected-failures", expected, "--output-dir", tmp_path,
    ]
    environment = {**os.environ, "NO_COLOR": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
