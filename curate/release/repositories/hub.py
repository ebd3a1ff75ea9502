"""Publishing to the Hub: a version is a tag, and every file of it was read back before it has one.

A push goes to a branch of its own first and is downloaded from there and compared. Only then is
the same tree committed to ``main``, in one commit that also removes what earlier versions left, and
tagged. Large files lie in the Hub's storage by their hash, so the second commit uploads nothing.
Whatever fails before leaves ``main`` as it was, and tags are only ever added; where only the tag
failed, ``main`` is the new release without one. Either way pushing again goes on.
"""

import functools
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import orjson
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_exponential_jitter

from curate.errors import CurateError, InputError, count_of
from curate.release.files import hashes
from curate.release.repositories.base import VERSION, compare, order

_KIND: Final = "dataset"
_OWN: Final = (".gitattributes",)
"""What the Hub itself puts into a repository."""
_RELEASE: Final = ("README.md", "manifest.json", "recipe.yaml", "recipe.lock.json")
_TRANSIENT: Final = (408, 425, 429, 500, 502, 503, 504)
_TRIES: Final = 3
"""Ours; for most requests the client itself tries a few times before."""
WAIT: Final = wait_exponential_jitter(initial=1.0, max=30.0)
"""Between tries, in seconds."""

Result = TypeVar("Result")


class HubRepository:
    """A dataset repository of the Hub, with the token of HF_TOKEN or of a login.

    Args:
        repo: ``owner/name``.
        private: whether it is made private where it is not there yet.
        reading: nothing will be written to it.
    """

    def __init__(self, repo: str, *, private: bool = True, reading: bool = False) -> None:
        self._repo = repo
        self._reading = reading
        self._private = private
        self._endpoint = os.environ.get("HF_ENDPOINT")

    @property
    def name(self) -> str:
        """Its id."""
        return self._repo

    def prepare(self) -> None:
        """Make it where it is not there, and find out what can be known before writing.

        Raises:
            InputError: there is no token, it is refused, it may only read or not make the
                repository, or the repository holds something that is no release. Whether the
                owner lets it write to one that is there is only said when it does.
            CurateError: the Hub can't be reached.
        """
        self._refuse_readers(self._try(self._api.whoami, "who the token belongs to"))
        self._try(
            lambda: self._api.create_repo(
                self._repo, repo_type=_KIND, private=self._private, exist_ok=True
            ),
            "to make the repository",
        )
        paths = set(self._tree("main")) - set(_OWN)
        if others := sorted(paths - self._ours(paths)):
            raise InputError(
                f"dataset {self._repo!r} holds {count_of(len(others), 'file')} of no release, such "
                f"as {others[0]}; publishing would remove that, so name another repository, or "
                "move them",
                "--repo",
            )

    def _ours(self, paths: set[str]) -> set[str]:
        """Find what the release on main put there; it says so itself, tagged already or not."""
        if "manifest.json" not in paths:
            return set()
        try:
            content = orjson.loads(self._read("manifest.json"))
        except orjson.JSONDecodeError:
            content = None
        if not isinstance(content, dict) or "dataset_hash" not in content:
            return set()  # somebody else's file of that name
        manifest = cast("dict[str, Any]", content)
        data = "|".join(
            rf"{re.escape(config)}/{re.escape(split)}-\d+-of-\d+"
            for config, facts in manifest.get("configs", {}).items()
            for split in facts["splits"]
        )
        names = {*_RELEASE, *manifest.get("files", ()), *manifest.get("digests", ())}
        return {p for p in paths if p in names or re.fullmatch(rf"data/({data})\.parquet", p)}

    def _refuse_readers(self, who: Any) -> None:
        """Refuse a token that was made for reading only."""
        token = who.get("auth", {}).get("accessToken", {})
        if token.get("role") == "read":
            raise InputError(
                f"the token {token.get('displayName', '')!r} may only read; set HF_TOKEN to one "
                "that may write"
            )

    def card(self) -> str | None:
        """Give the card of main."""
        if "README.md" not in self._tree("main"):
            return None
        return self._read("README.md").decode()

    def _read(self, path: str) -> bytes:
        """Read a file of main."""
        here = self._try(
            lambda: self._api.hf_hub_download(self._repo, path, repo_type=_KIND), f"for {path}"
        )
        return Path(here).read_bytes()

    def versions(self) -> list[str]:
        """Name its versions, oldest first; `prepare` made the repository."""
        refs = self._try(
            lambda: self._api.list_repo_refs(self._repo, repo_type=_KIND), "for its versions"
        )
        return sorted((tag.name for tag in refs.tags if VERSION.fullmatch(tag.name)), key=order)

    def fetch(self, version: str, *, without: str | None = None) -> Path:
        """Download a version into the Hub's cache.

        Args:
            version: a tag, or any other revision.
            without: beginning of the paths that are not wanted.
        """
        ignored = [f"{without}*"] if without else None
        return Path(self._download(version, ignored=ignored))

    def publish(self, folder: Path, version: str) -> str:
        """Publish a folder as a new version.

        Raises:
            InputError: somebody else changed the repository meanwhile, or the token is refused.
            CurateError: what was read back is not what was written, or the Hub stays out of reach.
        """
        parent, staging = self._head("main"), _staging(version) + uuid.uuid4().hex[:8]
        self._try(
            lambda: self._api.create_branch(
                self._repo, branch=staging, revision=parent, repo_type=_KIND, exist_ok=True
            ),
            "for a branch to write to",
        )
        self._commit(folder, version, staging, None)
        staged = self._head(staging)
        self._read_back(folder, staged)
        tree = self._tree(staged)
        try:
            self._commit(folder, version, "main", parent)
        except InputError:
            # Refused because main has moved: by this very commit, whose answer was lost?
            if self._tree("main") != tree:
                raise
        head = self._head("main")
        if self._tree(head) != tree:
            raise CurateError(
                f"main of {self._repo!r} is not what was written to it, so no version was made; "
                "push again"
            )
        self._tag(version, head)
        self.settle(version)
        return f'datasets.load_dataset("{self._repo}", revision="{version}")'

    @cached_property
    def _api(self) -> Any:
        from huggingface_hub import HfApi
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()
        return HfApi(endpoint=self._endpoint, library_name="curate-rationales")

    def _head(self, branch: str) -> str:
        info = self._try(
            lambda: self._api.dataset_info(self._repo, revision=branch), f"for the head of {branch}"
        )
        return str(info.sha)

    def _tree(self, revision: str) -> Mapping[str, str]:
        """Give the git blob id of each file, by its path."""

        def listed() -> Mapping[str, str]:
            entries = self._api.list_repo_tree(
                self._repo, revision=revision, recursive=True, repo_type=_KIND
            )
            return {e.path: e.blob_id for e in entries if hasattr(e, "blob_id")}

        return self._try(listed, f"for the files of {revision}")

    def settle(self, version: str) -> None:
        """Remove the branches on which a version was read back."""
        refs = self._try(lambda: self._api.list_repo_refs(self._repo, repo_type=_KIND), "branches")
        for branch in [one.name for one in refs.branches if one.name.startswith(_staging(version))]:
            self._try(
                functools.partial(
                    self._api.delete_branch, self._repo, branch=branch, repo_type=_KIND
                ),
                "to remove a branch",
            )

    def _commit(self, folder: Path, version: str, branch: str, parent: str | None) -> None:
        """Replace a branch's whole tree by a folder, in one commit."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        def commit() -> None:
            paths = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
            # Looked up for each try: one before may have done it, and its answer been lost.
            stale = self._tree(parent or branch).keys() - paths.keys() - set(_OWN)
            removals = [CommitOperationDelete(path) for path in sorted(stale)]
            additions = [
                CommitOperationAdd(path, str(file)) for path, file in sorted(paths.items())
            ]
            self._api.create_commit(
                self._repo, [*removals, *additions], commit_message=version, repo_type=_KIND,
                revision=branch, parent_commit=parent,
            )  # fmt: skip

        self._try(commit, f"to write to {branch}")

    def _read_back(self, folder: Path, commit: str) -> None:
        """Download a commit into a new folder and compare it with what was written."""
        scratch = Path(tempfile.mkdtemp(prefix="curate-read-back-"))
        try:
            self._download(commit, scratch)
            shutil.rmtree(scratch / ".cache", ignore_errors=True)
            compare(hashes(folder), hashes(scratch), f"the Hub's copy in {self._repo!r}")
        finally:
            shutil.rmtree(scratch)

    def _download(
        self, revision: str, folder: Path | None = None, ignored: list[str] | None = None
    ) -> str:
        return self._try(
            lambda: self._api.snapshot_download(
                self._repo,
                revision=revision,
                repo_type=_KIND,
                local_dir=folder,
                ignore_patterns=ignored,
            ),
            f"for the files of {revision}",
        )

    def _tag(self, version: str, commit: str) -> None:
        self._try(
            lambda: self._api.create_tag(
                self._repo, tag=version, revision=commit, repo_type=_KIND, exist_ok=True
            ),
            "for the tag",
        )
        refs = self._try(lambda: self._api.list_repo_refs(self._repo, repo_type=_KIND), "tags")
        if {tag.name: tag.target_commit for tag in refs.tags}.get(version) != commit:
            raise InputError(f"{version} of {self._repo!r} was taken by somebody else meanwhile")

    def _try(self, call: Callable[[], Result], what: str) -> Result:
        """Ask the Hub; again where it is busy or out of reach for a moment.

        Raises:
            InputError: it refuses.
            CurateError: it stays out of reach.
        """
        from huggingface_hub.errors import LocalTokenNotFoundError

        retrying = Retrying(
            retry=retry_if_exception(_is_transient), stop=stop_after_attempt(_TRIES), wait=WAIT,
            reraise=True,
        )  # fmt: skip
        try:
            return retrying(call)
        except LocalTokenNotFoundError as error:
            raise InputError(
                "there is no token for the Hub; run `hf auth login`, or set HF_TOKEN to one that "
                "may write"
            ) from error
        except Exception as error:
            answer = _answer(error)
            if answer is not None:
                raise self._told(answer, what) from error
            if not _is_transient(error):
                raise
            message = " ".join(str(error).split())[:300]
            xet = " HF_HUB_DISABLE_XET=1 takes the older way to upload." if "xet" in message else ""
            raise CurateError(
                f"the Hub could not be asked {what} ({type(error).__name__}: {message}), {_TRIES} "
                f"times; {self._later}.{xet}"
            ) from error

    def _told(self, error: Any, what: str) -> CurateError:
        """Say what an answer of the Hub means."""
        status = _status(error)
        message = str(getattr(error, "server_message", None) or "").strip()
        message = f" ({message})" if message else ""
        if self._reading and status in {401, 403}:
            return InputError(
                f"the Hub said {status} when asked {what} of {self._repo!r}{message}; there may be "
                "no such dataset, or it wants a login (`hf auth login`) and consent on its page"
            )
        if status == 401:
            return InputError(
                f"the Hub refused the token when asked {what}{message}; it may have expired: run "
                "`hf auth login`, or set HF_TOKEN to a new one"
            )
        if status == 403:
            return InputError(
                f"the token has no right to write to {self._repo!r}{message}; use one with write "
                "access there, or name another repository",
                "--repo",
            )
        if status in {404, 409, 412}:
            return InputError(f"the Hub said {status} when asked {what} of {self._repo!r}{message}")
        return CurateError(
            f"the Hub said {status} when asked {what} of {self._repo!r}{message}; {self._later}"
        )

    @property
    def _later(self) -> str:
        if self._reading:
            return "try again later"
        return "versions published there are untouched: push again later"


def _answer(error: BaseException) -> Any:
    """Find the Hub's answer that an error is about; None where there was none."""
    from huggingface_hub.errors import HfHubHTTPError

    answers = (e for e in _chain(error) if isinstance(e, HfHubHTTPError))
    return next((e for e in answers if getattr(e, "response", None) is not None), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Give an error and its causes: uploads of several files wrap what happened to one of them."""
    here: BaseException | None = error
    while here is not None:
        yield here
        here = here.__cause__


def _status(answer: Any) -> int:
    return int(answer.response.status_code)


def _is_transient(error: BaseException) -> bool:
    """Tell a busy or unreachable Hub from one that refuses."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    answer = _answer(error)
    if answer is not None:
        return _status(answer) in _TRANSIENT
    kinds = [kind.__name__ for e in _chain(error) for kind in type(e).__mro__]
    # Errors of the transport are those of the HTTP library, which changed name between releases;
    # snapshot_download makes a missing entry of a failed request.
    return "TransportError" in kinds or isinstance(
        error, LocalEntryNotFoundError | ConnectionError | TimeoutError
    )


def _staging(version: str) -> str:
    """Name what the branches of a version begin with; v0.1.0 must not be v0.1.01's."""
    return f"staging-{version}-"


def is_hub_id(reference: str) -> bool:
    """Tell whether a reference can be a dataset's id, ``owner/name``."""
    return bool(re.fullmatch(r"[\w.-]+/[\w.-]+", reference))
