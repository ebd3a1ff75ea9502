"""Fixtures and options every test may use."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# No timed tests: how long a drawn case takes says more about the machine than about the code.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# The same cases on every run, so that a change is judged by what it changed. `make fuzz` looks
# for new ones; what it finds becomes an example in a test of its own.
settings.register_profile(
    "steady", settings.get_profile("untimed"), max_examples=30, derandomize=True
)
settings.register_profile("fuzz", settings.get_profile("untimed"), max_examples=1000)
settings.load_profile("steady")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--no-skips", action="store_true", help="fail when a test was skipped that need not be"
    )
    parser.addoption("--tenth", metavar="SEED", help="run a tenth of the tests, chosen by SEED")


# After the choice by marker: a tenth of all tests may hold not one of the slow ones.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    seed = config.getoption("--tenth")
    if seed is None or not items:
        return
    ranked = sorted(items, key=lambda i: hashlib.sha256(f"{seed} {i.nodeid}".encode()).digest())
    chosen = set(ranked[: -(-len(items) // 10)])
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = [item for item in items if item in chosen]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None:  # of several processes one reports for all
        return
    if exitstatus == 0 and session.config.getoption("--no-skips") and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of real teacher rationales; its README is the catalogue."""
    folder = os.environ.get("CURATE_TEST_DATA")
    if not folder:
        pytest.skip("CURATE_TEST_DATA is not set: no real rationales to test on")
    return Path(folder)
