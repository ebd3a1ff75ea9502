"""Threads: as many as cores that may be used, unless the user says otherwise."""

import pytest
import torch

from curate.models import threads


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
