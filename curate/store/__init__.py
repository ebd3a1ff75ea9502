"""What was paid for, kept row by row under keys of content (`record`), and what is derived from it.

`keys` says what identity is: no key holds a shard, a place, a time, or anything of `runtime`.
`whole` writes a file so that nobody reads half of it; the rooms above write theirs with it too.
"""
