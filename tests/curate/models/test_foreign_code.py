"""A model folder from elsewhere brings data; code that lies in it is never run."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoConfig, dynamic_module_utils

from curate.errors import ModelError
from curate.models.encoder import Encoder
from curate.models.students.scorer import load_scorer
from curate.models.students.tokenizing import load_context, load_tokenizer
from curate.models.teachers.base import Sampling
from curate.models.teachers.options import Teacher, VllmOptions
from curate.models.teachers.vllm_engine import EngineGenerator

STUDENT = Path(__file__).parents[2] / "stores" / "sums" / "student"
CODE = """
import os
from pathlib import Path

Path(os.environ["MARK"]).touch()
raise RuntimeError("code of a model was run")
"""


def rewrite(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a model whose configuration, tokenizer and modules all name code beside them."""
    folder = tmp_path / "model"
    shutil.copytree(STUDENT, folder)
    (folder / "evil.py").write_text(CODE)
    config = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    rewrite(folder / "config.json", model_type="evil", auto_map=config)
    tokenizer = {"AutoTokenizer": ["evil.Tokenizer", "evil.Tokenizer"]}
    rewrite(folder / "tokenizer_config.json", tokenizer_class="Evil", auto_map=tokenizer)
    modules = [{"idx": 0, "name": "0", "path": "", "type": "evil.Module"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    monkeypatch.setenv("MARK", str(tmp_path / "ran"))
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "cache"))
    # Somebody who stands in the folder would find its modules by name.
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend("")
    # Whoever asks whether to run it is told yes.
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    return folder


def teacher(folder: Path) -> EngineGenerator:
    return EngineGenerator(
        Teacher("evil"), Sampling(), VllmOptions(), path=folder, folder=folder / "engine"
    )


@pytest.mark.parametrize(
    "load",
    [
        load_tokenizer,
        load_context,
        lambda folder: load_scorer(folder, "float32"),
        lambda folder: teacher(folder)._tokenizer,
        lambda folder: teacher(folder)._config,
        Encoder,
    ],
    ids=["tokenizer", "context", "student", "teacher-tokenizer", "teacher-config", "encoder"],
)
def test_code_in_a_model_is_not_run(model: Path, load: Callable[[Path], object]) -> None:
    with pytest.raises(ModelError):
        load(model)
    assert not Path(os.environ["MARK"]).exists()


def test_it_would_leave_a_mark(model: Path) -> None:
    with pytest.raises(RuntimeError, match="code of a model was run"):
        AutoConfig.from_pretrained(str(model), trust_remote_code=True)
    assert Path(os.environ["MARK"]).exists()
