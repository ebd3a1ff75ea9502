"""What the lint finds under templates that drop, double, hide or cut what was to be learnt."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import trl

from curate.errors import InputError
from curate.release.export.export import ExportOptions, export
from curate.release.export.lint import REASONS, REFUSED, lint
from curate.release.formats.dpo import Preferences
from curate.release.formats.messages import Messages
from curate.release.formats.prompt_completion import PromptCompletion
from curate.release.formats.wording import Wording
from curate.release.repositories.push import push
from tests.curate.imported_sums import do, write
from tests.curate.models.small_students import llama
from tests.curate.models.test_rendering import CHATML, DROPPING, WITHOUT_THINKING
from tests.curate.release.export.templates import THINKING, TURN, tokenizer
from tests.curate.release.formats.making import records
from tests.curate.release.formats.test_wording import LINE, ROW

EMPTY = CHATML.replace(
    "{{ m.content }}",
    "{% if m.role == 'assistant' and '<think>' not in m.content %}"
    "<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}",
)
TWICE = "{{ bos_token }}{{ bos_token }}" + CHATML
LAST_FIRST = CHATML.replace("in messages", "in messages|reverse")
MARKED = (
    "{% for m in messages %}{{ m.role }}:{% generation %} {% endgeneration %}{{ m.content }}\n"
    "{% endfor %}"
)
WELL_MARKED = MARKED.replace("{% generation %} {% endgeneration %}", " {% generation %}").replace(
    "{{ m.content }}", "{{ m.content }}{% endgeneration %}"
)
FAILING = "{{ raise_exception('only two roles') }}"
GOLDEN = Path(__file__).parent / "golden" / "trl_templates.json"


def found(
    template: str | None, think: Any = "none", layout: Any = "chat", limit: int | None = None
) -> list[str]:
    made = records([ROW], "prompt-completion", Wording(LINE, layout, think))
    findings = list(lint(made, PromptCompletion(), tokenizer(template), limit))
    assert all(finding.record == "a1" for finding in findings)
    assert all(finding.reason in REASONS for finding in findings)
    return [finding.reason for finding in findings]


@pytest.mark.parametrize("think", ["none", "inline"])
@pytest.mark.parametrize("template", [CHATML, CHATML + TURN, WELL_MARKED])
def test_nothing_is_found_where_nothing_is_wrong(template: str, think: str) -> None:
    assert found(template, think) == []
    assert found(None, think, "plain") == []


def test_an_empty_block_that_the_prompt_ends_with_is_not_learnt() -> None:
    block = "<think>\n\n</think>\n\n{% endif %}"
    assert found(EMPTY + TURN.replace("{% endif %}", block)) == []


@pytest.mark.parametrize(
    ("template", "think", "reason"),
    [
        (WITHOUT_THINKING + TURN, "inline", "reasoning_lost"),
        (CHATML + TURN, "field", "reasoning_lost"),
        (DROPPING, "none", "completion_lost"),
        (TWICE + TURN, "none", "doubled_bos"),
        (EMPTY + TURN, "none", "empty_think"),
        (EMPTY + TURN.replace("{% endif %}", "<think>\n{% endif %}"), "none", "empty_think"),
        (MARKED, "none", "outside_loss"),
        (LAST_FIRST, "none", "prompt_in_loss"),
        (FAILING, "none", "not_rendered"),
    ],
)
def test_each_fault_is_found_and_no_other(template: str, think: str, reason: str) -> None:
    assert found(template, think) == [reason]


def test_a_prompt_that_holds_the_completion_leaves_it_outside_the_loss() -> None:
    said = f"Two and one make 3.{LINE.format(answer='3')}"
    template = CHATML + TURN.replace("{% endif %}", said + "{% endif %}")
    assert found(template) == ["outside_loss"]


def test_an_answer_at_the_limit_is_kept_and_behind_it_is_not() -> None:
    made = next(records([ROW], "prompt-completion", Wording(LINE)))
    turns = [*made["prompt"], *made["completion"]]
    whole = tokenizer(CHATML).apply_chat_template(turns, tokenize=False)
    needed = whole.index("Answer: 3") + len("Answer: 3")  # one token a character
    assert found(CHATML, limit=needed) == []
    assert found(CHATML, limit=needed - 1) == ["too_long"]


def test_both_sides_of_a_pair_are_tried() -> None:
    turn = {"role": "assistant", "content": "One."}
    pair = {
        "sample_id": "a1", "prompt": [{"role": "user", "content": "How many?"}], "chosen": [turn],
        "rejected": [turn | {"content": "<think>\nTwo.\n</think>\n\nThree."}],
    }  # fmt: skip
    assert [f.reason for f in lint([pair], Preferences(), tokenizer(WITHOUT_THINKING))] == [
        "reasoning_lost"
    ]


def test_a_format_of_which_nobody_says_how_it_is_tried_is_not_passed_over() -> None:
    record = {"sample_id": "a1", "asked": "How many?", "answered": "Three."}
    with pytest.raises(NotImplementedError, match="'messages' is tried"):
        list(lint([record], Messages(), tokenizer(CHATML)))


def test_under_every_template_that_trl_brings() -> None:
    folder = Path(trl.__file__).parent / "chat_templates"
    matrix = {
        path.stem: {think: found(path.read_text(), think) for think in ("none", "inline", "field")}
        for path in sorted(folder.glob("*.jinja"))
    }
    assert matrix == json.loads(GOLDEN.read_text())
    # What the golden file must say whatever is in it: one template of each kind, read by a person.
    assert matrix["qwen3"] == {"none": ["empty_think"], "inline": [], "field": []}
    assert matrix["qwen2_5"]["field"] == ["reasoning_lost"]
    assert matrix["deepseek_r1_distill"]["inline"] == ["reasoning_lost"]
    assert matrix["llama3"]["none"] == []


def student(folder: Path, template: str) -> str:
    llama().save_pretrained(folder)
    tokenizer(template).save_pretrained(folder)
    return str(folder)


def test_an_export_that_teaches_nothing_is_refused_and_leaves_nothing(
    sums_run: Path, tmp_path: Path
) -> None:
    def given(template: str, **more: Any) -> ExportOptions:
        name = student(tmp_path / "student", template)
        return ExportOptions(think="inline", out=tmp_path / "out", student=name, **more)

    with pytest.raises(InputError, match=r"reasoning_lost.*records: \d+, such as [0-9a-f]{16}"):
        export(sums_run, "trl", given(WITHOUT_THINKING))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["student"]
    (told,) = export(sums_run, "trl", given(CHATML, max_length=40)).found
    assert told.startswith("too_long: ")
    shutil.rmtree(tmp_path / "out")
    assert export(sums_run, "trl", given(WITHOUT_THINKING, lint=False)).found == ()


def test_turns_are_not_for_a_student_without_a_template(sums_run: Path, tmp_path: Path) -> None:
    llama().save_pretrained(tmp_path / "student")
    tokenizer(None).save_pretrained(tmp_path / "student")
    given = {"student": str(tmp_path / "student"), "out": tmp_path / "out"}
    with pytest.raises(InputError, match=r"has no chat template.*--layout plain"):
        export(sums_run, "trl", ExportOptions(**given))
    assert export(sums_run, "trl", ExportOptions(layout="plain", **given)).found == ()


def test_formats_of_a_release_are_tried_before_they_are_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    write(tmp_path)
    asked = ("publish.formats=[messages, dpo, text]", "publish.think=field")
    release = do(tmp_path, "sources.pool.terms=cc0-1.0", *asked).folder / "dataset"
    manifest = json.loads((release / "manifest.json").read_text())
    student_facts = {"name": str(tmp_path / "student"), "revision": None, "how": "folder"}
    manifest["models"] = {"student": student_facts}
    (release / "manifest.json").write_text(json.dumps(manifest))
    repo = f"file://{tmp_path / 'repo'}"
    student(tmp_path / "student", WITHOUT_THINKING)
    with pytest.raises(InputError, match=r"reasoning_lost.*records: \d+, such as [0-9a-f]{16}"):
        push(release, repo)
    assert not (tmp_path / "repo").exists()
    student(tmp_path / "student", THINKING)
    assert push(release, repo).found == ()
    student(tmp_path / "student", WITHOUT_THINKING)
    assert push(release, f"{repo}-as-it-is", lint=False).fresh


def test_what_could_not_be_tried_is_said(sums_run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    given = ExportOptions(out=tmp_path / "out", student=str(tmp_path / "empty"))
    (told,) = export(sums_run, "trl", given).found
    assert told.startswith("not tried with the student's template: folder")


def test_what_refuses_is_among_the_reasons() -> None:
    assert set(REFUSED) < REASONS.keys()
