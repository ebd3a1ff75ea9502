"""Scores side by side: where they agree, what each would take, what it sees, and of which teacher.

`pool` lays the scored rows of a run out as arrays; one module a question that is asked of them;
`comparison` puts the answers together, `view` shows them at a terminal.
"""
