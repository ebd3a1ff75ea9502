"""Refuse names that say nothing: locals are nouns, and a thing has one name.

A bare participle (``found``, ``told``) leaves the reader to carry in the head what was found; and
what the glossary calls a filter and a measure is called so everywhere.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

PARTICIPLES = {"found", "known", "told", "said", "given", "asked", "there", "mine"}
OTHER_NAMES = {
    "gate": "filter", "gates": "filters", "gauge": "measure", "gauges": "measures",
    "Ran": "ChainResult", "Passed": "PipelineResult", "Drawn": "SourceResult",
    "Drawing": "Sampler", "Teaching": "TeacherSetup", "Measured": "MeasureResult",
    "Judged": "ShardVerdicts", "Instruments": "MeasureSetups",
}  # fmt: skip
"""Names that the glossary has another word for."""


def names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Give every name that a module binds itself: imports have the names of others."""
    fields = {
        id(line.target)
        for kind in ast.walk(tree)
        if isinstance(kind, ast.ClassDef)
        for line in kind.body
        if isinstance(line, ast.AnnAssign)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Name(ctx=ast.Store()) if id(node) not in fields:
                yield node.lineno, node.id
            case ast.arg():
                yield node.lineno, node.arg
            case (
                ast.ClassDef(name=str(name))
                | ast.FunctionDef(name=str(name))
                | ast.AsyncFunctionDef(name=str(name))
                | ast.ExceptHandler(name=str(name))
                | ast.MatchAs(name=str(name))
                | ast.MatchStar(name=str(name))
            ):
                yield node.lineno, name
            case _:
                pass


def main(*folders: str) -> int:
    """Check every module below some folders; tell where a name is none."""
    refused = 0
    for path in sorted(path for folder in folders for path in Path(folder).rglob("*.py")):
        for line, name in names(ast.parse(path.read_text(encoding="utf-8"))):
            if name in PARTICIPLES:
                hint = "say what it is: a noun"
            elif name in OTHER_NAMES:
                hint = f"the glossary calls it {OTHER_NAMES[name]}"
            else:
                continue
            refused += 1
            sys.stdout.write(f"{path}:{line}: {name!r}: {hint}\n")
    return min(refused, 1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
