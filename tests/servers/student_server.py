"""A local server that says of a prompt's tokens what ``vllm serve`` says, with a real small model.

Started in a process of its own (``python -m tests.servers.student_server FOLDER NAME``); prints
its address as its first line. With ``--forgets N`` it leaves out the first N entries, as a server
does that has read them from its prefix cache; with ``--busy N`` it is too busy for the first N
requests.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from aiohttp import web
from transformers import AutoModelForCausalLM

from tests.servers.running import running


class Student:
    """The application.

    Args:
        model: scored with.
        name: under which it is served.
        context: most tokens of prompt and completion.
        forgets: entries left out.
        busy: requests turned away.
    """

    def __init__(self, model: Any, name: str, context: int, forgets: int, busy: int) -> None:
        self._model = model
        self._name = name
        self._context = context
        self._forgets = forgets
        self._busy = busy

    def application(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/v1/models", self._models)
        app.router.add_post("/v1/completions", self._score)
        return app

    async def _models(self, _: web.Request) -> web.Response:
        return web.json_response({"data": [{"id": self._name, "max_model_len": self._context}]})

    async def _score(self, request: web.Request) -> web.Response:
        body = await request.json()
        ids: list[int] = body["prompt"]
        if body["model"] != self._name:
            return web.json_response({"error": {"message": "no such model"}}, status=404)
        if self._busy:
            self._busy -= 1
            return web.json_response({"error": {"message": "busy"}}, status=503)
        if len(ids) + body["max_tokens"] > self._context:
            return web.json_response({"error": {"message": "too long"}}, status=400)
        with torch.inference_mode():
            logits = self._model(input_ids=torch.tensor([ids])).logits[0]
            logs = torch.log_softmax(logits.float(), dim=-1)
        entries: list[Any] = [None]
        for place in range(1, len(ids)):
            row = logs[place - 1]
            own = row[ids[place]]
            facts = {"logprob": float(own), "rank": int((row >= own).sum()), "decoded_token": "x"}
            entries.append({str(ids[place]): facts})
        shown = entries[self._forgets :] if body.get("prompt_logprobs") == 0 else None
        return web.json_response({"choices": [{"text": "", "prompt_logprobs": shown}]})


@contextmanager
def serving_student(folder: Path, name: str, **options: int) -> Iterator[str]:
    """Run the server in a process of its own and give its base url."""
    given = [part for key, value in options.items() for part in (f"--{key}", str(value))]
    with running("tests.servers.student_server", str(folder), name, *given) as url:
        yield url


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("name")
    parser.add_argument("--context", type=int, default=256)
    parser.add_argument("--forgets", type=int, default=0)
    parser.add_argument("--busy", type=int, default=0)
    given = parser.parse_args()
    model: Any = AutoModelForCausalLM.from_pretrained(given.folder)
    student = Student(model.eval(), given.name, given.context, given.forgets, given.busy)
    runner = web.AppRunner(student.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"http://127.0.0.1:{runner.addresses[0][1]}/v1\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
