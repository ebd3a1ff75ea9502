"""Libraries that not every install has: asked for before a model is fetched or a sample is drawn.

They are only looked for, since importing vLLM or torch takes seconds that a refusal need not.
"""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Final

from curate.errors import ModelError

ENCODER: Final = ("torch", "sentence_transformers")
"""What a sentence encoder needs."""
STUDENT: Final = ("torch", "transformers")
"""What a student loaded here needs."""
SERVED_STUDENT: Final = ("transformers", "aiohttp")
"""What a student behind a server needs; its texts are tokenised here."""
TRAINING: Final = ("torch", "transformers", "trl", "peft")
"""What training a student needs."""
_EXTRAS: Final = {
    "aiohttp": "openai",
    "gguf": "models",
    "peft": "effect",
    "ray": "ray",
    "sentence_transformers": "models",
    "torch": "models",
    "transformers": "models",
    "trl": "effect",
    "vllm": "vllm",
}


def require(libraries: Iterable[str], otherwise: str = "") -> None:
    """Hold that libraries are installed.

    Args:
        libraries: as they are imported.
        otherwise: what can be done without them, a clause.

    Raises:
        ModelError: some are not; the message has the command that installs them.
    """
    lacking = sorted({name for name in libraries if not _is_installed(name)})
    if not lacking:
        return
    extras = {_EXTRAS[name] for name in lacking}
    if "vllm" in extras:
        extras -= {"models"}  # which it brings
    cpu = " (`cpu` in place of `vllm` where there is no NVIDIA GPU)" if "vllm" in extras else ""
    verb = "is" if len(lacking) == 1 else "are"
    raise ModelError(
        f"{' and '.join(lacking)} {verb} not installed; run: pip install "
        f"'curate-rationales[{','.join(sorted(extras))}]'{cpu}{otherwise and f', or {otherwise}'}"
    )


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # something in the way of the import system says no
        return False
