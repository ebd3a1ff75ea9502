"""The trainers that are exported for: which format each reads, and the configuration it wants.

Sources of the keys: TRL's dataset formats, LLaMA-Factory's data/README.md, Axolotl's dataset
formats, torchtune's chat and instruct datasets, ms-swift's custom datasets.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import yaml

from curate.errors import InputError, did_you_mean
from curate.models.rendering import Layout
from curate.release.formats import FORMATS
from curate.release.formats.wording import Think, Wording

Files = Mapping[str, str]
"""File name by split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trainer:
    """One trainer.

    Attributes:
        name: as ``--format`` takes it.
        about: one line for the export's README.
        formats: by layout, which of `curate.release.formats` it reads.
        thinks: where it can take the rationale.
        config: makes its configuration files from the export's name, the data files, the wording,
            and whether their order matters; their text by file name. None where it wants none.
        in_order: what keeps it from shuffling, for the README.
        command: how training starts, for the README; ``{name}`` and
            ``{max_length}`` are filled in.
    """

    name: str
    about: str
    formats: Mapping[Layout, str]
    thinks: tuple[Think, ...] = ("none", "inline")
    config: Callable[[str, Files, Wording, bool], Mapping[str, str]] | None = None
    in_order: str = ""
    command: str = ""

    def format_of(self, wording: Wording) -> str:
        """Choose the format for a wording.

        Raises:
            InputError: the trainer does not take it.
        """
        if wording.think not in self.thinks:
            why = "does not read a reasoning field" if wording.think == "field" else "takes none"
            raise InputError(
                f"{self.name} {why}; use --think {' or '.join(self.thinks)}", "--think"
            )
        if wording.think == "field" and wording.layout != "chat":
            raise InputError(
                "a string has no reasoning field, and students without a chat template get "
                "strings; use --think inline or none",
                "--think",
            )
        return self.formats[wording.layout]


def _llama_factory(name: str, files: Files, wording: Wording, _: bool) -> Mapping[str, str]:
    shape: dict[str, Any] = {
        "formatting": "sharegpt",
        "columns": {"messages": "messages"},
        "tags": {
            "role_tag": "role",
            "content_tag": "content",
            "user_tag": "user",
            "assistant_tag": "assistant",
        },
    }
    if wording.layout != "chat":
        columns = {"prompt": "instruction", "query": "input", "response": "output"}
        shape = {"formatting": "alpaca", "columns": columns}
    listed = {
        _split_name(name, split): {"file_name": file} | shape for split, file in files.items()
    }
    return {"dataset_info.json": orjson.dumps(listed, option=orjson.OPT_INDENT_2).decode() + "\n"}


def _axolotl(_: str, files: Files, wording: Wording, ordered: bool) -> Mapping[str, str]:
    shape: dict[str, Any] = {
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
        "message_property_mappings": {"role": "role", "content": "content"},
        "roles_to_train": ["assistant"],
        "train_on_eos": "turn",
    }
    if wording.think == "field":
        # Both: mappings that are given replace those that it would make of the field by itself.
        shape["field_thinking"] = "reasoning_content"
        shape["message_property_mappings"]["reasoning_content"] = "reasoning_content"
    if wording.layout != "chat":
        shape = {
            "ds_type": "json",
            "type": {
                "field_instruction": "prompt",
                "field_output": "completion",
                "format": "{instruction}",
                "no_input_format": "{instruction}",
            },
        }
    config: dict[str, Any] = {"datasets": [{"path": files["train"], **shape}]}
    if "validation" in files:
        config["test_datasets"] = [{"path": files["validation"], "split": "train", **shape}]
    config["train_on_inputs"] = False
    return {"axolotl.yaml": _yaml(config | ({"curriculum_sampling": True} if ordered else {}))}


def _torchtune(_: str, files: Files, wording: Wording, ordered: bool) -> Mapping[str, str]:
    shape: dict[str, Any] = {
        "_component_": "torchtune.datasets.chat_dataset",
        "source": "json",
        "conversation_column": "messages",
        "conversation_style": "openai",
        "train_on_input": False,
    }
    if wording.layout != "chat":
        shape = {
            "_component_": "torchtune.datasets.instruct_dataset",
            "source": "json",
            "column_map": {"input": "prompt", "output": "completion"},
            "train_on_input": False,
        }
    # Released versions (0.6.1) read no validation set; its file is written all the same.
    part = {**shape, "data_files": files["train"], "split": "train"}
    return {"torchtune.yaml": _yaml({"dataset": part} | ({"shuffle": False} if ordered else {}))}


class _Plain(yaml.SafeDumper):
    """Writes what is there twice out twice, instead of a mark that refers to it."""

    def ignore_aliases(self, data: object) -> bool:
        """Never refer."""
        del data
        return True


def _yaml(data: Mapping[str, Any]) -> str:
    return yaml.dump(data, Dumper=_Plain, sort_keys=False, width=100)


def _split_name(name: str, split: str) -> str:
    return f"{name}_{split}".replace("-", "_").replace(".", "_")


_BY_TURNS: Final[Mapping[Layout, str]] = {
    "chat": "messages", "plain": "prompt-completion", "encoder": "prompt-completion",
}  # fmt: skip


def _always(form: str) -> Mapping[Layout, str]:
    return {"chat": form, "plain": form, "encoder": form}


_TRL: Final = """\
from datasets import load_dataset
from trl import {kind}Config, {kind}Trainer

rows = load_dataset("json", data_files="train.jsonl", split="train")
settings = {kind}Config(output_dir="out", max_length={{max_length}})  # None: nothing is cut
{kind}Trainer("MODEL", args=settings, train_dataset=rows).train()"""

_OWN: Final[Mapping[str, Trainer]] = {
    trainer.name: trainer
    for trainer in (
        Trainer(
            name="trl",
            about="TRL's SFTTrainer: prompt and completion, the loss on the completion",
            formats=_always("prompt-completion"),
            thinks=("none", "inline", "field"),
            command=_TRL.format(kind="SFT"),
            in_order='`train_sampling_strategy="sequential"` in SFTConfig',
        ),
        Trainer(
            name="llama-factory",
            about="LLaMA-Factory: sharegpt, or alpaca for students without a chat template",
            formats={"chat": "messages", "plain": "alpaca", "encoder": "alpaca"},
            config=_llama_factory,
            in_order="`disable_shuffling: true`",
            command="llamafactory-cli train --stage sft --dataset_dir . --dataset {name}_train ...",
        ),
        Trainer(
            name="axolotl",
            about="Axolotl: chat_template, or bare strings",
            formats=_BY_TURNS,
            thinks=("none", "inline", "field"),
            config=_axolotl,
            in_order="`curriculum_sampling: true`, which axolotl.yaml sets,",
            command="axolotl train axolotl.yaml   # add base_model and the rest of your settings",
        ),
        Trainer(
            name="torchtune",
            about="torchtune: chat_dataset, or instruct_dataset",
            formats=_BY_TURNS,
            config=_torchtune,
            in_order="`shuffle: false`, which torchtune.yaml sets,",
            command="tune run RECIPE --config CONFIG   # torchtune.yaml goes into CONFIG",
        ),
        Trainer(
            name="ms-swift",
            about="ms-swift: conversations, or alpaca rows for students without a chat template",
            formats={"chat": "messages", "plain": "alpaca", "encoder": "alpaca"},
            command="swift sft --model MODEL --dataset train.jsonl ...",
            in_order="`--dataset_shuffle false --train_dataloader_shuffle false`",
        ),
        Trainer(
            name="dpo",
            about="pairs for TRL's DPOTrainer: against a wrong sibling, against a harder one",
            formats=_always("dpo"),
            thinks=("none", "inline", "field"),
            command=_TRL.format(kind="DPO"),
            in_order='`train_sampling_strategy="sequential"` in DPOConfig',
        ),
    )
}


def unknown(name: str) -> str:
    """Say that neither a trainer nor a format has this name, in recipes and in exports alike."""
    return f"no format or trainer is called {name!r}; {did_you_mean(name, list(trainers()))}"


def reads(name: str) -> str:
    """Name the formats that a trainer reads, where it may depend on the student."""
    formats = trainers()[name].formats
    chat, plain = formats["chat"], formats["plain"]
    return chat if chat == plain else f"{chat}, or {plain} for students without a chat template"


def trainers() -> Mapping[str, Trainer]:
    """Give everything that can be exported for, by its name.

    Trainers with a word of their own, and every format as it is, for any trainer that reads it.
    """
    plain = {
        kind.name: Trainer(
            name=kind.name, about=kind.about, formats=_always(kind.name), thinks=kind.thinks
        )
        for kind in FORMATS
    }
    return {**plain, **_OWN}
