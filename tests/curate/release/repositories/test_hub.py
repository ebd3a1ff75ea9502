"""Publishing to a local Hub through the real client: faults, and what is seen meanwhile."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from huggingface_hub import constants
from typer.testing import CliRunner

from curate import cli
from curate.errors import CurateError, InputError
from curate.release.card import PLACE
from curate.release.read import Release
from curate.release.repositories.push import push
from tests.curate.imported_sums import TERMS, do, write
from tests.servers.hub import TOKEN, File, Handler, Hub, Repo

# huggingface_hub's own call of its HTTP library.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>'")

REPO = "org/sums"
LOAD = """
import sys, json, datasets
datasets.disable_progress_bars()
for version in sys.argv[2:]:
    loaded = datasets.load_dataset(sys.argv[1], revision=version)
    rows = [row["sample_id"] for split in loaded.values() for row in split]
    print(json.dumps(sorted(rows)))
"""


def files(hub: Hub, revision: str) -> dict[str, bytes]:
    repo = hub.repos[REPO]
    oid = repo.find(revision)
    assert oid is not None
    tree = {path: hub.content(file) for path, file in repo.trees[oid].items()}
    tree.pop(".gitattributes", None)
    return tree


def on_disk(run: Path, version: str) -> dict[str, bytes]:
    """Read a run's release, with a card that names where it is published."""
    folder = run / "dataset"
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    here, there = f'("{PLACE}"', f'("{REPO}", revision="{version}"'
    return found | {"README.md": found["README.md"].replace(here.encode(), there.encode())}


def selected(run: Path) -> list[str]:
    return sorted(Release.open(run).config("default")["sample_id"])


def loaded(hub: Hub, home: Path, *versions: str) -> list[list[str]]:
    """Load versions as a stranger does, in a process that knows nothing of ours."""
    told = subprocess.run(
        [sys.executable, "-c", LOAD, REPO, *versions],
        env={**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(home)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_main_is_the_newest_and_strangers_load_any_version(
    runs: dict[str, Path], hub: Hub, tmp_path: Path
) -> None:
    push(runs["first"], REPO)
    assert files(hub, "v0.1.0") == files(hub, "main") == on_disk(runs["first"], "v0.1.0")
    push(runs["second"], REPO)
    # One commit replaced everything: shards of configs and splits that are gone are not left.
    assert files(hub, "main").keys() == on_disk(runs["second"], "v0.2.0").keys()
    assert set(hub.repos[REPO].branches) == {"main"}
    assert loaded(hub, tmp_path / "home", "v0.1.0", "v0.2.0", "main") == [
        selected(runs["first"]), selected(runs["second"]), selected(runs["second"]),
    ]  # fmt: skip


def answer(status: int, **headers: str) -> Handler:
    async def act(_: web.Request) -> web.StreamResponse:
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response({"error": "not now"}, status=status, headers=told)

    return act


def guarded(hub: Hub, runs: dict[str, Path]) -> list[str]:
    """Look at all public refs whenever one changes: each must be whole, and one of the releases."""
    known = [on_disk(run, "v0.1.0") for run in runs.values()]
    seen: list[str] = []

    def look() -> None:
        for ref in ("main", *hub.repos[REPO].tags):
            tree = files(hub, ref)
            tree.pop("README.md", None)
            whole = [{p: c for p, c in one.items() if p != "README.md"} for one in known]
            if tree and tree not in whole:
                seen.append(f"{ref} holds {sorted(tree)}")

    hub.seen = look
    return seen


FAULTS: dict[str, tuple[str, str, Handler | None]] = {
    "busy": ("POST", "/preupload/", answer(429, Retry_After="0")),
    "broken upload": ("PUT", "/lfs/", answer(500)),
    "dropped upload": ("PUT", "/lfs/", None),
    "commit to the branch": ("POST", "/commit/staging", answer(503)),
    "commit to main": ("POST", "/commit/main", answer(502)),
    "dropped commit": ("POST", "/commit/main", None),
    "tag": ("POST", "/tag/", answer(500)),
    "refs": ("GET", "/refs", answer(429, Retry_After="0")),
    "download": ("GET", "/lfs/", answer(500)),
    "branch": ("POST", "/branch/", None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_ends_in_success(runs: dict[str, Path], hub: Hub, fault: str) -> None:
    push(runs["first"], REPO)
    seen = guarded(hub, runs)
    method, part, act = FAULTS[fault]
    hub.fail(method, part, act)
    assert push(runs["second"], REPO).fresh
    assert not seen
    assert files(hub, "v0.2.0").keys() == on_disk(runs["second"], "v0.2.0").keys()
    assert set(hub.repos[REPO].branches) == {"main"}


@pytest.mark.parametrize("branch", ["main", "staging"])
def test_a_commit_whose_answer_is_lost_does_no_harm(
    runs: dict[str, Path], hub: Hub, branch: str
) -> None:
    push(runs["first"], REPO)

    async def commit_and_drop(request: web.Request) -> web.StreamResponse:
        await hub._commit(request)
        assert request.transport is not None
        request.transport.abort()
        raise web.HTTPServiceUnavailable

    hub.fail("POST", f"/commit/{branch}", commit_and_drop)
    assert push(runs["second"], REPO).fresh
    repo = hub.repos[REPO]
    assert repo.tags["v0.2.0"] == repo.branches["main"]
    assert files(hub, "main").keys() == on_disk(runs["second"], "v0.2.0").keys()


@pytest.mark.parametrize(
    ("method", "part"),
    [("PUT", "/lfs/"), ("POST", "/commit/main"), ("POST", "/commit/staging"), ("POST", "/tag/")],
)
def test_a_fault_that_stays_is_told_once_and_leaves_what_was_there(
    runs: dict[str, Path], hub: Hub, method: str, part: str
) -> None:
    push(runs["first"], REPO)
    seen = guarded(hub, runs)
    hub.fail(method, part, answer(400), times=99)
    with pytest.raises(CurateError) as told:
        push(runs["second"], REPO)
    assert "the Hub said 400" in str(told.value)
    assert REPO in str(told.value)
    assert not seen
    assert set(hub.repos[REPO].tags) == {"v0.1.0"}
    # A failing tag is the one fault after main was written; it holds a whole release then.
    on_main = runs["second" if part == "/tag/" else "first"]
    assert files(hub, "main").keys() == on_disk(on_main, "").keys()
    hub._faults.clear()
    assert push(runs["second"], REPO).fresh, "and pushing again goes on"


def test_what_reads_back_wrong_gets_no_tag(runs: dict[str, Path], hub: Hub) -> None:
    push(runs["first"], REPO)
    before, old = files(hub, "main"), set(hub.store)

    async def damaged(request: web.Request) -> web.StreamResponse:
        oid = request.match_info["oid"]
        content = hub.store[oid]
        return web.Response(body=content if oid in old else bytes(len(content)))

    hub.fail("GET", "/lfs/", damaged, times=99)
    with pytest.raises(CurateError, match="is not what was written to it"):
        push(runs["second"], REPO)
    assert files(hub, "main") == before
    assert set(hub.repos[REPO].tags) == {"v0.1.0"}


def test_tokens_that_are_missing_expired_or_without_rights(
    runs: dict[str, Path], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="no right to write to 'other/sums'"):
        push(runs["first"], "other/sums")
    monkeypatch.setenv("HF_TOKEN", "hf_expired-and-secret")
    with pytest.raises(InputError, match=r"refused the token.*hf auth login") as told:
        push(runs["first"], REPO)
    assert "secret" not in str(told.value)
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nowhere")
    with pytest.raises(InputError, match="there is no token for the Hub"):
        push(runs["first"], REPO)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.role = "read"
    with pytest.raises(InputError, match="token 'test' may only read"):
        push(runs["first"], REPO)
    assert not hub.repos


def test_a_dataset_that_is_no_release_is_not_overwritten(runs: dict[str, Path], hub: Hub) -> None:
    repo = hub.repos[REPO] = Repo(private=False)
    repo.commit({"data/train.csv": File(3, b"a,b")}, "main")
    with pytest.raises(InputError, match=r"holds 1 file of no release, such as data/"):
        push(runs["first"], REPO)
    assert files(hub, "main") == {"data/train.csv": b"a,b"}


@pytest.mark.parametrize("text", [b"not JSON", b"[1]", b'{"configs": [], "files": 3}'])
def test_somebody_s_manifest_is_no_release(runs: dict[str, Path], hub: Hub, text: bytes) -> None:
    repo = hub.repos[REPO] = Repo(private=False)
    repo.commit({"manifest.json": File(len(text), text)}, "main")
    with pytest.raises(InputError, match=r"of no release, such as manifest.json"):
        push(runs["first"], REPO)


def test_files_that_somebody_put_beside_a_release_are_not_removed(
    runs: dict[str, Path], hub: Hub
) -> None:
    push(runs["first"], REPO)
    repo = hub.repos[REPO]
    tree = dict(repo.trees[repo.branches["main"]])
    repo.commit({**tree, "mine/train-00000-of-00001.parquet": File(3, b"abc")}, "main")
    before = files(hub, "main")
    with pytest.raises(InputError, match=r"holds 1 file of no release, such as mine/tr"):
        push(runs["second"], REPO)
    assert files(hub, "main") == before


def test_a_push_cut_off_before_its_tag_goes_on_whatever_files_it_brought(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CURATE_STORE", str(tmp_path / "store"))
    write(tmp_path)
    (tmp_path / "by").mkdir()
    (tmp_path / "by" / "hand.csv").write_text("sample_id,keep\n")
    chain = "filters=[{use: overrides, file: by/hand.csv}, {use: correctness}]"
    chosen = ("arms=[]", "select={}")
    first = do(tmp_path, TERMS, chain, *chosen).folder
    second = do(tmp_path, TERMS, chain, *chosen, "release=0.2.0", "arms=[random]").folder
    for run in (first, second):
        hub.fail("POST", "/tag/", answer(500), times=99)
        with pytest.raises(CurateError):
            push(run, REPO)
        hub._faults.clear()
        assert push(run, REPO).fresh
    assert set(hub.repos[REPO].tags) == {"v0.1.0", "v0.2.0"}
    assert "by/hand.csv" in files(hub, "v0.2.0")
    repo = hub.repos[REPO]
    tree = dict(repo.trees[repo.branches["main"]])
    repo.commit({**tree, "data/mine/train-00000-of-00001.parquet": File(3, b"abc")}, "main")
    with pytest.raises(InputError, match="such as data/mine/train-00000"):
        push(second, REPO)


def test_what_others_wrote_into_the_front_matter_stays(runs: dict[str, Path], hub: Hub) -> None:
    push(runs["first"], REPO)
    repo = hub.repos[REPO]
    tree = dict(repo.trees[repo.branches["main"]])
    front, body = files(hub, "main")["README.md"].decode().removeprefix("---\n").split("---\n", 1)
    theirs = yaml.safe_load(front) | {"extra_gated_prompt": "Ask us.", "license": "mit"}
    theirs |= {"tags": ["ours"], "dataset_info": {"splits": []}, "viewer": False}
    edited = f"---\n{yaml.safe_dump(theirs)}---\n{body}".encode()
    repo.commit({**tree, "README.md": File(len(edited), edited)}, "main")
    push(runs["second"], REPO)
    front, body = files(hub, "main")["README.md"].decode().removeprefix("---\n").split("---\n", 1)
    merged = yaml.safe_load(front)
    assert merged["extra_gated_prompt"] == "Ask us."
    assert merged["viewer"] is False
    assert merged["tags"] == ["chain-of-thought", "distillation", "rationales", "ours"]
    assert merged["pretty_name"] == "sums 0.2.0"
    assert not {"license", "dataset_info"} & merged.keys(), "the recipe has the say in these"
    assert 'load_dataset("org/sums", revision="v0.2.0")' in body


def test_a_main_that_moved_meanwhile_is_left_alone(runs: dict[str, Path], hub: Hub) -> None:
    push(runs["first"], REPO)

    async def overtaken(request: web.Request) -> web.StreamResponse:
        hub.repos[REPO].commit({"README.md": File(2, b"hi")}, "main")
        return await hub._commit(request)

    hub.fail("POST", "/commit/main", overtaken)
    with pytest.raises(InputError, match="412"):
        push(runs["second"], REPO)
    assert files(hub, "main") == {"README.md": b"hi"}
    assert set(hub.repos[REPO].tags) == {"v0.1.0"}


def test_no_token_is_ever_written(
    runs: dict[str, Path], hub: Hub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    done = CliRunner().invoke(cli.app, ["push", str(runs["first"]), "--repo", REPO, "--public"])
    assert done.exit_code == 0, done.output
    assert 'revision="v0.1.0"' in done.output
    assert not hub.repos[REPO].private
    assert TOKEN not in done.output + caplog.text
    assert not any(TOKEN.encode() in content for content in files(hub, "main").values())


def test_a_hub_that_refuses_xet_is_told_with_the_way_around_it(
    runs: dict[str, Path], hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", False)
    with pytest.raises(CurateError, match="HF_HUB_DISABLE_XET=1 takes the older way to upload"):
        push(runs["first"], REPO)
    assert any("xet-write-token" in path for _, path in hub.asked)
    assert not hub.repos[REPO].tags
    assert files(hub, "main") == {}
