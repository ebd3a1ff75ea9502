"""Threads: as many as cores that may be used, unless the user says otherwise."""

import subprocess
import sys

import pytest
import torch

from curate.backends import threads

ASK = """
import torch
from curate.backends.threads import use_own_cores
use_own_cores()
print(torch.get_num_threads())
"""


@pytest.mark.parametrize(("said", "expected"), [("", 1), ("2", 2)])
def test_a_quota_counts_where_nobody_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, said: str, expected: int
) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setattr(threads, "cpu_count", lambda **_: 1)
    torch.set_num_threads(2)
    try:
        threads.use_own_cores()
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)


def test_a_bound_process_uses_the_core_it_is_bound_to() -> None:
    asked = subprocess.run(
        ["taskset", "-c", "0", sys.executable, "-c", ASK],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert asked.stdout.strip() == "1"
