"""A class that a registry knows for as long as a test lasts."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeVar

from filters.registry import Registry

Kind = TypeVar("Kind")


@contextmanager
def registered(registry: Registry[Kind], kind: Kind) -> Generator[Kind]:
    """Register something, and take it out again, so that no other test meets it."""
    registry.register(kind)
    try:
        yield kind
    finally:
        registry.forget(kind)
