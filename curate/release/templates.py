"""The templates of cards and their kin, with filters for text that is not ours."""

import html
import re
from typing import Any, cast

from jinja2 import Environment, PackageLoader, StrictUndefined

from curate.errors import count_of


def _plain(text: object) -> str:
    """Escape text that is not ours: no HTML, no markdown, one line."""
    flat = html.escape(" ".join(str(text).split()), quote=False)
    return re.sub(r"([\\`*\[\]|#~]|(?<!\w)_|_(?!\w))", r"\\\1", flat)


def _code(text: object) -> str:
    """Quote a name or value as code, in a table too."""
    quoted = " ".join(str(text).split()).replace("`", "'").replace("|", "\\|")
    return f"`{quoted}`"


def _block(text: object) -> str:
    """Quote text of many lines for a ``<pre>`` element."""
    return html.escape(str(text), quote=False)


def environment(package: str = "curate.release") -> Environment:
    """Open the templates in a package's ``texts``, with filters for text that is not ours."""
    environment = Environment(
        loader=PackageLoader(package, "texts"),
        autoescape=False,  # noqa: S701 - markdown; what is not ours goes through the filters below
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(plain=_plain, code=_code, block=_block)
    environment.filters["count_of"] = cast("Any", count_of)
    return environment
