"""Tests that take minutes, and the network, are run when they are asked for by their mark."""

import pytest


def pytest_configure(config):
    config.addinivalue_line("markers", "wide: takes minutes; run by make test-all")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("-m"):
        for item in items:
            if "wide" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="wide: make test-all runs it"))
