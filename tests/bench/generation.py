"""Speed of sampling, from the first request to the last durable sample.

    python -m tests.bench.generation server [SAMPLES]
    python -m tests.bench.generation engine MODEL [QUESTIONS SAMPLES MAX_TOKENS] [KEY=VALUE ...]
    python -m tests.bench.generation start MODEL [KEY=VALUE ...]
    python -m tests.bench.generation tokens MODEL [QUESTIONS SAMPLES MAX_TOKENS] [KEY=VALUE ...]

``server`` draws from a local server that answers at once, ours on the first core, the server on
the last. ``engine`` compares with bare `LLM.generate` over the same prompts with ``n = K`` and
the same sampling and engine arguments, once as vLLM sets a CPU up by itself and once with our
environment, which on a CPU leaves out vLLM's worker process. All engines stay alive, in a process
each, warm; in every round each samples the same new questions, the first side of a round being the
last of the one before. The bar for the median is 1.05. ``start`` says what an engine costs before
its first sample. ``tokens`` says what the log-probability of every token costs: one engine draws
with and without, by turns, and CPU time is counted, its own and ours; the bar is 1.02. KEY=VALUE
are fields of `VllmOptions`, ``dtype`` and ``rounds``.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from curate.models.references import resolve
from curate.models.teachers.base import Completion, Request, Sampling
from curate.models.teachers.openai_server import ServerGenerator
from curate.models.teachers.options import OpenAIOptions, Teacher, VllmOptions
from curate.models.teachers.vllm_engine import EngineGenerator
from curate.sources.sampled import record_value
from curate.sources.templates import load_template
from curate.store.record import Book
from tests.servers.openai_server import serving

NAMES = ("Ada", "Bo", "Chen", "Dara", "Eno", "Fay", "Gus", "Hana", "Ivo", "Jun", "Kai", "Lou")
THINGS = ("apples", "coins", "stamps", "shells", "beads", "cards", "pens", "nails")


def requests(questions: int, samples: int, draw: int = 0) -> list[Request]:
    """Make word problems, siblings together, others for every `draw`."""
    chance = random.Random(7 + draw)
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
        made += [Request(key=f"{draw}-{number}-{i}", messages=messages) for i in range(samples)]
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


def generator(
    model: str,
    sampling: Sampling,
    given: dict[str, Any],
    folder: str,
    kind: type[EngineGenerator] = EngineGenerator,
) -> Any:
    given = dict(given)
    teacher = Teacher(model, dtype=given.pop("dtype", None))
    path = resolve(model).path
    options = VllmOptions(**given)
    return kind(teacher, sampling, options, path=path, folder=Path(folder))


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
    """Sample a round for every number on standard input."""
    questions, samples, limit = shape
    with tempfile.TemporaryDirectory() as folder:
        teacher = generator(model, Sampling(max_tokens=limit), given, folder)
        teacher.preflight(requests(questions, 1))
        teacher.generate(requests(1, samples, draw=-1), lambda _: None)
        say(arguments=teacher._arguments() | {"seed": 0})
        for number in sys.stdin:
            asked, before = requests(questions, samples, int(number)), time.process_time()
            seconds, tokens = timed(teacher, asked, limit)
            say(seconds=seconds, tokens=tokens, front=time.process_time() - before)
        teacher.close()


def bare(shape: list[int], arguments: dict[str, Any], one_process: bool) -> None:
    """Sample the same with nothing of ours but the environment."""
    from vllm import LLM, SamplingParams

    from curate.models.teachers.vllm_setting import quiet_environment, use_one_process

    questions, samples, limit = shape
    sampling = SamplingParams(n=samples, temperature=0.7, max_tokens=limit)
    with tempfile.TemporaryDirectory() as folder:
        with quiet_environment(Path(folder) / "engine.log"):
            if one_process:
                use_one_process()
            engine = LLM(**arguments)
        tokenizer = engine.get_tokenizer()

        def draw(questions: int, number: int) -> tuple[float, int]:
            prompts = [
                tokenizer.apply_chat_template(
                    list(request.messages or ()), tokenize=False, add_generation_prompt=True
                )
                for request in requests(questions, 1, number)
            ]
            started = time.perf_counter()
            outputs = engine.generate(prompts, sampling, use_tqdm=False)
            seconds = time.perf_counter() - started
            return seconds, sum(len(o.token_ids) for out in outputs for o in out.outputs)

        draw(1, -1)
        say(ready=True)
        for number in sys.stdin:
            seconds, tokens = draw(questions, int(number))
            say(seconds=seconds, tokens=tokens)


class _Untold(EngineGenerator):
    """The engine as it was before it told of tokens, where `asking` is off."""

    asking = True

    def _parameters(self, request: Request) -> Any:
        parameters = super()._parameters(request)
        if not self.asking:
            parameters.logprobs = None
        return parameters


def tokens(model: str, shape: list[int], given: dict[str, Any], rounds: int) -> None:
    questions, samples, limit = shape
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        teacher = generator(model, Sampling(max_tokens=limit), given, folder, _Untold)
        teacher.preflight(requests(questions, 1))
        teacher.generate(requests(2, samples, draw=-1), lambda _: None)
        for number in range(rounds):
            spent = {}
            # New questions for each side: those of the first would be in the second's cache.
            for asking in (True, False) if number % 2 else (False, True):
                teacher.asking = asking
                before = busy()
                seconds, count = timed(
                    teacher, requests(questions, samples, 2 * number + asking), limit
                )
                spent[asking] = (busy() - before) / count
                say(asking=asking, tokens=count, seconds=seconds, cpu_ms_token=1e3 * spent[asking])
            ratios.append(spent[True] / spent[False])
        teacher.close()
    say(cpu_ratio=statistics.median(ratios), ratios=sorted(ratios), bar=1.02)


def busy() -> float:
    """Give the CPU seconds of this process and its engine's."""
    here = psutil.Process()
    return sum(sum(one.cpu_times()[:2]) for one in (here, *here.children(recursive=True)))


def compare(model: str, shape: list[int], given: dict[str, Any], rounds: int) -> None:
    sides = {"ours": _Side("ours", model, json.dumps(shape), json.dumps(given))}
    arguments = json.dumps(sides["ours"].first["arguments"])
    for kind in ("default", "one_process"):
        sides[kind] = _Side("bare", json.dumps(shape), arguments, kind)
    ratios: dict[str, list[float]] = {kind: [] for kind in sides if kind != "ours"}
    order, fronts = list(sides), list[float]()
    for number in range(rounds):
        # Unseeded runs differ in length, so time is compared a token.
        spent = {}
        for kind in order:
            run = sides[kind].ask(number)
            spent[kind] = run["seconds"] / run["tokens"]
        order.reverse()
        say(round=number, tokens_per_second={kind: 1 / cost for kind, cost in spent.items()})
        fronts.append(sides["ours"].last["front"] / sides["ours"].last["seconds"])
        for kind, found in ratios.items():
            found.append(spent["ours"] / spent[kind])
    for kind, found in ratios.items():
        say(against=kind, median=statistics.median(found), ratios=sorted(found), bar=1.05)
    # Whatever else the machine does: what our own process, the engine's apart, took of a core.
    say(front_share_of_a_core=statistics.median(fronts))
    for side in sides.values():
        side.close()


class _Side:
    """One side of a comparison: a process that samples a round when told its number."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "tests.bench.generation", *arguments]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        self.first = self.last = self._read()

    def ask(self, number: int) -> dict[str, Any]:
        print(number, file=self._process.stdin, flush=True)
        self.last = self._read()
        return self.last

    def close(self) -> None:
        self._process.communicate()

    def _read(self) -> dict[str, Any]:
        """Read the next line that is ours; an engine may say something between."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{self._process.args} ended with {self._process.wait()}")


def say(**figures: Any) -> None:
    print(json.dumps(figures), flush=True)


def main(command: str, *arguments: str) -> None:
    plain = [a for a in arguments if "=" not in a or command in {"ours", "bare"}]
    pairs = dict(a.split("=", 1) for a in arguments if a not in plain)
    given = {name: value if name == "dtype" else json.loads(value) for name, value in pairs.items()}
    rounds = given.pop("rounds", 7)
    match command:
        case "server":
            server(int(plain[0]) if plain else 10_000)
        case "start":
            start(plain[0], given)
        case "engine":
            shape = [int(a) for a in plain[1:]] or [32, 4, 64]
            compare(plain[0], shape, given, rounds)
        case "tokens":
            shape = [int(a) for a in plain[1:]] or [32, 8, 48]
            tokens(plain[0], shape, given, rounds)
        case "ours":
            ours(plain[0], json.loads(plain[1]), json.loads(plain[2]))
        case "bare":
            bare(json.loads(plain[0]), json.loads(plain[1]), plain[2] == "one_process")
        case _:
            raise SystemExit(__doc__)


if __name__ == "__main__":
    main(*sys.argv[1:] or ("help",))
