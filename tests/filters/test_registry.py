"""The registry: what is shipped, what packages bring, what a script adds, and who has a name."""

from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from filters import registry
from filters.registry import PlugInError, Registry, field_default, instance_of, subclass_of


class Tool(BaseModel):
    """What the registry of these tests holds."""


class Hammer(Tool):
    """Is listed."""

    use: Literal["hammer"] = "hammer"


class Saw(Tool):
    """Comes with a package."""

    use: Literal["saw"] = "saw"


class Nameless(Tool):
    """Has no field that names it."""


class Unsaid(Tool):
    """Has such a field, and leaves it open."""

    use: Literal["unsaid"]


class AnyWord(Tool):
    """Has such a field, by which a recipe could not tell it from others."""

    use: str = "any"


def another(name: str) -> type[Tool]:
    """Define a class as a cell of a notebook does each time it is run."""

    class Cell(Tool):
        use: Literal["hammer", "cell"] = name  # pyright: ignore[reportAssignmentType]

    return Cell


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Registry[type[Tool]]:
    """A registry with a hammer, and no package that brings more."""
    return plugged(monkeypatch)


def plugged(monkeypatch: pytest.MonkeyPatch, **values: str) -> Registry[type[Tool]]:
    """Make the registry where packages bring more, by entry point and what it names."""
    points = [EntryPoint(name, value, "curate.tools") for name, value in values.items()]
    monkeypatch.setattr(registry, "entry_points", lambda **_: points)
    return Registry("tool", "curate.tools", [Hammer], field_default("use"), subclass_of(Tool))


def test_what_is_listed_plugged_in_and_registered_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tools = plugged(monkeypatch, saw=f"{__name__}:Saw")
    cell = another("cell")
    assert tools.register(cell) is cell
    assert list(tools) == [Hammer, Saw, cell]
    assert tools.names == ["hammer", "saw", "cell"]
    assert tools.shipped_names == ["hammer"]
    assert (tools.get("saw"), tools.get("cell"), tools.get("file")) == (Saw, cell, None)
    assert len(tools) == 3
    assert Saw in tools
    assert Nameless not in tools


def test_a_cell_run_again_takes_its_own_place(tools: Registry[type[Tool]]) -> None:
    changes: list[list[type[Tool]]] = []
    tools.watch(lambda: changes.append(list(tools)))
    first, second = another("cell"), another("cell")
    for cell in (first, first, second, second):
        tools.register(cell)
    assert list(tools) == [Hammer, second]
    assert changes == [[Hammer, first], [Hammer, second]], "told once for each"


def test_a_name_that_is_taken_is_refused(
    tools: Registry[type[Tool]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match=r"there is a tool 'hammer' already .*another name"):
        tools.register(another("hammer"))
    tools.register(Hammer)
    assert list(tools) == [Hammer]
    more = plugged(monkeypatch, saw=f"{__name__}:Saw")
    with pytest.raises(ValueError, match="there is a tool 'hammer' already"):
        more.register(another("hammer"))


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (Hammer(), "is no subclass of Tool"),
        (int, "is no subclass of Tool"),
        (Nameless, r'Nameless has no name for a recipe; .*`use: Literal\["mine"\] = "mine"`'),
        (Unsaid, "Unsaid has no name for a recipe"),
        (AnyWord, "AnyWord has no name for a recipe"),
    ],
)
def test_what_is_none_of_the_kind_is_refused(
    tools: Registry[type[Tool]], item: Any, words: str
) -> None:
    with pytest.raises(TypeError, match=words):
        tools.register(item)
    assert list(tools) == [Hammer]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("nowhere_at_all:Saw", r"ModuleNotFoundError: No module named 'nowhere_at_all'"),
        (f"{__name__}:Spade", "AttributeError"),
        (f"{__name__}:another", "TypeError: .* is no subclass of Tool"),
        (f"{__name__}:Nameless", "TypeError: Nameless has no name"),
        (f"{__name__}:AnyWord", "TypeError: AnyWord has no name"),
        (f"{__name__}:Hammer", "brings a tool 'hammer', and there is one of that name already"),
    ],
)
def test_what_a_package_brings_wrongly_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, value: str, words: str
) -> None:
    tools = plugged(monkeypatch, mine=value)
    asked: list[Callable[[], object]] = [lambda: list(tools), lambda: tools.register(Saw)]
    for ask in asked:
        with pytest.raises(PlugInError, match=words) as caught:
            ask()
        assert "entry point 'mine' of 'curate.tools'" in str(caught.value)
        assert "uninstall the package" in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_package_may_register_what_its_entry_point_names(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A decorator and an entry point for the same class, whichever comes first."""
    tools = plugged(monkeypatch, saw="decorated_tools:Saw")
    (tmp_path / "decorated_tools.py").write_text(
        f"from {__name__} import Saw\nTOOLS.register(Saw)\n".replace("TOOLS", "Saw.tools")
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(Saw, "tools", tools, raising=False)
    assert list(tools) == [Hammer, Saw]
    assert tools.lasting(Saw)
    assert tools.register(Saw) is Saw
    assert list(tools) == [Hammer, Saw]


def test_a_package_that_registers_another_of_the_name_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tools = plugged(monkeypatch, saw=f"{__name__}:Saw")
    monkeypatch.setattr(
        tools, "_load", lambda _: (tools.register(another("cell")), (Saw, "cell"))[1]
    )
    with pytest.raises(PlugInError, match="brings a tool 'cell', and there is one of that name"):
        list(tools)


def test_what_is_taken_out_is_told(tools: Registry[type[Tool]]) -> None:
    cell = tools.register(another("cell"))
    assert not tools.lasting(cell)
    changes: list[list[type[Tool]]] = []
    tools.watch(lambda: changes.append(list(tools)))
    tools.forget(cell)
    assert changes == [[Hammer]]
    assert list(tools) == [Hammer]


def test_things_that_are_no_classes_are_held_to_theirs() -> None:
    words = Registry("word", "curate.words", ["a"], str, instance_of(str))
    assert words.register("b") == "b"
    with pytest.raises(TypeError, match="3 is no str"):
        words.register(3)  # pyright: ignore[reportArgumentType]
