"""Under which licence a model is, as far as its folder, its wheels or the Hub say so."""

from pathlib import Path
from typing import Any, Final, cast

import yaml

from curate.models import wheels
from curate.models.references import HUB_SECONDS, hub_errors

_LINE: Final = "---"


def licence_of(ref: str) -> str | None:
    """Find the licence of a model; the Hub is asked where nothing on this machine says it.

    Args:
        ref: a folder, a Hub id, or what a server calls its model.

    Returns:
        As the model's card states it; None where it does not, or the Hub can't be reached within
        seconds.
    """
    if Path(ref).expanduser().is_dir():
        return _of_card(_front_of(Path(ref).expanduser() / "README.md"))
    if offline := wheels.find(ref):
        return offline.licence
    return _of_card(_from_hub(ref))


def _of_card(front: dict[str, Any]) -> str | None:
    """Read a card's metadata, in which ``other`` has its name beside it."""
    licence, name = front.get("license"), front.get("license_name")
    text = name if licence == "other" else licence
    return text if isinstance(text, str) and text else None


def _front_of(card: Path) -> dict[str, Any]:
    try:
        start, front, _ = card.read_text(encoding="utf-8").split(_LINE, 2)
        data = yaml.safe_load(front) if not start.strip() else None
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return cast("dict[str, Any]", data) if isinstance(data, dict) else {}


def _from_hub(ref: str) -> dict[str, Any]:
    from huggingface_hub import HfApi

    try:
        info = HfApi().model_info(ref, timeout=HUB_SECONDS)
    except hub_errors():
        return {}
    return info.card_data.to_dict() if info.card_data else {}
