"""A local Hub: what `huggingface_hub` and `datasets` ask of it for datasets, over real HTTP.

It runs in a thread of the test, which can look at every commit and have requests fail. Files that
are not text go the LFS way, with its batch, upload and verification; Xet is refused, as by a Hub
that does not have it.
"""

import asyncio
import base64
import hashlib
import json
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

TOKEN = "hf_local-test-token-that-no-log-may-hold"
REGULAR = (".md", ".json", ".yaml", ".txt", ".gitattributes")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class File:
    """A file in a tree: its bytes, or for the LFS way their sha256.

    Attributes:
        content: of a regular file.
        sha256: of a large one.
        size: in bytes.
    """

    size: int
    content: bytes | None = None
    sha256: str | None = None

    @property
    def oid(self) -> str:
        """Its git blob id; of a large file, that of the pointer."""
        text = self.content
        if text is None:
            text = (
                f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\n"
                f"size {self.size}\n"
            ).encode()
        return hashlib.sha1(b"blob %d\0" % len(text) + text, usedforsecurity=False).hexdigest()


@dataclass
class Repo:
    """A dataset repository.

    Attributes:
        private: whether it needs a token.
        trees: files by path, by commit.
        branches: commit by name.
        tags: likewise.
    """

    private: bool
    trees: dict[str, dict[str, File]] = field(default_factory=dict[str, dict[str, File]])
    branches: dict[str, str] = field(default_factory=dict[str, str])
    tags: dict[str, str] = field(default_factory=dict[str, str])

    def commit(self, tree: dict[str, File], branch: str) -> str:
        """Add a tree to a branch."""
        number = f"{len(self.trees)}{branch}{sorted(tree)}"
        oid = hashlib.sha1(number.encode(), usedforsecurity=False).hexdigest()
        self.trees[oid] = tree
        self.branches[branch] = oid
        return oid

    def find(self, revision: str) -> str | None:
        """Find a commit by its id, a branch or a tag."""
        known = revision if revision in self.trees else None
        return self.branches.get(revision) or self.tags.get(revision) or known


@dataclass
class Fault:
    """Something that goes wrong.

    Attributes:
        method: of the request.
        part: of its path.
        times: how often.
        act: what is done instead of answering; None closes the connection.
    """

    method: str
    part: str
    times: int
    act: Handler | None


class Hub:
    """The state behind the server, and what the test may do to it.

    Attributes:
        url: for HF_ENDPOINT.
        repos: by id.
        other: ids that are taken by models.
        models: what the cards of models say, by id.
        store: large files by sha256.
        role: of the token.
        asked: method and path of every request, in order.
        seen: called after every request that changed a ref.
    """

    def __init__(self) -> None:
        self.url = ""
        self.repos: dict[str, Repo] = {}
        self.other: set[str] = set()
        self.models: dict[str, dict[str, Any]] = {}
        self.store: dict[str, bytes] = {}
        self.asked: list[tuple[str, str]] = []
        self.seen: Callable[[], None] | None = None
        self.token = TOKEN
        self.role = "write"
        self._faults: deque[Fault] = deque()

    def fail(self, method: str, part: str, act: Handler | None = None, times: int = 1) -> None:
        """Have requests fail whose path holds a part.

        Args:
            method: of the request.
            part: of its path.
            act: answers instead; None drops the connection.
            times: how often.
        """
        self._faults.append(Fault(method, part, times, act))

    def content(self, file: File) -> bytes:
        """Give a file's bytes."""
        if file.content is not None:
            return file.content
        assert file.sha256 is not None
        return self.store[file.sha256]

    def application(self) -> web.Application:
        """Make the server."""
        app = web.Application(middlewares=[self._watch], client_max_size=1 << 30)
        base = "/api/datasets/{ns}/{name}"
        app.add_routes(
            [
                web.get("/api/whoami-v2", self._whoami),
                web.post("/api/repos/create", self._create),
                web.post("/api/validate-yaml", self._fine),
                web.get("/api/models/{ns}/{name}", self._model),
                web.get(base, self._info),
                web.get(base + "/revision/{rev}", self._info),
                web.get(base + "/refs", self._refs),
                web.get(base + "/tree/{rev}", self._tree),
                web.get(base + "/tree/{rev}/{path:.+}", self._tree),
                web.post(base + "/preupload/{rev}", self._preupload),
                web.post(base + "/commit/{rev}", self._commit),
                web.post(base + "/tag/{rev}", self._tag),
                web.post(base + "/branch/{rev}", self._branch),
                web.delete(base + "/branch/{rev}", self._unbranch),
                web.post("/datasets/{ns}/{name}.git/info/lfs/objects/batch", self._batch),
                web.put("/lfs/{oid}", self._upload),
                web.post("/lfs/verify", self._verify),
                web.get("/datasets/{ns}/{name}/resolve/{rev}/{path:.+}", self._resolve),
                web.get("/lfs/{oid}", self._download),
            ]
        )
        return app

    @web.middleware
    async def _watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note a request, have it fail where a fault says so, and check who asks."""
        self.asked.append((request.method, request.path))
        for fault in self._faults:
            if fault.times and fault.method == request.method and fault.part in request.path:
                fault.times -= 1
                if fault.act is None:
                    await request.read()
                    assert request.transport is not None
                    request.transport.abort()
                    raise web.HTTPServiceUnavailable
                return await fault.act(request)
        given = request.headers.get("Authorization")
        if given is not None and given != f"Bearer {self.token}" and "/lfs/" not in request.path:
            return _refusal(401, "Invalid credentials in Authorization header")
        if given is None and request.method in {"POST", "DELETE"} and "lfs" not in request.path:
            return _refusal(401, "Unauthorized")
        answer = await handler(request)
        changing = ("/commit/", "/tag/", "/branch/")
        if self.seen and request.method != "GET" and any(p in request.path for p in changing):
            self.seen()
        return answer

    def _repo(self, request: web.Request) -> Repo:
        """Find the repository a request means.

        Raises:
            web.HTTPException: there is none.
        """
        name = f"{request.match_info['ns']}/{request.match_info['name']}"
        repo = self.repos.get(name)
        signed = request.headers.get("Authorization")
        if repo is None or (repo.private and not signed):
            raise web.HTTPNotFound(
                headers={"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"}
            )
        return repo

    def _at(self, request: web.Request) -> tuple[Repo, str]:
        """Find the commit a request means.

        Raises:
            web.HTTPException: there is none.
        """
        repo = self._repo(request)
        oid = repo.find(request.match_info.get("rev", "main"))
        if oid is None:
            raise web.HTTPNotFound(headers={"X-Error-Code": "RevisionNotFound"})
        return repo, oid

    async def _whoami(self, _: web.Request) -> web.Response:
        orgs = [{"name": "org"}]
        token = {"role": self.role, "displayName": "test"}
        return web.json_response(
            {"type": "user", "name": "me", "orgs": orgs, "auth": {"accessToken": token}}
        )

    async def _fine(self, _: web.Request) -> web.Response:
        return web.json_response({"errors": [], "warnings": []})

    async def _create(self, request: web.Request) -> web.Response:
        given = await request.json()
        name = f"{given.get('organization') or 'me'}/{given['name']}"
        told = {"name": name, "id": name, "url": f"{self.url}/datasets/{name}"}
        if given.get("organization") not in {None, "org", "me"}:
            return _refusal(403, f"You don't have the rights to create a dataset under {name}")
        if name in self.repos:
            return web.json_response({"error": "You already created this dataset repo", **told},
                                     status=409)  # fmt: skip
        repo = self.repos[name] = Repo(private=given.get("visibility") == "private")
        repo.commit({".gitattributes": File(0, b"")}, "main")
        return web.json_response(told)

    async def _info(self, request: web.Request) -> web.Response:
        repo, oid = self._at(request)
        name = f"{request.match_info['ns']}/{request.match_info['name']}"
        files = [{"rfilename": path} for path in sorted(repo.trees[oid])]
        return web.json_response(
            {"_id": "1", "id": name, "sha": oid, "private": repo.private, "siblings": files,
             "tags": [], "downloads": 0, "likes": 0, "gated": False, "disabled": False,
             "author": request.match_info["ns"]}
        )  # fmt: skip

    async def _model(self, request: web.Request) -> web.Response:
        name = f"{request.match_info['ns']}/{request.match_info['name']}"
        if name not in self.models:
            raise web.HTTPNotFound(headers={"X-Error-Code": "RepoNotFound"})
        return web.json_response({"id": name, "sha": "0" * 40, "cardData": self.models[name]})

    async def _refs(self, request: web.Request) -> web.Response:
        repo = self._repo(request)

        def listed(refs: dict[str, str], kind: str) -> list[dict[str, str]]:
            return [
                {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": oid}
                for name, oid in refs.items()
            ]

        return web.json_response(
            {"branches": listed(repo.branches, "heads"), "tags": listed(repo.tags, "tags"),
             "converts": []}
        )  # fmt: skip

    async def _tree(self, request: web.Request) -> web.Response:
        repo, oid = self._at(request)
        under = request.match_info.get("path", "")
        prefix = f"{under}/" if under else ""
        deep = request.query.get("recursive", "").lower() in {"true", "1"}
        listed: dict[str, dict[str, Any]] = {}
        for path, file in sorted(repo.trees[oid].items()):
            if not path.startswith(prefix):
                continue
            parts = path.removeprefix(prefix).split("/")
            for depth in range(1, len(parts) if deep else min(2, len(parts))):
                folder = prefix + "/".join(parts[:depth])
                listed[folder] = {"type": "directory", "oid": "0" * 40, "size": 0, "path": folder}
            if deep or len(parts) == 1:
                listed[path] = _entry(path, file)
        if under and not listed:
            raise web.HTTPNotFound(headers={"X-Error-Code": "EntryNotFound"})
        return web.json_response(list(listed.values()))

    async def _preupload(self, request: web.Request) -> web.Response:
        repo, oid = self._at(request)
        given = await request.json()
        tree = repo.trees[oid]
        return web.json_response(
            {
                "files": [
                    {
                        "path": file["path"],
                        "uploadMode": "regular" if file["path"].endswith(REGULAR) else "lfs",
                        "shouldIgnore": False,
                        "oid": tree[file["path"]].oid if file["path"] in tree else None,
                    }
                    for file in given["files"]
                ]
            }
        )

    async def _batch(self, request: web.Request) -> web.Response:
        given = await request.json()
        objects: list[dict[str, Any]] = []
        for wanted in given["objects"]:
            told = {"oid": wanted["oid"], "size": wanted["size"]}
            if wanted["oid"] not in self.store:
                told["actions"] = {
                    "upload": {"href": f"{self.url}/lfs/{wanted['oid']}"},
                    "verify": {"href": f"{self.url}/lfs/verify"},
                }
            objects.append(told)
        return web.json_response({"transfer": "basic", "objects": objects})

    async def _upload(self, request: web.Request) -> web.Response:
        content = await request.read()
        if hashlib.sha256(content).hexdigest() != request.match_info["oid"]:
            return _refusal(400, "content does not match its oid")
        self.store[request.match_info["oid"]] = content
        return web.Response()

    async def _verify(self, request: web.Request) -> web.Response:
        given = await request.json()
        whole = len(self.store.get(given["oid"], b"")) == given["size"]
        return web.json_response({}) if whole else _refusal(404, "no such object")

    async def _commit(self, request: web.Request) -> web.Response:
        repo = self._repo(request)
        branch = request.match_info["rev"]
        if branch not in repo.branches:
            raise web.HTTPNotFound(headers={"X-Error-Code": "RevisionNotFound"})
        tree = dict(repo.trees[repo.branches[branch]])
        lines = [json.loads(line) for line in (await request.text()).splitlines() if line]
        for line in lines:
            value = line["value"]
            match line["key"]:
                case "header":
                    parent = value.get("parentCommit")
                    if parent is not None and parent != repo.branches[branch]:
                        return _refusal(412, "A commit has happened since")
                case "file":
                    content = base64.b64decode(value["content"])
                    tree[value["path"]] = File(len(content), content)
                case "lfsFile":
                    if value["oid"] not in self.store:
                        return _refusal(400, f"{value['oid']} was not uploaded")
                    size = len(self.store[value["oid"]])
                    tree[value["path"]] = File(size, sha256=value["oid"])
                case "deletedFile":
                    tree.pop(value["path"])
                case "deletedFolder":
                    inside = f"{value['path'].rstrip('/')}/"
                    tree = {p: file for p, file in tree.items() if not p.startswith(inside)}
                case other:
                    return _refusal(400, f"unknown operation {other}")
        oid = repo.commit(tree, branch)
        url = f"{self.url}{request.path.replace('/api', '')}".replace(f"/{branch}", f"/{oid}")
        return web.json_response({"success": True, "commitOid": oid, "commitUrl": url})

    async def _tag(self, request: web.Request) -> web.Response:
        repo, oid = self._at(request)
        tag = (await request.json())["tag"]
        if tag in repo.tags:
            return _refusal(409, f"Tag {tag} exists already")
        repo.tags[tag] = oid
        return web.json_response({})

    async def _branch(self, request: web.Request) -> web.Response:
        repo, name = self._repo(request), request.match_info["rev"]
        if name in repo.branches:
            return _refusal(409, f"Branch {name} exists already")
        start = (await request.json()).get("startingPoint", "main")
        oid = repo.find(start)
        if oid is None:
            raise web.HTTPNotFound(headers={"X-Error-Code": "RevisionNotFound"})
        repo.branches[name] = oid
        return web.json_response({})

    async def _unbranch(self, request: web.Request) -> web.Response:
        repo = self._repo(request)
        if repo.branches.pop(request.match_info["rev"], None) is None:
            raise web.HTTPNotFound(headers={"X-Error-Code": "RevisionNotFound"})
        return web.json_response({})

    async def _resolve(self, request: web.Request) -> web.Response:
        repo, oid = self._at(request)
        file = repo.trees[oid].get(request.match_info["path"])
        if file is None:
            raise web.HTTPNotFound(headers={"X-Error-Code": "EntryNotFound", "X-Repo-Commit": oid})
        headers = {"X-Repo-Commit": oid, "ETag": f'"{file.oid}"'}
        if file.sha256 is None:
            return web.Response(body=self.content(file), headers=headers)
        headers |= {
            "X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size),
            # Another host, as on the real one: clients read this answer's headers, not the next's.
            "Location": f"{self.url.replace('127.0.0.1', 'localhost')}/lfs/{file.sha256}",
        }  # fmt: skip
        return web.Response(status=302, headers=headers)

    async def _download(self, request: web.Request) -> web.Response:
        content = self.store[request.match_info["oid"]]
        given = request.headers.get("Range", "")
        if not given.startswith("bytes="):
            return web.Response(body=content)
        first, _, last = given.removeprefix("bytes=").partition("-")
        end = min(int(last) + 1 if last else len(content), len(content))
        told = {"Content-Range": f"bytes {first}-{end - 1}/{len(content)}"}
        return web.Response(status=206, body=content[int(first) : end], headers=told)


def _entry(path: str, file: File) -> dict[str, Any]:
    told: dict[str, Any] = {"type": "file", "oid": file.oid, "size": file.size, "path": path}
    if file.sha256:
        told["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": 130}
    return told


def _refusal(status: int, message: str) -> web.Response:
    headers = {"X-Error-Message": message}
    return web.json_response({"error": message}, status=status, headers=headers)


@contextmanager
def running_hub() -> Generator[Hub]:
    """Run a hub in a thread until the test is done with it."""
    hub, loop = Hub(), asyncio.new_event_loop()
    ready = threading.Event()

    async def serve() -> web.AppRunner:
        runner = web.AppRunner(hub.application(), access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        hub.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        return runner

    def live() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(serve())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=live, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield hub
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
