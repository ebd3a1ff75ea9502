"""A release: rows that were judged become a dataset on disk, and what was made of it elsewhere.

`write` lays it out (`partition`, `card`), `read` reads it again, `diff` compares two. Its rows as
records are `formats/`, for one trainer `export/`, and where it is published `repositories/`.
"""
