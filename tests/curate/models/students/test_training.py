"""Rows in tokens as TRL makes them of the same records, so that counts are what is trained on."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from curate.errors import ModelError
from curate.models.students.training import IGNORED, Examples
from tests.curate.byte_tokenizer import byte_tokenizer
from tests.curate.models.small_students import llama

CHAT = (
    "{% for turn in messages %}<{{ turn.role }}>{{ turn.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)
FORGETFUL = CHAT.replace("{{ turn.content }}", "{{ turn.content if messages | length == 1 }}")
TURNS = [
    {
        "prompt": [{"role": "user", "content": "What is 3 + 4?"}],
        "completion": [{"role": "assistant", "content": "3 + 4 = 7. The answer is 7."}],
    }
]
STRINGS = [{"prompt": "Question: What is 3 + 4?\nAnswer:", "completion": " The answer is 7."}]


def student(folder: Path, template: str | None) -> Path:
    llama().save_pretrained(folder)
    tokenizer = byte_tokenizer()
    tokenizer.chat_template = template
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(("records", "template"), [(TURNS, CHAT), (STRINGS, None)])
def test_rows_are_tokenised_as_trl_does(records: Any, template: str | None, tmp_path: Path) -> None:
    folder = student(tmp_path / "student", template)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(folder),
        args=SFTConfig(output_dir=str(tmp_path / "out"), use_cpu=True, report_to="none", bf16=False,
                       max_length=None),
        train_dataset=Dataset.from_list(records),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )  # fmt: skip
    [row] = trainer.train_dataset.to_list()
    example = Examples(folder).of(records[0])
    assert list(example.ids) == row["input_ids"]
    assert example.said == sum(label != IGNORED for label in row["labels"])
    assert list(example.ids[-example.said :]) == [x for x in row["labels"] if x != IGNORED]


def test_a_template_that_forgets_the_question_is_refused(tmp_path: Path) -> None:
    folder = student(tmp_path / "student", FORGETFUL)
    with pytest.raises(ModelError, match="writes a question otherwise once it is answered"):
        Examples(folder).of(TURNS[0])
