"""Recipes with mistakes in them: good ones whose tree or whose bytes were changed at random."""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

import yaml
from hypothesis import strategies as st

from tests.curate.mutations import Mistakes, Verbatim, mutated, put_verbatim

ROOT: Final = Path(__file__).parents[3]
SCHEMA: Final[dict[str, Any]] = json.loads((ROOT / "recipes" / "recipe.schema.json").read_text())
SECTIONS: Final[list[dict[str, Any]]] = [
    section["properties"]
    for section in (SCHEMA, *SCHEMA["$defs"].values())
    if "properties" in section
]
"""The keys that may stand beside each other, each with what may stand there."""


def allowed(node: Mapping[str, Any], depth: int = 4) -> list[Any]:
    """Give values that the schema has nothing against, and numbers at its bounds."""
    if not depth:
        return []
    if "$ref" in node:
        return allowed(SCHEMA["$defs"][node["$ref"].rpartition("/")[2]], depth - 1)
    if parts := node.get("anyOf", node.get("oneOf")):
        return [value for part in parts for value in allowed(part, depth)]
    if "const" in node or "enum" in node:
        return [node["const"]] if "const" in node else node["enum"]
    kinds: dict[str | None, Callable[[Mapping[str, Any], int], list[Any]]] = {
        "boolean": lambda _node, _depth: [True, False],
        "null": lambda _node, _depth: [None],
        "string": lambda _node, _depth: ["x", *TEXTS],
        "integer": lambda node, _: _numbers(node),
        "number": lambda node, _: [0.5, *_numbers(node)],
        "array": lambda node, depth: [
            [], *([value] for value in allowed(node.get("items", {}), depth - 1))
        ],
        "object": _objects,
    }  # fmt: skip
    find = kinds.get(node.get("type"))
    return find(node, depth) if find else []


def _numbers(node: Mapping[str, Any]) -> list[float]:
    least = node.get("minimum", node.get("exclusiveMinimum", 0))
    most = node.get("maximum", node.get("exclusiveMaximum", 10**30))
    return [least, most, least + 1, least + 3]


def _objects(node: Mapping[str, Any], depth: int) -> list[dict[str, Any]]:
    """Give an object of what must be in it."""
    fields = node.get("properties", {})
    needed = [(name, allowed(fields[name], depth - 1)) for name in node.get("required", ())]
    return [{name: choices[0] for name, choices in needed if choices}]


KEYS: Final = (
    *sorted({name for section in SECTIONS for name in section}), "", " ", "Name", "name ", "a.b",
    "self", "model_config", "__class__", "x" * 3000, "\ud800", "\u202e", "{{ x }}",
    *map(Verbatim, ("1", "null", "on", "2026-01-01", "? [a]", "? {a: b}", "<<")),
    *map(Verbatim, ("!!binary aGk=", "*x")),
)  # fmt: skip
NUMBERS: Final = (
    0, 1, 2, 3, -1, 0.5, 1.0, 1e-9, 1e300, -1e300, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64,
    -(2**63), 10**30, 10**400, float("inf"), float("-inf"), float("nan"), 5e-324,
)  # fmt: skip
TEXTS: Final = (
    "", " ", "x", "0", "yes", "\n", "\t", "\x00", "\x1b[31m", "\x85", "\ud800", "\udcff", "\ufeff",
    "\u202e", "\u2028", "e\u0301", "\U0001f600", "x" * 5000, "a/" * 3000, ".", "..", "../..", "/",
    "//", "~", "~nobody/x", "~/x", "*", "**", "**/*", "[", "?", "here.jsonl", "nothing.jsonl",
    "folder", "folder/", "folder/*", "empty.jsonl", "binary.parquet", "loop", "fifo", "file:///x",
    "file://~", "hf://", "hf://datasets", "hf://datasets/nobody/nothing", "hf://nobody/nothing",
    "hf://datasets/a", "http://127.0.0.1:9/v1", "http://", "http://[", "http://\ud800/",
    "https://x:y@z:99999/", "s3://x", "${", "${}", "${NOTHING}", "${HOME}", "${EMPTY}", "{{ x }}",
    "{% for x in y %}", "{{", "{answer}", "{answer}{answer}", "{answer.__class__}", "{answer!r:>9}",
    "%s", "\\", "(", ")", "(.+)", "(a)(b)", "(a+)+$", "((.*)*)*x", "(?:x|y)*(\\w+\\s?)+!",
    "(?P<x>.)", "(?i)(.)", "(\\1)", "(?<=(.))x", "(.)*", "([", "(?", "(*)", "(x{99999999})",
    "(x{2,1})", "(()*)", "(?#)()", "()", "-", "-x", "a:b", "lowest:x", "lowest:",
    "highest:rationale_words", "lowest:question", "shortest", "random", "all", "all_correct",
    "without:", "without:correctness", "random_correct", "-rationale_words", "rationale_words",
    "question", "cluster", "live", "selected", "verdict_correctness", "sample_id", "rd_masked",
    "1.0.0", "1.0.0-x", "99999999999999999999.0.0", "org/name", "me/x y", "file:///dev/null",
    "apache-2.0", "MIT", "en", "2026-01-01", "1e5", "0x1f", "1:30", "null", "true", "nan",
)  # fmt: skip
WRITTEN: Final = tuple(
    map(
        Verbatim,
        (
            "9" * 5000, "-" + "9" * 5000, "0x" + "f" * 5000, "1" * 400 + ".5", "1e999", "1_000",
            "0o9", "190:20:30", "2026-13-45", "2026-01-01", "2026-01-01T25:00:00Z",
            "2001-12-14t21:59:43.1-05:00", "!!int many", "!!int ''", "!!float x", "!!bool maybe",
            "!!null x", "!!binary '%%%'", "!!binary aGk=", "!!set {a, b}", "!!omap [a: 1]",
            "!!pairs [a: 1, a: 2]", "!!timestamp x", "!!python/object/apply:os.getcwd []",
            "!!python/tuple [1]", "!!str [a]", "!!map [a]", "!!seq {a: b}", "!x y", "!", "!!",
            "!<tag:yaml.org,2002:int> x", "&a [*a]", "&a {b: *a}", "*nobody", "&a", "&a &b x",
            "[" * 50 + "]" * 50, "{a: " * 50 + "}" * 50, "[" * 3000 + "]" * 3000,
            "{a: " * 3000 + "}" * 3000, "{<<: {a: 1}}", "{<<: [1]}", "{<<: x}", "{a: 1, a: 2}",
            "{[a]: b}", "{{a: b}: c}", "{null: 1}", "{1: 2}", "{? a}", "[a, b", "{a", "'", '"',
            '"\\x"', '"\\ud800"', '"\\U00110000"', "@x", "`x", "%x", "|", ">-", "- x", "a: b: c",
            "#", "~", ".inf", "-.INF", ".NaN", "=", "<<", "---", "...", "\\", "? x", "\t", "\x00",
            "\x85", "\ufeff", "\uffff", "[" + "x, " * 30000 + "]",
        ),
    )
)  # fmt: skip
BYTES: Final = (
    b"\x00", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80",
    b"\x80", b"\r", b"\t", b"\n", b"\x1b[2J", b"\x85", b"\xe2\x80\xa8", b"'", b'"', b"{", b"}",
    b"[", b"]", b": ", b"- ", b"#", b"&a ", b"*a", b"!!int ", b"---\n", b"...\n",
    b"%YAML 9.9\n---\n", b"<<: ", b"? ", b"|\n", b" ", b"@",
)  # fmt: skip

hostile: Final = (
    st.sampled_from(TEXTS)
    | st.sampled_from(NUMBERS)
    | st.sampled_from((None, True, False, [], {}, [[]], [None], [{}], {"a": {}}, ["x"] * 200))
    | st.sampled_from(WRITTEN)
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
)


def fitting(holder: object) -> dict[str, list[Any]]:
    """Give the keys that may stand in a mapping, with values that may stand there."""
    if not isinstance(holder, dict):
        return {}
    sections = [section for section in SECTIONS if holder.keys() <= section.keys()]
    return {name: allowed(node) for section in sections for name, node in section.items()}


def _mostly(choices: list[Any], others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw two of three from a list, where it holds anything."""
    kinds = [others, *([st.sampled_from(choices)] * 2 if choices else [])]
    return st.sampled_from(kinds).flatmap(lambda kind: kind)


MISTAKES: Final = Mistakes(
    keys=lambda holder: _mostly(
        [name for name in fitting(holder) if name not in holder], st.sampled_from(KEYS)
    ),
    values=lambda holder, key: _mostly(fitting(holder).get(str(key), []), hostile).map(deepcopy),
)
"""Two of three fit, as far as the schema goes."""


def as_yaml(tree: Any) -> bytes:
    """Write a tree as YAML, without anchors of our own; half a surrogate becomes three bytes."""

    def write(plain: Any) -> str:
        return yaml.dump(plain, Dumper=_Plain, sort_keys=False, width=10**6)

    return put_verbatim(tree, write).encode("utf-8", "surrogatepass")


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        del data
        return True


@st.composite
def texts(draw: st.DrawFn, base: Any) -> bytes:
    """Draw a recipe whose bytes are not as they were."""
    data = bytearray(as_yaml(base))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, max(len(data) - 1, 0)))
        end = min(len(data), start + draw(st.integers(1, 40)))
        match draw(st.sampled_from(("insert", "flip", "cut", "end", "twice"))):
            case "insert":
                data[start:start] = draw(st.sampled_from(BYTES))
            case "flip" if data:
                data[start] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[start:end]
            case "twice":
                data[end:end] = data[start:end]
            case _:
                del data[end:]
    encoding = draw(
        st.sampled_from(
            ("", "", "", "", "", "utf-16", "utf-16-be", "utf-32", "utf-8-sig", "cp1252")
        )
    )
    text = bytes(data)
    return text.decode("utf-8", "replace").encode(encoding, "replace") if encoding else text


@st.composite
def mutants(draw: st.DrawFn, base: Any) -> bytes:
    """Draw what a recipe becomes by mistake: of five, four are still mostly YAML."""
    if draw(st.sampled_from((False, False, False, False, True))):
        return draw(texts(base))
    return as_yaml(draw(mutated(base, MISTAKES, (1, 1, 1, 2, 3))))
