"""Benchmarks: figures in tables, never a timed test."""
