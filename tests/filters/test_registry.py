"""The registry: what is shipped, what packages bring, what a script adds, and who has a name."""

import re
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from filters import registry
from filters.registry import Registry, field_default, instance_of, subclass_of


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


class TwoWords(Tool):
    """Has such a field, by which a recipe could mean two."""

    use: Literal["two", "hammer"] = "two"


class AnyWord(Tool):
    """Has such a field, by which a recipe could not tell it from others."""

    use: str = "any"


class Half(Tool):
    """Has a field of a type that is not defined."""

    use: Literal["half"] = "half"
    size: "Nowhere"  # noqa: F821  # pyright: ignore[reportUndefinedVariable]


def another(name: str) -> type[Tool]:
    """Define a class as a cell of a notebook does each time it is run."""

    class Cell(Tool):
        use: Literal[name] = name  # pyright: ignore[reportInvalidTypeForm]

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
        (TwoWords, "TwoWords has no name for a recipe"),
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
        (f"{__name__}:Half", "PydanticUndefinedAnnotation: name 'Nowhere' is not defined"),
        (f"{__name__}:Hammer", "brings a tool 'hammer', and there is one of that name already"),
    ],
)
def test_what_a_package_brings_wrongly_is_told_in_one_line_and_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, value: str, words: str
) -> None:
    monkeypatch.setattr(registry, "_TOLD", set())
    tools = plugged(monkeypatch, mine=value)
    assert list(tools) == [Hammer]
    tools.register(Saw)
    assert list(tools) == [Hammer, Saw]
    (said,) = caplog.messages
    fault = tools.fault("mine")
    assert fault
    assert re.search(words, fault)
    assert said == f"{fault}. What does not name it goes on without"
    assert "entry point 'mine' of 'curate.tools'" in said
    assert "uninstall" in said
    assert "\n" not in said
    assert tools.fault("hammer") is None, "what is shipped has the name, whoever wants it"
    assert tools.fault("saw") is None


LEAVING = {
    "an exit": ("raise SystemExit(3)", "SystemExit: 3"),
    "no Python": ("def mine(:", "SyntaxError: invalid syntax"),
    "more than one line": (r"raise ValueError('a\nb')", r"ValueError: a b\)"),
}


@pytest.mark.parametrize("wrong", LEAVING)
def test_a_module_of_five_things_is_told_of_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path, wrong: str
) -> None:
    text, words = LEAVING[wrong]
    (tmp_path / "leaving_tools.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(registry, "_TOLD", set())
    for name in ("saw", "mine"):
        assert list(plugged(monkeypatch, **{name: f"leaving_tools:{name.title()}"})) == [Hammer]
    (said,) = caplog.messages
    assert re.search(words, said)


def test_of_two_packages_with_one_name_neither_is_chosen(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(registry, "_TOLD", set())
    monkeypatch.setitem(globals(), "OtherSaw", another("saw"))
    monkeypatch.setitem(globals(), "ThirdSaw", another("saw"))
    values = {"mine": f"{__name__}:Saw", "yours": f"{__name__}:OtherSaw"}
    tools = plugged(monkeypatch, **values, third=f"{__name__}:ThirdSaw")
    assert list(tools) == [Hammer]
    fault = tools.fault("saw")
    assert fault
    assert re.search(r"'third' .* and .*'mine' .* both bring a tool 'saw'; uninstall one", fault)
    assert len(caplog.messages) == 2, "one for each that comes to a name that is taken"
    mine = tools.register(Saw)
    assert tools.get("saw") is mine
    assert tools.fault("saw") is None


def test_what_is_broken_holds_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = plugged(monkeypatch, saw="nowhere_at_all:Saw", other=f"{__name__}:Saw")
    assert list(tools) == [Hammer, Saw]
    assert tools.fault("saw") is None


def test_one_class_may_have_two_entry_points(monkeypatch: pytest.MonkeyPatch) -> None:
    tools = plugged(monkeypatch, saw=f"{__name__}:Saw", old=f"{__name__}:Saw")
    assert list(tools) == [Hammer, Saw]


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
    assert tools.register(Saw) is Saw
    assert list(tools) == [Hammer, Saw]


def test_a_package_that_registers_another_of_the_name_is_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(registry, "_TOLD", set())
    tools = plugged(monkeypatch, saw=f"{__name__}:Saw")
    monkeypatch.setattr(
        tools, "_load", lambda _: (tools.register(another("cell")), (Saw, "cell"))[1]
    )
    (cell,) = set(tools) - {Hammer}
    assert cell is not Saw
    assert "brings a tool 'cell', and there is one of that name" in caplog.text


def test_what_is_taken_out_is_told(tools: Registry[type[Tool]]) -> None:
    cell = tools.register(another("cell"))
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
