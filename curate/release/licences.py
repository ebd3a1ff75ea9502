"""The licences that the Hub knows by an id, which a card's metadata has to name exactly."""

from difflib import get_close_matches
from typing import Final

OTHER: Final = "other"
"""Of a licence that is none of these, whose name stands beside it."""
# The table of https://huggingface.co/docs/hub/repositories-licenses, as of August 2026.
LICENCES: Final = (
    "apache-2.0", "mit", "openrail", "bigscience-openrail-m", "creativeml-openrail-m",
    "bigscience-bloom-rail-1.0", "bigcode-openrail-m", "afl-3.0", "artistic-2.0", "bsl-1.0", "bsd",
    "bsd-2-clause", "bsd-3-clause", "bsd-3-clause-clear", "c-uda", "cc", "cc0-1.0", "cc-by-2.0",
    "cc-by-2.5", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-2.0",
    "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-nc-nd-3.0", "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-2.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cdla-sharing-1.0",
    "cdla-permissive-1.0", "cdla-permissive-2.0", "wtfpl", "ecl-2.0", "epl-1.0", "epl-2.0",
    "etalab-2.0", "eupl-1.1", "eupl-1.2", "agpl-3.0", "gfdl", "gpl", "gpl-2.0", "gpl-3.0", "lgpl",
    "lgpl-2.1", "lgpl-3.0", "isc", "h-research", "intel-research", "lppl-1.3c", "ms-pl",
    "apple-ascl", "apple-amlr", "mpl-2.0", "odc-by", "odbl", "openmdw-1.0", "openmdw-1.1",
    "openrail++", "osl-3.0", "postgresql", "ofl-1.1", "ncsa", "unlicense", "zlib", "pddl",
    "lgpl-lr", "deepfloyd-if-license", "fair-noncommercial-research-license", "llama2", "llama3",
    "llama3.1", "llama3.2", "llama3.3", "llama4", "grok2-community", "gemma", "unknown", "other",
)  # fmt: skip


def refuse_unknown(licence: str) -> None:
    """Refuse what the Hub would refuse in a card.

    Raises:
        ValueError: it is no id; the message has the nearest one, whatever its case and spaces.
    """
    if licence in LICENCES and licence != OTHER:
        return
    written = licence.strip().lower().replace(" ", "-").removesuffix("-license")
    near = [] if licence == OTHER else get_close_matches(written, LICENCES, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ValueError(
        f"a card wants an id that the Hub knows; {hint}They are listed at "
        "huggingface.co/docs/hub/repositories-licenses; of any other licence write the name: "
        "`licence: {name: my-licence-1.0, link: https://...}`"
    )
