"""Speed of scoring, against those who score today, on real rationales and in one run.

    python -m tests.bench.score compare MODEL [KEY=VALUE ...]
    python -m tests.bench.score variants MODEL [KEY=VALUE ...]
    python -m tests.bench.score memory MODEL [KEY=VALUE ...]
    python -m tests.bench.score bfloat16 MODEL [KEY=VALUE ...]

``compare`` times the plain loop, lm-eval's HFLM, vLLM's `prompt_logprobs` and ours on the same
tokens, in alternation, in the layout that a run would choose for the student: KEY=VALUE are
questions (5), k (12) rationales each, shots (0) worked examples before every question, rounds (3),
and without (``vllm,loop``), whom to leave out. vLLM's processes are stopped while others are timed,
and only we keep freed memory (`curate.models.students.memory`), since the others' users do not.
What is kept is handed back between the ways, so each scores one question before it is timed, as it
would have scored many in a run.
``variants`` says what two templates, the masked form and NLL(r|q) cost over one template alone.
``memory`` gives the peak memory at 50 and at 5,000 pairs. ``bfloat16`` compares, in that type, the
loop one by one with the loop in batches of 8 and with ours, and each with float32: nats a token,
and for how many questions the order of their rationales changes. A pair is one (question,
rationale); the branch without a rationale is done by all and counted by none. Needs
CURATE_TEST_DATA, and lm-eval beside the project.
"""

import gc
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from curate.measures.masking import mask_value
from curate.models.references import resolve
from curate.models.rendering import render
from curate.models.students import memory as heap
from curate.models.students import packing
from curate.models.students.packed_rows import PackedRows
from curate.models.students.packing import Target
from curate.models.students.padded_batches import pad
from curate.models.students.scorer import Scorer, load_scorer
from curate.models.students.tokenizing import encode, load_tokenizer

TEMPLATES = (" The answer is {answer}.", "\nAnswer: {answer}\n")
Score = Callable[[Sequence[Target]], list[float]]


def rationales(count: int) -> Iterator[tuple[str, str, list[str]]]:
    """Give question, gold and `count` different rationales, question by question."""
    folder = Path(os.environ["CURATE_TEST_DATA"]) / "svamp_teachers"
    golds = json.loads((folder / "gold.json").read_text())
    files = [json.loads(path.read_text()) for path in sorted(folder.glob("*_level*.json"))]
    written: dict[str, list[str]] = {}
    for file in files:
        for row in file:
            written.setdefault(row["instruction"], []).append(row["output"])
    for row in golds:
        texts = list(dict.fromkeys(written.get(row["instruction"], [])))
        if len(texts) >= count:
            yield row["instruction"], str(row["output"]), texts[:count]


def targets_of(tokenizer: Any, pool: Sequence[tuple[str, str, list[str]]], shots: str) -> list[Any]:
    """Tokenise each pair under the first template; one target a pair."""
    return [
        one_target(tokenizer, shots + question, text, TEMPLATES[0], gold)
        for question, gold, texts in pool
        for text in texts
    ]


def one_target(
    tokenizer: Any, question: str, text: str, line: str, gold: str, *, own: bool = False
) -> Target:
    layout = "chat" if tokenizer.chat_template else "plain"
    shown = render(question, text, line, gold, tokenizer, layout)
    spans = [shown.answer, shown.rationale] if own else [shown.answer]
    return encode(tokenizer, shown.text, spans, shown.source, begin=layout == "plain")


def loop(model: Any) -> Score:
    def score(targets: Sequence[Target]) -> list[float]:
        found: list[float] = []
        for target in targets:
            with torch.inference_mode():
                logits = model(input_ids=torch.tensor([target.ids]), use_cache=False).logits[0]
                logs = torch.log_softmax(logits.float(), dim=-1)
            found.append(sum(float(logs[t - 1, target.ids[t]]) for t in range(*target.spans[0])))
        return found

    return score


def loop_of_eight(model: Any) -> Score:
    def score(targets: Sequence[Target]) -> list[float]:
        found: list[float] = []
        for start in range(0, len(targets), 8):
            some = targets[start : start + 8]
            ids, mask = (torch.from_numpy(part) for part in pad([t.ids for t in some]))
            with torch.inference_mode():
                logits = model(input_ids=ids, attention_mask=mask, use_cache=False).logits
            for row, t in zip(logits, some, strict=True):
                a, b = t.spans[0]
                logs = torch.log_softmax(row[a - 1 : b - 1].float(), dim=-1)
                found.append(sum(float(logs[n, t.ids[a + n]]) for n in range(b - a)))
        return found

    return score


def hflm(model: Any, tokenizer: Any) -> Score:
    from lm_eval.models.huggingface import HFLM

    judge = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=16, device="cpu")

    def score(targets: Sequence[Target]) -> list[float]:
        asked = [
            (("", ""), list(t.ids[: t.spans[0][0]]), list(t.ids[t.spans[0][0] : t.spans[0][1]]))
            for t in targets
        ]
        return [found for found, _ in judge._loglikelihood_tokens(asked, disable_tqdm=True)]

    return score


def vllm(path: Path, context: int) -> Score:
    from vllm import LLM, SamplingParams, TokensPrompt

    from curate.models.teachers.vllm_setting import quiet_environment

    log = Path(tempfile.mkdtemp()) / "engine.log"
    with quiet_environment(log):
        engine = LLM(
            str(path), dtype="float32", enable_prefix_caching=False, enforce_eager=True,
            max_model_len=context, max_num_seqs=64, kv_cache_memory_bytes=2 << 30, block_size=32,
        )  # fmt: skip
    sampling = SamplingParams(max_tokens=1, prompt_logprobs=0)

    def score(targets: Sequence[Target]) -> list[float]:
        prompts = [TokensPrompt(prompt_token_ids=list(t.ids)) for t in targets]
        done = engine.generate(prompts, sampling, use_tqdm=False)
        return [
            sum(out.prompt_logprobs[at][t.ids[at]].logprob for at in range(*t.spans[0]))
            for out, t in zip(done, targets, strict=True)
        ]

    return score


def ours(scorer: Scorer) -> Score:
    def score(targets: Sequence[Target]) -> list[float]:
        return [sums[0][0] for sums in scorer.score(targets)]

    return score


@contextmanager
def alone(way: str) -> Iterator[None]:
    """Have one way run as its users would run it: nobody beside it, memory as it keeps it."""
    engines = [] if way == "vllm" else psutil.Process().children(recursive=True)
    for engine in engines:
        engine.suspend()
    (heap.keep_freed if way == "ours" else heap.as_usual)()
    try:
        yield
    finally:
        for engine in engines:
            engine.resume()


@contextmanager
def watched(peaks: dict[str, float], way: str) -> Iterator[None]:
    """Note the peak of resident memory, in MB, of us and of the processes we started."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    for process in processes:
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")
    yield
    found = 0
    for process in processes if way == "vllm" else processes[:1]:
        status = Path(f"/proc/{process.pid}/status").read_text()
        found += int(status.partition("VmHWM:")[2].split()[0])
    peaks[way] = max(peaks.get(way, 0), found / 1024)


def ceiling(model: Any, scorer: Scorer, targets: Sequence[Target]) -> float:
    """Give the seconds that the model's own matrix products take for our rows, and nothing else."""
    known = scorer.route._prefix if isinstance(scorer.route, PackedRows) else None
    cut = len(known.ids) if known else 0  # run once a run, and long ago
    behind = [t._replace(ids=t.ids[cut:], spans=tuple((a - cut, b - cut) for a, b in t.spans))
              for t in targets]  # fmt: skip
    made = list(packing.packs(behind, scorer._tokens))
    tokens = sum(len(pack.tokens) for pack in made)
    reads = sum(end - start for target in targets for start, end in target.spans)
    width = max(len(pack.tokens) for pack in made)
    head = model.get_output_embeddings()
    layers = [m for m in model.base_model.modules() if isinstance(m, torch.nn.Linear)]

    def product(layer: Any, rows: int) -> float:
        states = torch.randn(rows, layer.in_features)
        started = time.perf_counter()
        torch.nn.functional.linear(states, layer.weight, layer.bias)
        return time.perf_counter() - started

    with torch.inference_mode():
        body = sum(product(layer, width) for layer in layers) * tokens / width
        return body + product(head, 256) * reads / 256


def compare(model: str, given: dict[str, Any]) -> None:
    questions, k, shots = given.get("questions", 5), given.get("k", 12), given.get("shots", 0)
    without = str(given.get("without", "")).split(",")
    resolved = resolve(model).path
    scorer, tokenizer = load_scorer(resolved, "float32"), load_tokenizer(resolved)
    pool = list(rationales(k))
    examples = "".join(f"{q}\n{texts[0]}\n\n" for q, _, texts in pool[-shots:]) if shots else ""
    targets = targets_of(tokenizer, pool[:questions], examples)
    ways: dict[str, Score] = {"ours": ours(scorer)}
    if "loop" not in without:
        ways["loop"] = loop(scorer.model)
    if "hflm" not in without:
        ways["hflm"] = hflm(scorer.model, tokenizer)
    if "vllm" not in without:
        ways["vllm"] = vllm(resolved, max(len(t.ids) for t in targets) + 64)
    seconds: dict[str, list[float]] = {name: [] for name in [*ways, "ceiling"]}
    values: dict[str, list[float]] = {}
    peaks: dict[str, float] = {}
    for score in ways.values():
        score(targets[:k])
    for _ in range(given.get("rounds", 3)):
        with alone("ours"):
            ceiling(scorer.model, scorer, targets[:k])
            seconds["ceiling"].append(ceiling(scorer.model, scorer, targets))
        for name, score in ways.items():
            with alone(name):
                score(targets[:k])
                with watched(peaks, name):
                    started = time.perf_counter()
                    values[name] = score(targets)
                    seconds[name].append(time.perf_counter() - started)
            say(way=name, pairs_per_second=len(targets) / seconds[name][-1])
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    say(
        model=model, k=k, questions=questions, shots=shots,
        pairs_per_second={n: round(len(targets) / s, 2) for n, s in medians.items()},
        times_ours={n: round(s / medians["ours"], 2) for n, s in medians.items()},
        ratios={n: [round(s / t, 2) for s, t in zip(all_of_it, seconds["ours"], strict=True)]
                for n, all_of_it in seconds.items() if n != "ours"},
        peak_mb={n: round(peak) for n, peak in peaks.items()},
        share_of_ceiling=round(medians["ceiling"] / medians["ours"], 3),
        largest_difference=max(
            abs(a - b) for name in ways for a, b in zip(values["ours"], values[name], strict=True)
        ),
    )  # fmt: skip


def variants(model: str, given: dict[str, Any]) -> None:
    resolved = resolve(model).path
    scorer, tokenizer = load_scorer(resolved, "float32"), load_tokenizer(resolved)
    pool = list(rationales(given.get("k", 12)))[: given.get("questions", 5)]
    single = targets_of(tokenizer, pool, "")
    every: list[Target] = []
    for question, gold, texts in pool:
        for text in texts:
            masked = mask_value(text, gold, "number", (), "___")
            for number, line in enumerate(TEMPLATES):
                every.append(one_target(tokenizer, question, text, line, gold, own=not number))
                every.append(one_target(tokenizer, question, masked, line, gold))
    every = list(dict.fromkeys(every))
    ratios: list[float] = []
    scorer.score(single[:12])
    for _ in range(given.get("rounds", 5)):
        seconds: list[float] = []
        for targets in (single, every):
            started = time.perf_counter()
            scorer.score(targets)
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[1] / seconds[0])
    say(model=model, median=statistics.median(ratios), ratios=sorted(ratios), bar=2.2)


def memory(model: str, given: dict[str, Any]) -> None:
    resolved = resolve(model).path
    scorer, tokenizer = load_scorer(resolved, "float32"), load_tokenizer(resolved)
    pool = list(rationales(given.get("k", 12)))
    peaks: dict[int, float] = {}
    for pairs in (50, given.get("pairs", 5000)):
        targets = targets_of(tokenizer, pool, "")[:pairs]
        gc.collect()
        scorer.score(targets)
        peaks[len(targets)] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    say(model=model, peak_mb=peaks)


def bfloat16(model: str, given: dict[str, Any]) -> None:
    resolved, k = resolve(model).path, given.get("k", 12)
    scorer, tokenizer = load_scorer(resolved, "bfloat16"), load_tokenizer(resolved)
    targets = targets_of(tokenizer, list(rationales(k))[: given.get("questions", 40)], "")
    sizes = np.array([b - a for t in targets for a, b in t.spans])
    plain, eight, mine = (
        (-np.array(score(targets)) / sizes).reshape(-1, k)
        for score in (loop(scorer.model), loop_of_eight(scorer.model), ours(scorer))
    )

    exact = load_scorer(resolved, "float32")
    truth = (-np.array(ours(exact)(targets)) / sizes).reshape(-1, k)

    def against(one: Any, other: Any) -> dict[str, float]:
        return {
            "largest difference": float(np.abs(other - one).max()),
            "root mean square": float(np.sqrt(np.square(other - one).mean())),
            "order changed": float((other.argsort(1) != one.argsort(1)).any(axis=1).mean()),
            "easiest changed": float((other.argmin(1) != one.argmin(1)).mean()),
        }

    say(model=model, questions=len(plain), k=k)
    for name, one, other in (
        ("loop, batches of 8", plain, eight), ("loop, ours", plain, mine),
        ("float32, loop", truth, plain), ("float32, batches of 8", truth, eight),
        ("float32, ours", truth, mine),
    ):  # fmt: skip
        say(**{name: against(one, other)})


def say(**figures: Any) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()


def main(command: str, *arguments: str) -> None:
    plain = [a for a in arguments if "=" not in a]
    pairs = dict(a.split("=", 1) for a in arguments if a not in plain)
    given = {n: int(v) if v.isdigit() else v for n, v in pairs.items()}
    ways = {"compare": compare, "variants": variants, "memory": memory, "bfloat16": bfloat16}
    if command not in ways or not plain:
        raise SystemExit(__doc__)
    ways[command](plain[0], given)


if __name__ == "__main__":
    main(*sys.argv[1:] or ("help",))
