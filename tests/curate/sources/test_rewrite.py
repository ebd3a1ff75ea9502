"""Rewrite goes on from samples that are there: which ones, in how many rounds, under which ids."""

from tests.curate.sources.laws import Example

EXAMPLE = Example(
    {"of": "solutions", "name": "anew", "model": "tiny", "samples": 2},
    beside={"use": "gold", "name": "solutions"},
)
