"""What a notebook does, in a real kernel: its event loop runs while cells do."""

import ast
import re
from collections.abc import Iterator
from typing import Any, Final

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from tests.curate import sums
from tests.docs.fences import cell
from tests.servers.openai_server import serving

SAMPLED: Final = """
import asyncio, os
import polars as pl
from curate import Recipe, run
assert asyncio.get_running_loop().is_running()
questions = pl.read_ndjson("questions.jsonl")
server = {"backend": "openai", "url": os.environ["TEACHER"]}
recipe = Recipe(
    name="sums",
    questions={"path": questions, "gold": {"type": "number"}},
    sources=[{"use": "generate", "name": "tiny", "model": "tiny-teacher", "samples": 3}],
    filters=[{"use": "completeness"}, {"use": "correctness"}],
    runtime={"sources": {"tiny": server}},
)
result = run(recipe)
"""


class Notebook:
    """Cells run in one kernel, one after the other."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self._client = client

    def run(self, cell: str) -> list[dict[str, str]]:
        """Run a cell to its end; give what it displays, each in every form."""
        messages: list[Any] = []
        reply = self._client.execute_interactive(cell, timeout=300, output_hook=messages.append)
        assert reply["content"]["status"] == "ok", "\n".join(reply["content"]["traceback"])
        shown = [message for message in messages if "data" in message["content"]]
        return [message["content"]["data"] for message in shown]

    def value(self, expression: str) -> Any:
        """Give what an expression of plain values is worth."""
        (shown,) = self.run(expression)
        return ast.literal_eval(shown["text/plain"])


@pytest.fixture(scope="module")
def notebook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Notebook]:
    """Give a kernel that works in a folder with questions, and shows every line of a cell."""
    folder = tmp_path_factory.mktemp("notebook")
    sums.write_questions(folder, 6)
    with serving() as url:
        manager, client = start_new_kernel(
            kernel_name="python3",
            cwd=str(folder),
            env={
                **sums.environment(folder),
                "HF_HOME": str(folder / "hub"),
                "IPYTHONDIR": str(folder / "ipython"),
                "TEACHER": url,
            },
        )
        try:
            notebook = Notebook(client)
            notebook.run("%config InteractiveShell.ast_node_interactivity = 'all'")
            yield notebook
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)


def test_rows_of_a_cell_are_a_pool_and_the_result_shows_itself(notebook: Notebook) -> None:
    result, dataset, why, page = notebook.run(cell())
    assert result["text/plain"].startswith("pool 0.1.0: 1 of 2 samples selected\n")
    assert "<caption>pool 0.1.0: 1 of 2 samples selected</caption>" in result["text/html"]
    assert 'href="./runs/pool/001-' in result["text/html"]
    assert "num_rows: 1" in dataset["text/plain"]
    for form in ("text/plain", "text/html"):
        assert "What is 3 + 4?" in why[form]
        assert "correctness" in why[form]
    (link,) = re.findall(r'href="\./(runs/pool/001-\w+\.html)"', page["text/html"])
    assert notebook.value(f"open({link!r}).read(15)") == "<!doctype html>"


def test_a_server_is_sampled_within_the_loop_that_runs(notebook: Notebook) -> None:
    assert notebook.run(SAMPLED) == []
    (shown,) = notebook.run("result")
    assert "sums 0.1.0: 12 of 18 samples selected" in shown["text/html"]
    assert notebook.value("[len(result.dataset), result.tally['sampled']]") == [12, 18]
    wrong = "result.audit.filter(rejected_by='correctness')['sample_id'][0]"
    (why,) = notebook.run(f"result.why({wrong})")
    assert "wrong_answer" in why["text/html"]
    assert "not live: correctness stopped it" in why["text/plain"]


def test_the_same_cell_again_asks_nobody(notebook: Notebook) -> None:
    notebook.run(SAMPLED)
    assert notebook.value("[result.tally[n] for n in ('sampled', 'measured', 'judged')]") == [0] * 3
    assert notebook.value("result.tally['reused']") >= 18
