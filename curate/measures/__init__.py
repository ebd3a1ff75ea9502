"""Measures write columns about rows; they judge nothing."""
