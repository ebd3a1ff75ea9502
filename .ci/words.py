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
    """Give every name that a module binds to a local, an argument, a function or a class."""
    fields = {
        id(line.target)
        for kind in ast.walk(tree)
        if isinstance(kind, ast.ClassDef)
        for line in kind.body
        if isinstance(line, ast.AnnAssign)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Store)
            and id(node) not in fields
        ):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield node.lineno, node.name


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
