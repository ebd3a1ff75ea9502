"""Columns about rows: what a sample says, how long it is, what it does to the student."""
