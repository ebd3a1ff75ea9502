"""The recipe: what is wanted, checked before anything is paid for.

`model` says what can be wanted, `files` reads it, `plan` orders its steps, `lock` pins what it
leaves open; `init` and `pool` write a first one, `repeat` reads somebody else's with care.
"""
