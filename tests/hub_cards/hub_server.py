"""
The part of the Hub's interface that huggingface_hub uses for pushes and downloads, on 127.0.0.1, with faults at will.

Nothing is written to disk. Clients find it by HF_ENDPOINT, with HF_HUB_DISABLE_XET=1 and HF_TOKEN=TOKEN.
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


TOKEN = "hf_" + "t" * 34
LARGE = (".safetensors", ".parquet")  # what goes by LFS, whatever its size

Files = dict[str, bytes]


@dataclass
class Repo:
    """`commits`: the files of each; `branches`: names to commits, a repository starts with an empty `main`."""

    private: bool
    commits: dict[str, Files] = field(default_factory=lambda: {"0" * 40: {}})
    branches: dict[str, str] = field(default_factory=lambda: {"main": "0" * 40})

    def commit(self, branch: str, files: Files) -> str:
        text = f"{self.branches[branch]} {sorted((name, blob_id(data)) for name, data in files.items())}"
        name = hashlib.sha1(text.encode()).hexdigest()
        self.commits[name] = files
        self.branches[branch] = name
        return name

    def resolve(self, revision: str) -> str | None:
        commit = self.branches.get(revision, revision)
        return commit if commit in self.commits else None


class Hub:
    """
    `repos` by (type, id), `blobs` by SHA-256, `log` holds (method, path, status). Faults: `drop` uploads are cut in
    their middle; the next POST that ends in a key of `busy` is told to wait, as often as its value says.
    """

    def __init__(self) -> None:
        self.repos: dict[tuple[str, str], Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.log: list[tuple[str, str, int]] = []
        self.drop = 0
        self.busy: dict[str, int] = {}
        self.lock = threading.Lock()

    def __enter__(self) -> "Hub":
        hub = self

        class Handler(HubHandler):
            state = hub

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()

    def environment(self, home: str, token: str = TOKEN) -> dict[str, str]:
        """For a process that is to talk to this Hub and nothing else."""
        return {
            "HF_ENDPOINT": self.url,
            "HF_HOME": home,
            "HF_TOKEN": token,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }

    def calls(self, method: str, pattern: str) -> int:
        """How many requests of a kind succeeded."""
        return sum(m == method and bool(re.search(pattern, path)) and status < 300 for m, path, status in self.log)


class HubHandler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_GET(self) -> None:
        self.answer_request()

    do_HEAD = do_POST = do_PUT = do_GET

    def answer_request(self) -> None:
        self.path = unquote(self.path)
        path = urlsplit(self.path).path
        if self.command == "PUT" and self.state.drop:
            self.state.drop -= 1
            self.rfile.read(int(self.headers["Content-Length"]) // 2)
            self.close_connection = True
            self.state.log.append(("PUT", path, 0))
            return self.connection.close()
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.command == "POST":
            for ending, times in self.state.busy.items():
                if times and re.search(ending, path):
                    self.state.busy[ending] -= 1
                    return self.send(429, {"error": "too many requests"}, {"Retry-After": "1"})
        if (
            self.command in ("POST", "PUT")
            and self.headers.get("Authorization") != f"Bearer {TOKEN}"
            and "lfs-blob" not in path
        ):
            return self.send(401, {"error": "Invalid username or password."})
        for method, pattern, call in ROUTES:
            if self.command in method and (match := re.fullmatch(pattern, path)):
                with self.state.lock:
                    return call(self, **match.groupdict())
        return self.send(501, {"error": f"{self.command} {path} is not in this Hub"})

    def send(
        self, status: int, data: object = None, headers: dict[str, str] | None = None, content: bytes | None = None
    ) -> None:
        body = json.dumps(data).encode() if content is None else content
        self.state.log.append((self.command, urlsplit(self.path).path, status))
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | (headers or {})).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def repo(self, kind: str | None, id: str) -> Repo | None:
        """The repository, if there is one that this client may see; else the answer is given."""
        found = self.state.repos.get((kind or "models", id))
        if found is None or (found.private and self.headers.get("Authorization") != f"Bearer {TOKEN}"):
            self.send(401 if found else 404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return None
        return found

    def create(self) -> None:
        asked = json.loads(self.body)
        id, kind = f"{asked.get('organization') or 'me'}/{asked['name']}", f"{asked.get('type') or 'model'}s"
        url = {"url": f"{self.state.url}/{'' if kind == 'models' else kind + '/'}{id}"}
        if (kind, id) in self.state.repos:
            return self.send(409, url | {"error": "You already created this repo"})
        self.state.repos[kind, id] = Repo(asked.get("visibility") == "private")
        return self.send(200, url)

    def validate(self) -> None:
        content = json.loads(self.body)["content"]
        if re.search(r"^license: nonsense$", content, re.MULTILINE):
            return self.send(400, {"errors": [{"message": '"license" must be one of a list'}], "warnings": []})
        return self.send(200, {"errors": [], "warnings": []})

    def branch(self, kind: str, id: str, name: str) -> None:
        if repo := self.repo(kind, id):
            if name in repo.branches:
                return self.send(409, {"error": "Reference already exists"})
            repo.branches[name] = repo.branches["main"]
            return self.send(200, {})
        return None

    def preupload(self, kind: str, id: str, revision: str) -> None:
        if not (repo := self.repo(kind, id)):
            return None
        there = repo.commits.get(repo.resolve(revision) or "", {})
        answers = []
        for file in json.loads(self.body)["files"]:
            large, name = file["path"].endswith(LARGE), file["path"]
            oid = (sha256 if large else blob_id)(there[name]) if name in there else None
            mode = "lfs" if large else "regular"
            answers.append({"path": name, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return self.send(200, {"files": answers})

    def lfs_batch(self, kind: str | None, id: str) -> None:
        answers = []
        for wanted in json.loads(self.body)["objects"]:
            upload = {"actions": {"upload": {"href": f"{self.state.url}/lfs-blob/{wanted['oid']}"}}}
            answers.append(wanted | ({} if wanted["oid"] in self.state.blobs else upload))
        self.send(200, {"transfer": "basic", "objects": answers}, {"Content-Type": "application/vnd.git-lfs+json"})

    def lfs_put(self, oid: str) -> None:
        if sha256(self.body) != oid:
            return self.send(400, {"error": "the content is not what was announced"})
        self.state.blobs[oid] = self.body
        return self.send(200, {})

    def commit(self, kind: str, id: str, revision: str) -> None:
        repo = self.repo(kind, id)
        if repo is None or revision not in repo.branches:
            return repo and self.send(404, {"error": "no such branch"}, {"X-Error-Code": "RevisionNotFound"})
        files = dict(repo.commits[repo.branches[revision]])
        for line in self.body.splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif item["key"] == "lfsFile":
                files[value["path"]] = self.state.blobs[value["oid"]]
        commit = repo.commit(revision, files)
        return self.send(200, {"commitOid": commit, "commitUrl": f"{self.state.url}/{id}/commit/{commit}"})

    def info(self, kind: str, id: str, revision: str = "main") -> None:
        if not (repo := self.repo(kind, id)):
            return None
        commit = repo.resolve(revision)
        if commit is None:
            return self.send(404, {"error": "Invalid rev id"}, {"X-Error-Code": "RevisionNotFound"})
        names = [{"rfilename": name} for name in sorted(repo.commits[commit])]
        facts = {"_id": "1", "id": id, "modelId": id, "sha": commit, "private": repo.private, "siblings": names}
        return self.send(200, facts | {"tags": [], "downloads": 0, "likes": 0, "gated": False, "disabled": False})

    def refs(self, kind: str, id: str) -> None:
        if repo := self.repo(kind, id):
            heads = [{"name": n, "ref": f"refs/heads/{n}", "targetCommit": c} for n, c in repo.branches.items()]
            self.send(200, {"branches": heads, "tags": [], "converts": []})

    def tree(self, kind: str, id: str, revision: str, folder: str = "") -> None:
        if repo := self.repo(kind, id):
            files = repo.commits[repo.resolve(revision) or "0" * 40]
            found = [entry(name, data) for name, data in files.items() if name.startswith(folder or "")]
            if folder and not found:
                return self.send(404, {"error": "no such folder"}, {"X-Error-Code": "EntryNotFound"})
            return self.send(200, found)
        return None

    def paths(self, kind: str, id: str, revision: str) -> None:
        if repo := self.repo(kind, id):
            wanted = (
                re.findall(r"paths=([^&]+)", self.body.decode())
                if b"paths=" in self.body
                else json.loads(self.body)["paths"]
            )
            files = repo.commits[repo.resolve(revision) or "0" * 40]
            self.send(200, [entry(name, files[name]) for name in map(unquote, wanted) if name in files])

    def resolve(self, kind: str | None, id: str, revision: str, name: str) -> None:
        if not (repo := self.repo(kind, id)):
            return None
        commit = repo.resolve(revision)
        if commit is None or name not in repo.commits[commit]:
            code = "EntryNotFound" if commit else "RevisionNotFound"
            return self.send(404, {"error": code}, {"X-Error-Code": code, "X-Repo-Commit": commit or ""})
        data = repo.commits[commit][name]
        large = name.endswith(LARGE)
        tag = f'"{sha256(data) if large else blob_id(data)}"'
        headers = {"X-Repo-Commit": commit, "ETag": tag, "Content-Type": "application/octet-stream"}
        if large:
            headers |= {"X-Linked-Size": str(len(data)), "X-Linked-ETag": tag}
        start = int((re.match(r"bytes=(\d+)-", self.headers.get("Range") or "") or [0, "0"])[1])
        return self.send(206 if start else 200, None, headers, data[start:])


def entry(name: str, data: bytes) -> dict:
    large = {"lfs": {"oid": sha256(data), "size": len(data), "pointerSize": 100}} if name.endswith(LARGE) else {}
    return {"type": "file", "path": name, "size": len(data), "oid": blob_id(data)} | large


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def blob_id(data: bytes) -> str:
    """As git names a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


API = r"/api/(?P<kind>models|datasets)/(?P<id>[^/]+/[^/]+)"
HOME = r"/(?:(?P<kind>datasets)/)?(?P<id>[^/]+/[^/]+)"
ROUTES = [
    ("POST", "/api/repos/create", HubHandler.create),
    ("POST", "/api/validate-yaml", HubHandler.validate),
    ("POST", API + r"/branch/(?P<name>.+)", HubHandler.branch),
    ("POST", API + r"/preupload/(?P<revision>.+)", HubHandler.preupload),
    ("POST", API + r"/commit/(?P<revision>.+)", HubHandler.commit),
    ("POST", API + r"/paths-info/(?P<revision>.+)", HubHandler.paths),
    ("POST", HOME + r"\.git/info/lfs/objects/batch", HubHandler.lfs_batch),
    ("PUT", r"/lfs-blob/(?P<oid>\w+)", HubHandler.lfs_put),
    ("GET", API + r"/refs", HubHandler.refs),
    ("GET", API + r"/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?", HubHandler.tree),
    (
        "GET",
        API + r"(?:/revision/(?P<revision>.+))?",
        lambda handler, kind, id, revision: handler.info(kind, id, revision or "main"),
    ),
    ("GET HEAD", HOME + r"/resolve/(?P<revision>[^/]+)/(?P<name>.+)", HubHandler.resolve),
]
