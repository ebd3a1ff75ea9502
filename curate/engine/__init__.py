"""Carry a recipe out: `run` takes it from questions to a release, and says what became of it.

`pipeline` goes as far as the last filter, for a run as for a probe: `sampling` has the sources make
their rows, `table` cuts them into shards, `chain` takes those through the steps (`measuring`,
`filtering`). `account` tells of it, `limits` ends it.
"""
