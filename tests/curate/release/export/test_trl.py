"""TRL's own trainers on what we export: they train, and the loss is on the completion alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from curate.release.export.export import ExportOptions, export
from tests.curate.byte_tokenizer import byte_tokenizer
from tests.curate.models.small_students import llama
from tests.curate.models.test_rendering import CHATML
from tests.curate.release.export.trl_steps import two_steps

BEGUN = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"


def student(folder: Path, template: str | None) -> Path:
    llama().save_pretrained(folder)
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def chatting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return student(tmp_path_factory.mktemp("chatting"), CHATML + BEGUN)


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]


def test_sft_learns_the_assistants_turn(sums_run: Path, chatting: Path, tmp_path: Path) -> None:
    folder = export(sums_run, "trl", ExportOptions(out=tmp_path / "export")).folder
    told = two_steps("sft", chatting, folder, tmp_path)
    assert len(told["losses"]) == 2
    turns = [record["completion"][0]["content"] for record in records(folder)]
    assert told["learnt"] == sorted(turn + "<|im_end|>\n" for turn in turns)


def test_sft_learns_the_completion_of_a_student_without_a_template(
    sums_run: Path, tmp_path: Path
) -> None:
    folder = export(sums_run, "trl", ExportOptions(layout="plain", out=tmp_path / "export")).folder
    told = two_steps("sft", student(tmp_path / "plain", None), folder, tmp_path)
    assert told["learnt"] == sorted(r["completion"] + "</s>" for r in records(folder))


def test_sft_learns_the_easiest_first_when_told(
    sums_run: Path, chatting: Path, tmp_path: Path
) -> None:
    options = ExportOptions(order="easy", out=tmp_path / "export")
    folder = export(sums_run, "trl", options).folder
    assert 'train_sampling_strategy="sequential"' in (folder / "README.md").read_text()
    told = two_steps("sft", chatting, folder, tmp_path, in_order=True)
    turns = [record["completion"][0]["content"] for record in records(folder)]
    assert told["learnt"] == [turn + "<|im_end|>\n" for turn in turns]
    assert turns == sorted(turns, key=len)


def test_dpo_trains_on_pairs(sums_run: Path, chatting: Path, tmp_path: Path) -> None:
    folder = export(sums_run, "dpo", ExportOptions(out=tmp_path / "export")).folder
    assert len(two_steps("dpo", chatting, folder, tmp_path)["losses"]) == 2


@pytest.mark.slow
def test_sft_is_the_same_whatever_order_sets_have(
    sums_run: Path, chatting: Path, tmp_path: Path
) -> None:
    folder = export(sums_run, "trl", ExportOptions(out=tmp_path / "export")).folder
    told = {
        subprocess.run(
            [sys.executable, "-m", "tests.curate.release.export.trl_steps", "sft", chatting,
             folder, tmp_path / str(seed)],
            env={**os.environ, "PYTHONHASHSEED": str(seed)}, capture_output=True, check=True,
            text=True,
        ).stdout.splitlines()[-1]
        for seed in range(20)
    }  # fmt: skip
    assert len(told) == 1
    assert len(json.loads(told.pop())["losses"]) == 2
