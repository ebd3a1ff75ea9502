"""Mistakes in trees of lists and mappings: a place in them replaced, left out, moved or copied."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

Place = tuple[str | int, ...]


class Verbatim(str):
    """Text that no value of Python's is written as: it is put into a file as it stands."""

    __slots__ = ()


@dataclass(frozen=True)
class Mistakes:
    """What is put where something else was wanted.

    Attributes:
        keys: of a mapping, draws a key for it.
        values: of a list or mapping, and a place in it or a key, draws what is put there.
    """

    keys: Callable[[Mapping[str, Any]], st.SearchStrategy[str]]
    values: Callable[[object, str | int], st.SearchStrategy[Any]]


@st.composite
def mutated(draw: st.DrawFn, base: Any, mistakes: Mistakes, counts: tuple[int, ...]) -> Any:
    """Draw a tree that differs from a good one at a few places.

    Args:
        draw: Hypothesis'.
        base: the good one; it stays as it is.
        mistakes: what is put into it.
        counts: how many mistakes there may be, each as likely as it stands here often.
    """
    tree = deepcopy(base)
    for _ in range(draw(st.sampled_from(counts))):
        if spots := places(tree):
            _change(draw, tree, draw(st.sampled_from(spots)), mistakes)
    return tree


def places(tree: Any, here: Place = ()) -> list[Place]:
    """List the places of a tree; what is in a list or mapping stands behind it."""
    if isinstance(tree, dict):
        inside = [place for key in tree for place in places(tree[key], (*here, key))]
    elif isinstance(tree, list):
        inside = [place for i, item in enumerate(tree) for place in places(item, (*here, i))]
    else:
        inside = []
    return [*([here] if here else []), *inside]


def put_verbatim(tree: Any, write: Callable[[Any], str]) -> str:
    """Write a tree, with what is `Verbatim` in it as it stands.

    Args:
        tree: of lists and mappings.
        write: makes a text of a tree without `Verbatim`; writes a word as it is, quoted or not.
    """
    texts: list[str] = []

    def marked(node: Any) -> Any:
        if isinstance(node, Verbatim):
            texts.append(node)
            return f"VERBATIM{len(texts) - 1}END"
        if isinstance(node, dict):
            return {marked(key): marked(value) for key, value in node.items()}
        return [marked(item) for item in node] if isinstance(node, list) else node

    written = write(marked(tree))
    for number, text in reversed(list(enumerate(texts))):
        mark = f"VERBATIM{number}END"
        written = written.replace(f'"{mark}"', text).replace(mark, text)
    return written


def _at(tree: Any, place: Place) -> Any:
    for step in place:
        tree = tree[step]
    return tree


def _change(draw: st.DrawFn, tree: Any, place: Place, mistakes: Mistakes) -> None:
    """Change one place, or put something beside it."""
    holder, step = _at(tree, place[:-1]), place[-1]
    value = holder[step]
    kinds = ("replace", "replace", "add", "add", "delete", "copy", "swap", "wrap", "rename")
    match draw(st.sampled_from(kinds)):
        case "replace":
            holder[step] = draw(mistakes.values(holder, step))
        case "wrap":
            forms = ([value], {"a": value}, [value, deepcopy(value)], str(value))
            holder[step] = draw(st.sampled_from(forms))
        case "delete":
            del holder[step]
        case "add" if isinstance(holder, dict):
            key = draw(mistakes.keys(holder))
            holder[key] = draw(mistakes.values(holder, key))
        case "rename" if isinstance(holder, dict):
            holder[draw(mistakes.keys(holder))] = holder.pop(step)
        case "add" | "rename":
            holder.insert(step, draw(mistakes.values(holder, step)))
        case kind:
            _move(draw, tree, place, swapped=kind == "swap")


def _move(draw: st.DrawFn, tree: Any, place: Place, *, swapped: bool) -> None:
    """Put what stands elsewhere at a place, and what stood there elsewhere if that is wanted."""
    other = draw(st.sampled_from(places(tree)))
    holder, elsewhere = _at(tree, place[:-1]), _at(tree, other[:-1])
    value, copied = holder[place[-1]], deepcopy(elsewhere[other[-1]])
    within = place[: len(other)] == other or other[: len(place)] == place
    if swapped and not within:
        elsewhere[other[-1]] = value
    holder[place[-1]] = copied
