"""A model's licence is what its card says, wherever that lies; nobody guesses one."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from curate.models.licences import licence_of
from tests.servers.hub import Hub

CARDS: list[tuple[dict[str, Any], str | None]] = [
    ({"license": "apache-2.0"}, "apache-2.0"),
    ({"license": "other", "license_name": "qwen-research"}, "qwen-research"),
    ({"license": "other"}, None),
    ({"license": ["mit", "apache-2.0"]}, None),
    ({"tags": ["text"]}, None),
    ({}, None),
]


@pytest.mark.parametrize(("card", "licence"), CARDS)
def test_the_hub_s_card_is_asked(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, card: dict[str, Any], licence: str | None
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    hub.models["org/hen"] = card
    assert licence_of("org/hen") == licence
    assert licence_of("org/goose") is None, "there is no such model"


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("---\nlicense: mit\n---\n# Hen\n", "mit"),
        ("---\nlicense: [\n---\n", None),
        ("---\nmit\n---\n", None),
        ("# Hen\n\n---\nlicense: mit\n---\n", None),
        ("", None),
        (None, None),
    ],
)
def test_a_folder_has_its_card_beside_its_weights(
    tmp_path: Path, text: str | None, licence: str | None
) -> None:
    if text is not None:
        (tmp_path / "README.md").write_text(text)
    assert licence_of(str(tmp_path)) == licence


def test_what_needs_no_hub_says_it_without(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", hub.url)
    assert licence_of("google/gemma-3-270m") == "Gemma Terms of Use"
    assert hub.asked == []


@pytest.mark.parametrize("ref", ["gpt-4o: mini", "/nowhere/at/all", ""])
def test_what_is_no_model_of_the_hub_has_none(ref: str) -> None:
    assert licence_of(ref) is None


def test_a_hub_that_is_not_there_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert licence_of("org/hen") is None
