"""The two README.md of a release: the dataset's card, and the run folder's.

Text that models wrote is escaped; what the recipe's author wrote (the description) is markdown and
stands as written.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import yaml

from curate.errors import count_of
from curate.release.effect.facts import Effect
from curate.release.effect.words import UNMEASURED, card_lead, card_section
from curate.release.excerpt import Excerpt
from curate.release.faults import SAYS, fault_headings, fault_rows
from curate.release.flat import flat
from curate.release.funnel import SWEEP_HEADINGS, Funnel, markdown, preamble, sweep_rows
from curate.release.gradients import HEADS, NOTE, table_of
from curate.release.templates import environment
from filters.columns import Glossary
from filters.contract import Filter

SIZES: Final = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
    (100_000_000, "10M<n<100M"),
)
PLACE: Final = "path/to/this/folder"
"""What the card says it is loaded from, until it is published somewhere."""
_WRITTEN: Final = (
    "pretty_name", "license", "license_name", "license_link", "language", "task_categories",
    "size_categories", "tags", "configs", "dataset_info",
)  # fmt: skip
"""Keys of the front matter in which a release has the say."""
SHOWN: Final = 1_500
"""Characters of a rationale shown in the card."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A model that had a part in the data.

    Attributes:
        role: ``teacher``, ``student`` or ``encoder``.
        name: what it is called.
        revision: commit or digest; None where nobody knows (imported text).
        licence: of the model, where the recipe gives it.
        terms: on what its outputs may be used for, where the recipe gives them.
    """

    role: str
    name: str
    revision: str | None = None
    licence: str | None = None
    terms: str | None = None


@dataclass(frozen=True, slots=True)
class ConfigFacts:
    """One config as it was written.

    Attributes:
        splits: rows by split; empty where there are none, and then the config has no files.
        dataset_hash: over its rows in the order of their ids.
        published: whether it is part of the dataset, or stays in the run folder.
        sources: how many texts of each source are in it.
    """

    name: str
    splits: dict[str, int]
    dataset_hash: str
    published: bool = True
    sources: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def rows(self) -> int:
        """Rows in all splits."""
        return sum(self.splits.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """What the card tells beside the rows.

    Attributes:
        name: of the recipe and the release.
        release: the data's version.
        funnel: where samples and questions went.
        description: the author's paragraph, markdown.
        licence: of the released data, as the recipe gives it.
        licence_name: of one that is ``other``.
        licence_link: likewise.
        language: code of the text's language (``en``).
        tags: for the Hub.
        models: teachers, student, encoder.
        select: the recipe's ``select`` section, JSON-able.
        calibration: what the scoring run found out about itself, JSON-able; None without scores.
        faults: which planted faults the scores saw, JSON-able; None where none were planted.
        gradients: what was found of teachers, sources and arms, JSON-able; None where no gradients
            were taken.
        reproducible: one sentence: what can be made again, and how exactly.
        formats: configs that hold the selection as records of a format.
        data: what was read of the Hub, with its commit.
        made_with: versions under which the run was carried out, by what they are of.
    """

    name: str
    release: str
    funnel: Funnel
    description: str = ""
    licence: str | None = None
    licence_name: str | None = None
    licence_link: str | None = None
    language: str | None = None
    tags: tuple[str, ...] = ("chain-of-thought", "distillation", "rationales")
    models: tuple[ModelFacts, ...] = ()
    select: Mapping[str, Any] = field(default_factory=dict[str, Any])
    calibration: Mapping[str, Any] | None = None
    faults: Mapping[str, Any] | None = None
    gradients: Mapping[str, Any] | None = None
    reproducible: str = ""
    formats: tuple[str, ...] = ()
    data: Mapping[str, str] = field(default_factory=dict[str, str])
    made_with: Mapping[str, str] = field(default_factory=dict[str, str])


def dataset_card(
    facts: CardFacts,
    configs: Sequence[ConfigFacts],
    filters: Sequence[Filter],
    excerpt: Excerpt,
    columns: Sequence[tuple[str, Glossary]] = (),
) -> str:
    """Write the card of ``dataset/``.

    Args:
        facts: what to tell.
        configs: of the dataset, ``default`` first; those without rows are named, not listed.
        filters: the filters in order.
        excerpt: what is shown of the rows.
        columns: of the dataset, by the configs that have them.
    """
    front = {
        "pretty_name": f"{facts.name} {facts.release}",
        "license": facts.licence,
        "license_name": facts.licence_name,
        "license_link": facts.licence_link,
        "language": [facts.language] if facts.language else None,
        "task_categories": ["text-generation"],
        "size_categories": [_size(configs[0].rows)],
        "tags": list(facts.tags),
        "configs": _config_list(configs, lambda _: "data"),
    }
    return environment().get_template("card.md.jinja").render(
        front=_yaml({key: value for key, value in front.items() if value is not None}),
        facts=facts,
        configs=configs,
        selected=configs[0],
        filled=[config for config in configs[1:] if config.rows],
        empty=[config.name for config in configs[1:] if not config.rows],
        loadable=len([config for config in configs if config.rows]) > 1,
        came_in=preamble(facts.funnel),
        funnel=markdown(facts.funnel),
        sweep_headings=SWEEP_HEADINGS,
        sweep=sweep_rows(facts.funnel),
        filters=[(filter_.name, _parameters(filter_)) for filter_ in filters],
        select=_flat(facts.select),
        calibration=_flat(facts.calibration or {}),
        faults=facts.faults,
        fault_headings=fault_headings(facts.faults) if facts.faults else (),
        fault_rows=list(fault_rows(facts.faults)) if facts.faults else (),
        fault_says=SAYS,
        follows=(facts.calibration or {}).get("student_follows"),
        gradients=list(table_of(facts.gradients or {})),
        heads=HEADS,
        note=NOTE,
        names=[config.name for config in configs],
        place=PLACE,
        unmeasured=UNMEASURED,
        kept=excerpt.kept,
        stopped=excerpt.stopped if any(c.name == "rejected" for c in configs) else [],
        histograms=excerpt.histograms(),
        shown=SHOWN,
        columns=[(group, list(glossary.values())) for group, glossary in columns],
    )  # fmt: skip


def addressed(card: str, repo: str, version: str) -> str:
    """Let a card say how to load this version from where it is published."""
    return card.replace(f'load_dataset("{PLACE}"', f'load_dataset("{repo}", revision="{version}"')


def measured(card: str, effects: Sequence[Effect]) -> str:
    """Let a card begin with what the selection did for its student, and end with the figures."""
    if not effects:
        return card
    card = card.replace(UNMEASURED, card_lead(effects))
    return "\n".join((card, *map(card_section, effects)))


def merged(card: str, before: str) -> str:
    """Keep what others wrote into the front matter of a repository's card.

    Owners gate a dataset there, hide it from the viewer or add tags. Keys that a release writes are
    its own; ``dataset_info`` is what ``push_to_hub`` says of files that are replaced.

    Args:
        card: of the release.
        before: the repository's.
    """
    theirs, (front, body) = _front(before)[0], _front(card)
    extras = {key: value for key, value in theirs.items() if key not in _WRITTEN}
    tags = dict.fromkeys(
        str(tag)
        for value in (front.get("tags"), theirs.get("tags"))
        for tag in (cast("list[object]", value) if isinstance(value, list) else ())
    )
    return f"---\n{_yaml({**front, 'tags': list(tags), **extras})}\n---\n{body}"


def names_configs(card: str) -> bool:
    """Tell whether a card leads loaders to the configs."""
    return bool(_front(card)[0].get("configs"))


def _front(card: str) -> tuple[dict[str, Any], str]:
    """Split a card into its front matter and the rest."""
    match = re.match(r"---\r?\n(.*?)\r?\n---\r?\n", card, re.DOTALL)
    if match is None:
        return {}, card
    try:
        front = yaml.safe_load(match[1])
    except yaml.YAMLError:
        front = None
    fields = cast("dict[str, Any]", front) if isinstance(front, dict) else {}
    return fields, card[match.end() :]


def run_card(facts: CardFacts, configs: Sequence[ConfigFacts]) -> str:
    """Write the card of the run folder: it leads to all configs, but never to the audit."""
    listed = _config_list(configs, lambda c: "dataset/data" if c.published else "unpublished")
    return environment().get_template("run.md.jinja").render(
        front=_yaml({"configs": listed}),
        kept_here=[config.name for config in configs if not config.published],
        facts=facts,
        selected=configs[0],
    )  # fmt: skip


def _config_list(
    configs: Sequence[ConfigFacts], folder: Callable[[ConfigFacts], str]
) -> list[dict[str, Any]]:
    """List the configs that have files.

    `datasets` takes the only config there is for the default, and looks for data files itself where
    none is named. So when nothing was selected and fewer than two other configs are left, the
    empty ``default`` is listed all the same: loading is then refused, instead of handing out
    rejected or audit rows as if they were the selection.

    The description is not for people alone. `datasets` keeps what it read of a local folder under
    the folder's name and what its card says of configs; were that the same for two releases, it
    would hand out the rows of the first for the second.
    """
    filled = [config for config in configs if config.rows]
    if not configs[0].rows and len(filled) < 2:
        filled.insert(0, configs[0])
    return [
        {
            "config_name": config.name,
            "description": f"{count_of(config.rows, 'row')}, dataset_hash {config.dataset_hash}",
            "data_files": [
                {"split": split, "path": f"{folder(config)}/{config.name}/{split}-*.parquet"}
                for split in (config.splits or {"train": 0})
            ],
        }
        for config in filled
    ]


def _size(rows: int) -> str:
    return next((name for limit, name in SIZES if rows < limit), "100M<n<1B")


def _parameters(filter_: Filter) -> str:
    parameters = filter_.model_dump(mode="json", exclude={"name", "use"})
    return ", ".join(f"{name}: {_value(value)}" for name, value in parameters.items())


def _flat(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Turn nested facts into rows of a table, ``masked.auc`` and its value."""
    return [(path, _value(leaf)) for path, leaf in flat(facts)]


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, cast("Sequence[object]", value))) or "none"
    return "none" if value is None else str(value)


def _yaml(data: Mapping[str, Any]) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100).rstrip()
