"""What the documents say is what the code does."""

import ast
import json
import os
import re
import threading
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from pydantic.fields import FieldInfo
from starlette.routing import Route

from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId, JobRequest
from core.jobs.status import NEXT, TERMINAL, Status
from core.jobs.views import job_view
from core.provider.catalogue import MODELS
from core.redis.durability import Durability
from core.security.signatures import callback_secret, sign_callback
from core.settings.field_types import is_confidential, meaning, only_reader
from core.settings.settings import SERVICE, WORKER, Settings
from service.api.reference import model_view
from service.app import create_app

ROOT: Final = Path(__file__).parents[1]
API, ARCHITECTURE, OPERATIONS, README, RELIABILITY = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in (
        *("docs/api.md", "docs/architecture.md", "docs/operations.md", "README.md"),
        "docs/reliability.md",
    )
)
PAGES: Final = sorted(
    page
    for place in ("*.md", "docs/**/*.md", "deploy/*.md", "chaos/*.md")
    for page in ROOT.glob(place)
)
PAGE_IDS: Final = [page.relative_to(ROOT).as_posix() for page in PAGES]
OWN_FOLDERS: Final = (
    "core", "service", "worker", "sandbox", "stack", "chaos", "benchmarks", "docs", "deploy",
    "tests", ".ci",
)  # fmt: skip
VARIABLES: Final = [field for field in Settings.model_fields.values() if field.description]


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def between(text: str, begin: str, end: str) -> str:
    """Return what stands between two lines."""
    return text.split(begin + "\n", 1)[1].split(end, 1)[0]


def facts(variable: FieldInfo) -> tuple[str, str, str | None, str]:
    """Return a variable's name, its default as it is written, its only reader, and its meaning."""
    default = "" if variable.default is None else str(variable.default)
    return str(variable.validation_alias), default, only_reader(variable), meaning(variable)


def settings_table() -> str:
    """Return the settings as the operators' page has them."""
    rows = ["| variable | for | default | meaning |", "|---|---|---|---|"]
    for variable in VARIABLES:
        name, default, only, doc = facts(variable)
        shown = f"`{default}`" if default else "none"
        shown = "required" if variable.is_required() else shown
        secret = "Secret. " if is_confidential(variable) else ""
        rows.append(f"| `{name}` | {only or 'both'} | {shown} | {secret}{doc} |")
    return "\n".join(rows) + "\n"


def settings_example() -> str:
    """Return the settings as the example of an environment has them."""
    lines = []
    for variable in VARIABLES:
        name, default, only, doc = facts(variable)
        lines.append(f"# {doc} Only for the {only}." if only else f"# {doc}")
        lines.append(f"{name}=" if variable.is_required() else f"# {name}={default}")
    return "\n".join(lines) + "\n"


def test_the_settings_table_equals_the_code() -> None:
    """The operators' table holds every variable with its default and its meaning."""
    table = between(OPERATIONS, "<!-- settings: begin -->", "<!-- settings: end -->")
    assert table == settings_table(), f"docs/operations.md must hold:\n\n{settings_table()}"


def test_the_example_of_an_environment_equals_the_code() -> None:
    """`.env.example` holds every variable with its default and its meaning."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    section = between(text, "# --- settings: begin", "# --- settings: end")
    assert section == settings_example(), f".env.example must hold:\n\n{settings_example()}"


def test_the_example_starts_a_process_once_its_gaps_are_filled() -> None:
    """With values for what is required, and the defaults as they stand, settings are accepted."""
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    pairs = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=(.*)$", text, re.MULTILINE)
    environment = {name: value for name, value in pairs if value} | _required()
    for process in (SERVICE, WORKER):
        assert Settings.from_env(environment, process).s3_bucket == "pictures"


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_links_lead_to_files(page: Path) -> None:
    """Every link inside the project leads to something that exists."""
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    inside = [link for link in links if not urlsplit(link).scheme]
    assert [link for link in inside if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_named_files_exist(page: Path) -> None:
    """Every path of ours in backticks exists."""
    spans = re.findall(r"`([\w./-]+)`", page.read_text(encoding="utf-8"))
    ours = [span for span in spans if span.split("/")[0] in OWN_FOLDERS and "/" in span]
    assert [span for span in ours if not (ROOT / span).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_json_examples_parse(page: Path) -> None:
    """Every JSON example is JSON."""
    for block in blocks(page.read_text(encoding="utf-8"), "json"):
        json.loads(block)


@pytest.mark.parametrize("page", PAGES, ids=PAGE_IDS)
def test_make_commands_exist(page: Path) -> None:
    """Every make command that a page names is a target."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(named) - targets == set()


def test_every_failure_code_has_its_entry() -> None:
    """The runbook has one entry per failure code and none for another."""
    section = between(RELIABILITY, "## Runbook: failure codes", "## Runbook: dead callbacks")
    assert re.findall(r"^### `(\w+)`$", section, re.MULTILINE) == list(FailureCode)


def test_every_proof_of_an_outage_is_there() -> None:
    """Each test that the table of outages names exists."""
    section = between(RELIABILITY, "## The course of each outage", "## Crash points")
    named = re.findall(r"`(\w+/\w+\.py)(?:::(\w+))?`", section)
    assert len(named) > 20
    for file, test in named:
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert f"def {test or 'test'}" in text, (file, test)


def test_every_log_event_is_explained() -> None:
    """The operators' page has a row for each event that the code writes, and no other."""
    section = between(OPERATIONS, "## Logs", "## Looking into the queue")
    assert set(re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE)) == set(_logged_events())


def test_every_word_for_durability_is_explained() -> None:
    """The operators' page has a row for each word, and the callers' page shows one of them."""
    section = between(OPERATIONS, "## Redis", "## S3")
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(Durability)
    (shown,) = re.findall(r'"durability": "(\w+)"', API)
    assert shown in set(Durability)


def test_every_endpoint_is_described() -> None:
    """The callers' page has a heading for each route, and no other."""
    app = create_app(Settings.from_env(_required(), SERVICE))
    routes = {
        f"{method} " + ("/v1/{model}" if route.name in MODELS else route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    headings = re.findall(r"^##+ .*$", API, re.MULTILINE)
    described = set(re.findall(r"`((?:GET|POST|DELETE) [^`?]+)", "\n".join(headings)))
    assert {path.replace("{id}", "{job_id}") for path in described} == routes


def test_every_model_is_named() -> None:
    """The callers' page names each built-in model, and its example is what the API shows."""
    assert [name for name in MODELS if f"`{name}`" not in API] == []
    shown = [body for body in map(json.loads, blocks(API, "json")) if "models" in body]
    view = json.dumps({"models": [model_view(MODELS["flux-tools/deblur-v1"])]})
    assert shown == [json.loads(view)]


def test_the_status_diagram_equals_the_state_machine() -> None:
    """The diagram has each move that the code allows, and no other."""
    found = blocks(ARCHITECTURE, "mermaid")
    (diagram,) = (block for block in found if block.startswith("stateDiagram"))
    moves = set(re.findall(r"^\s*(\S+) --> (\S+)$", diagram, re.MULTILINE))
    allowed = {(str(status), str(after)) for status, next_ in NEXT.items() for after in next_}
    ends = {("[*]", "queued")} | {(str(status), "[*]") for status in TERMINAL}
    assert moves == allowed | ends


def test_every_redis_key_is_listed() -> None:
    """The table of keys has what the scripts' own list has."""
    prelude = (ROOT / "core/redis/lua/prelude.lua").read_text(encoding="utf-8")
    keys = re.findall(r"^-- (\S+(?: \S+)*?)  +(?:hash|zset|string|RQ)", prelude, re.MULTILINE)
    assert len(keys) > 1
    assert [key for key in keys if f"| `{key}` |" not in ARCHITECTURE] == []


@pytest.mark.parametrize("page", ["README.md", "docs/api.md"])
def test_the_shown_job_has_the_fields_of_a_job(page: str) -> None:
    """The example of a job has the fields that the API shows, in their order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = [body for body in map(json.loads, blocks(text, "json")) if "timeline" in body]
    request = JobRequest(
        tenant="demo", model="flux-pro-1.1", input={}, created_at=0.0, deadline_at=1.0
    )
    job = Job(id=JobId("1"), status=Status.QUEUED, request=request, timeline=())
    assert [list(body) for body in shown] == [list(job_view(job))]
    assert list(shown[0]["provider"]) == list(job_view(job)["provider"])


def test_the_receiver_of_the_readme_checks_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiver runs as printed: it takes our callback and refuses one that was changed."""
    secret = callback_secret("a-master-secret-that-is-long-enough", "demo")
    monkeypatch.setenv("CALLBACK_SECRET", secret)
    (source,) = blocks(README, "python")
    namespace: dict[str, Any] = {"__name__": "receiver"}
    exec(compile(source, "README.md", "exec"), namespace)  # noqa: S102 - it is our own page
    body = b'{"type": "job.succeeded", "data": {"id": "1"}}'
    at = int(time.time())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(at),
        "webhook-signature": sign_callback([secret], "msg_1", at, body),
    }
    with (
        _serving(namespace["Receiver"]) as url,
        httpx.Client(trust_env=False, timeout=60) as client,
    ):
        assert client.post(url, content=body, headers=headers).status_code == httpx.codes.NO_CONTENT
        changed = client.post(url, content=body + b" ", headers=headers)
        assert changed.status_code == httpx.codes.UNAUTHORIZED


def test_the_changelog_begins_with_this_version() -> None:
    """The newest entry is the version of the project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"^## \[([^\]]+)\]", changelog, re.MULTILINE)[0] == project["version"]


def test_the_ci_script_can_be_run() -> None:
    """`.ci/run` is executable."""
    assert os.access(ROOT / ".ci/run", os.X_OK)


def _required() -> dict[str, str]:
    return {
        "BFL_API_KEY": "provider-key-of-a-test",
        "FLUXRELAY_WEBHOOK_SECRET": "a-master-secret-that-is-long-enough-for-tests",
        "FLUXRELAY_API_KEYS": "demo:api-key-of-a-test-0001",
        "FLUXRELAY_REDIS_URL": "redis://127.0.0.1:1/0",
        "FLUXRELAY_S3_BUCKET": "pictures",
    }


def _logged_events() -> Iterator[str]:
    files = (path for name in ("core", "service", "worker") for path in (ROOT / name).rglob("*.py"))
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="event" | "crash") | ast.Attribute(attr="event"),
                    args=[_, ast.Constant(value=str(name)), *_],
                ):
                    yield name


@contextmanager
def _serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/done"
        finally:
            server.shutdown()
            thread.join()
