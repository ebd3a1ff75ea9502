"""Supervised fine-tuning of a student, by TRL, on batches that were laid out beforehand.

Which rows a batch holds is decided elsewhere, so that two trainings can be made to see as many
tokens in as many updates. The loss is on what the student is to say alone.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from curate.errors import ModelError
from curate.models.students.loading import Weights, load_model
from curate.models.students.methods import Method
from curate.models.students.tokenizing import encode, load_tokenizer

IGNORED: Final = -100
"""Label of a token that has no loss."""
Record = Mapping[str, Any]


class Training(NamedTuple):
    """How a student is trained.

    Attributes:
        method: low-rank adapters of all linear layers, or all weights.
        rank: of the adapters; their scale is twice as much.
        learning_rate: the highest; it rises over a tenth of the updates, then falls along a cosine.
        updates: steps of the optimiser (AdamW).
        micro_batches: batches an update.
        seed: of the adapters' first weights, and of dropout where a model has any.
        weights: type in which the network computes. Adapters are float32 in any case, and so are
            all weights where all are trained.
    """

    method: Method
    rank: int
    learning_rate: float
    updates: int
    micro_batches: int
    seed: int
    weights: Weights


class Example(NamedTuple):
    """A row in tokens.

    Attributes:
        ids: of question and what the student is to say.
        said: of them, how many at the end have a loss.
    """

    ids: tuple[int, ...]
    said: int


class Examples:
    """Puts rows into a student's tokens as TRL does, so that they can be counted beforehand."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = load_tokenizer(folder)

    def of(self, record: Record) -> Example:
        """Tokenise a row.

        Args:
            record: ``prompt`` and ``completion``, turns or strings.

        Raises:
            ModelError: the chat template writes another text for a question once it is answered.
        """
        prompt, completion = record["prompt"], record["completion"]
        chat = not isinstance(prompt, str)
        shown = prompt_text(self._tokenizer, prompt)
        if chat:
            whole = self._tokenizer.apply_chat_template([*prompt, *completion], tokenize=False)
        else:
            whole = prompt + completion + self._tokenizer.eos_token
        if not whole.startswith(shown):
            raise ModelError(
                "the student's chat template writes a question otherwise once it is answered, so "
                f"what is to be learned cannot be told apart: {prompt!r}"
            )
        target = encode(self._tokenizer, whole, [(len(shown), len(whole))], begin=not chat)
        return Example(target.ids, len(target.ids) - target.spans[0][0])


def prompt_text(tokenizer: Any, prompt: Any) -> str:
    """Write a question as the student reads it before it answers.

    A string loses its last space: in a whole text that belongs to the answer's first token.

    Args:
        tokenizer: the student's.
        prompt: turns, or a string.
    """
    if isinstance(prompt, str):
        return prompt.rstrip(" ")
    return tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)


def train(
    student: Path,
    examples: Sequence[Example],
    batches: Sequence[Sequence[int]],
    training: Training,
    into: Path,
) -> list[float]:
    """Train a student.

    Args:
        student: its folder.
        examples: rows.
        batches: numbers of the rows of each micro-batch, in order.
        training: how.
        into: folder to write: a model with its tokenizer, or adapters, as `merge` reads them.

    Returns:
        Mean nats a token of each update's batches, as they were before it.

    Raises:
        ModelError: the student can't be loaded.
    """
    from datasets import Dataset
    from transformers import set_seed

    set_seed(training.seed)
    model = load_model(student, "float32" if training.method == "full" else training.weights)
    rows = Dataset.from_list([_labelled(one) for one in examples])
    trainer = _trainer(model, student, rows, batches, training, into)
    trainer.train()
    trainer.model.save_pretrained(into)
    if training.method == "full":
        load_tokenizer(student).save_pretrained(into)
    return [float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry]


def merge(student: Path, adapters: Path, into: Path) -> None:
    """Write a student with its adapters merged, as a model folder."""
    from peft import PeftModel

    model: Any = PeftModel.from_pretrained(load_model(student, "float32"), str(adapters))
    model.merge_and_unload().save_pretrained(into)
    load_tokenizer(student).save_pretrained(into)


def _labelled(example: Example) -> dict[str, list[int]]:
    silent = len(example.ids) - example.said
    return {
        "input_ids": list(example.ids),
        "labels": [IGNORED] * silent + list(example.ids[silent:]),
    }


def _trainer(
    model: Any,
    student: Path,
    rows: Any,
    batches: Sequence[Sequence[int]],
    training: Training,
    into: Path,
) -> Any:
    """Make TRL's trainer, which is given batches instead of drawing them."""
    import torch
    from peft import LoraConfig
    from torch.utils.data import DataLoader
    from transformers import PrinterCallback
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    class Laid(SFTTrainer):
        def get_train_dataloader(self) -> Any:
            loader = DataLoader(
                rows,
                batch_sampler=[list(batch) for batch in batches],
                collate_fn=self.data_collator,
            )
            return self.accelerator.prepare(loader)

    gpu = torch.cuda.is_available()
    arguments = SFTConfig(
        output_dir=str(into),
        seed=training.seed,
        max_steps=training.updates,
        gradient_accumulation_steps=training.micro_batches,
        learning_rate=training.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=max(1, training.updates // 10),
        max_length=None,
        bf16=training.weights == "bfloat16",
        gradient_checkpointing=False,
        logging_steps=1,
        logging_strategy="steps",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=not gpu,
        dataloader_pin_memory=gpu,
    )
    adapters = LoraConfig(
        r=training.rank, lora_alpha=2 * training.rank, target_modules="all-linear",
        task_type="CAUSAL_LM",
    )  # fmt: skip
    trainer = Laid(
        model=model,
        args=arguments,
        train_dataset=rows,
        processing_class=load_tokenizer(student),
        peft_config=adapters if training.method == "lora" else None,
    )
    trainer.remove_callback(PrinterCallback)  # standard output is for what was asked
    return trainer
