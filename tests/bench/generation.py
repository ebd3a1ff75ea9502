"""Speed of sampling, from the first request to the last durable sample.

    python -m tests.bench.generation server [SAMPLES]
    python -m tests.bench.generation engine MODEL [QUESTIONS SAMPLES MAX_TOKENS] [KEY=VALUE ...]
    python -m tests.bench.generation start MODEL [KEY=VALUE ...]

``server`` draws from a local server that answers at once, ours on the first core, the server on
the last. ``engine`` compares with one bare `LLM.generate` over the same prompts with ``n = K`` and
the same sampling and engine arguments, each in a process and an engine of its own that has
sampled one question before the clock starts; the bar is 1.05. ``start`` says what an engine costs
before its first sample. KEY=VALUE are fields of `VllmOptions`, and ``dtype``.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from curate.backends.base import Completion, Request, Sampling
from curate.backends.openai_server import ServerGenerator
from curate.backends.teachers import OpenAIOptions, Teacher, VllmOptions
from curate.backends.vllm_engine import EngineGenerator
from curate.models import resolve
from curate.record import Book
from curate.sources.generate import record_value
from curate.sources.templates import load_template
from tests.servers.openai_server import serving

NAMES = ("Ada", "Bo", "Chen", "Dara", "Eno", "Fay", "Gus", "Hana", "Ivo", "Jun", "Kai", "Lou")
THINGS = ("apples", "coins", "stamps", "shells", "beads", "cards", "pens", "nails")


def requests(questions: int, samples: int) -> list[Request]:
    """Make word problems, siblings together."""
    chance = random.Random(7)
    template = load_template("cot")
    made: list[Request] = []
    for number in range(questions):
        name, other = chance.sample(NAMES, 2)
        thing, a, b = chance.choice(THINGS), chance.randint(2, 40), chance.randint(2, 12)
        question = (
            f"{name} has {a} {thing}. {other} has {b} times as many, and gives half of them to "
            f"{name}. How many {thing} does {name} have now?"
        )
        messages = template.render({"question": question, "gold_type": "number"}).messages
        made += [Request(key=f"{number}-{i}", messages=messages) for i in range(samples)]
    return made


def timed(generator: Any, asked: list[Request], limit: int) -> tuple[float, int]:
    """Draw into a real record; give seconds until all is durable, and tokens."""
    with tempfile.TemporaryDirectory() as folder:
        book, tokens = Book(Path(folder)), 0

        def sink(completion: Completion) -> None:
            nonlocal tokens
            tokens += completion.completion_tokens or 0
            book.append(completion.key, record_value(completion, limit))

        started = time.perf_counter()
        generator.generate(iter(asked), sink)
        book.flush()
        return time.perf_counter() - started, tokens


def server(samples: int) -> None:
    os.sched_setaffinity(0, {0})
    with serving(cpu=(os.cpu_count() or 1) - 1) as url:
        options = OpenAIOptions(backend="openai", url=url)
        asked, before = requests(samples, 1), time.process_time()
        seconds, _ = timed(ServerGenerator(Teacher("m"), Sampling(), options), asked, 1024)
        busy = time.process_time() - before
    # The second figure is the one to read where others use the same cores.
    say(samples_per_second=samples / seconds, samples_per_cpu_second=samples / busy)


def generator(model: str, sampling: Sampling, given: dict[str, Any], folder: str) -> Any:
    given = dict(given)
    teacher = Teacher(model, dtype=given.pop("dtype", None))
    path = resolve(model).path
    options = VllmOptions(**given)
    return EngineGenerator(teacher, sampling, options, path=path, folder=Path(folder))


def start(model: str, given: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        teacher = generator(model, Sampling(max_tokens=1), given, folder)
        began = time.perf_counter()
        teacher.preflight(requests(8, 1))
        checked = time.perf_counter()
        teacher.generate(requests(1, 1), lambda _: None)
        ready = time.perf_counter()
        teacher.close()
        say(preflight=checked - began, start=ready - checked, close=time.perf_counter() - ready)


def ours(model: str, shape: list[int], given: dict[str, Any]) -> None:
    questions, samples, limit = shape
    with tempfile.TemporaryDirectory() as folder:
        teacher = generator(model, Sampling(max_tokens=limit), given, folder)
        asked = requests(questions, samples)
        teacher.preflight(asked)
        teacher.generate(asked[:samples], lambda _: None)
        seconds, tokens = timed(teacher, asked, limit)
        arguments = teacher._arguments() | {"seed": 0}
        teacher.close()
    say(seconds=seconds, tokens=tokens, arguments=arguments)


def bare(shape: list[int], arguments: dict[str, Any]) -> None:
    """Sample the same with nothing of ours but the environment."""
    from vllm import LLM, SamplingParams

    from curate.backends.vllm_setting import quiet_environment

    questions, samples, limit = shape
    with tempfile.TemporaryDirectory() as folder:
        with quiet_environment(Path(folder) / "engine.log"):
            engine = LLM(**arguments)
        tokenizer = engine.get_tokenizer()
        prompts = [
            tokenizer.apply_chat_template(
                list(request.messages or ()), tokenize=False, add_generation_prompt=True
            )
            for request in requests(questions, 1)
        ]
        sampling = SamplingParams(n=samples, temperature=0.7, max_tokens=limit)
        engine.generate(prompts[:1], sampling, use_tqdm=False)
        started = time.perf_counter()
        outputs = engine.generate(prompts, sampling, use_tqdm=False)
        seconds = time.perf_counter() - started
    say(seconds=seconds, tokens=sum(len(o.token_ids) for out in outputs for o in out.outputs))


def compare(model: str, shape: list[int], given: dict[str, Any]) -> None:
    mine = _child("ours", model, json.dumps(shape), json.dumps(given))
    arguments = mine.pop("arguments")
    theirs = _child("bare", json.dumps(shape), json.dumps(arguments))
    rates = {name: run["tokens"] / run["seconds"] for name, run in (("o", mine), ("b", theirs))}
    say(ours=mine, bare=theirs, tokens_per_second=rates["o"], bare_tokens_per_second=rates["b"])
    # Unseeded runs differ in length, so time is compared a token.
    say(ratio=rates["b"] / rates["o"], bar=1.05)


def _child(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.generation", *arguments]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(printed.splitlines()[-1])


def say(**figures: Any) -> None:
    sys.stdout.write(json.dumps(figures) + "\n")


def main(command: str, *arguments: str) -> None:
    plain = [a for a in arguments if "=" not in a or command in {"ours", "bare"}]
    pairs = dict(a.split("=", 1) for a in arguments if a not in plain)
    given = {name: value if name == "dtype" else json.loads(value) for name, value in pairs.items()}
    match command:
        case "server":
            server(int(plain[0]) if plain else 10_000)
        case "start":
            start(plain[0], given)
        case "engine":
            shape = [int(a) for a in plain[1:]] or [32, 4, 160]
            compare(plain[0], shape, given)
        case "ours":
            ours(plain[0], json.loads(plain[1]), json.loads(plain[2]))
        case "bare":
            bare(json.loads(plain[0]), json.loads(plain[1]))
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:] or ("help",))
