"""The digest of code that nobody versions: a filter of a plug-in, or of a module beside a script.

What such code worked out is kept under the text of the files that it stands in, so that an edit is
seen and nothing else is done again. Libraries are left out: a filter names those whose version can
change a verdict (`libraries`). What is given up is to keep anything of a class that was typed into
a script or a notebook: its functions may come from any cell, and no file says which ran.
"""

import ast
import hashlib
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Final

from curate.store.keys import key

_SHIPPED: Final = frozenset({"curate", "filters"})
_STANDARD: Final = _SHIPPED | sys.stdlib_module_names


def source_digest(kind: type) -> str | None:
    """Hash the files in which a class, its bases and the modules that they import are written.

    Returns:
        32 hex digits; empty for a class of this project, whose `version` is raised; None where it
        can't be told what runs: the class was typed in, or made in a function, whose variables it
        may use; or a file changed since this process began, and may have been imported before.
    """
    classes = _own_classes(kind)
    if any("<locals>" in one.__qualname__ for one in classes):
        return None
    homes = {one.__module__ for one in classes}
    own = {_top(name) for name in homes}
    texts: dict[str, str] = {}
    waiting = sorted(homes)
    while waiting:
        name = waiting.pop()
        spec = None if name in texts else _spec(name)
        if spec is None or spec.origin is None or _is_library(name, own):
            continue
        text = _text_as_imported(Path(spec.origin))
        if text is None:
            return None
        texts[name] = hashlib.sha256(text).hexdigest()
        waiting += _imports(text, spec) if spec.origin.endswith(".py") else ()
    if homes - texts.keys():
        return None
    return key(texts) if texts else ""


def _own_classes(kind: type) -> list[type]:
    """List a class and its bases, but for those of this project and theirs."""
    shipped = [one for one in kind.__mro__ if _top(one.__module__) in _SHIPPED]
    return [one for one in kind.__mro__ if not any(issubclass(other, one) for other in shipped)]


def _top(module: str) -> str:
    return module.partition(".")[0]


def _spec(name: str) -> ModuleSpec | None:
    """Find where a module is, or would be, imported from; nothing is imported for that."""
    if name in sys.modules:
        typed_in = name == "__main__"
        return None if typed_in else getattr(sys.modules[name], "__spec__", None)
    parent = name.rpartition(".")[0]
    if not parent:
        return find_spec(name)
    above = _spec(parent)
    folders = above.submodule_search_locations if above else None
    return PathFinder.find_spec(name, folders) if folders else None


def _is_library(name: str, own: set[str]) -> bool:
    """Tell what has a version from what somebody may be writing just now."""
    top = _top(name)
    if top in own:
        return False
    spec = _spec(top)
    places = [*(spec.submodule_search_locations or ()), spec.origin] if spec else []
    return top in _STANDARD or any(_holds_packages(Path(each).parent) for each in places if each)


@cache
def _holds_packages(folder: Path) -> bool:
    return any(folder.glob("*.dist-info"))


def _text_as_imported(file: Path) -> bytes | None:
    """Read a file; None where it may not be what this process imported."""
    import psutil

    try:
        text, changed = file.read_bytes(), file.stat().st_mtime
    except OSError:
        return None
    return text if changed <= psutil.Process().create_time() else None


def _imports(text: bytes, spec: ModuleSpec) -> Iterator[str]:
    """Name what a module imports anywhere, and the packages that are imported with it.

    A module that is found and can't be imported, being of another Python, leads nowhere.
    """
    names = [spec.name]
    with suppress(SyntaxError, ValueError, ImportError):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names += [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom):
                home = "." * node.level + (node.module or "")
                home = resolve_name(home, spec.parent) if node.level else home
                names += [home, *(f"{home}.{each.name}" for each in node.names)]
    for name in names:
        parts = name.split(".")
        yield from (".".join(parts[:count]) for count in range(1, len(parts) + 1))
