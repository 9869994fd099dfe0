"""What the documents say is what the code does."""

import ast
import json
import os
import re
import tomllib
from collections.abc import Iterator
from typing import Final

import pytest
from pydantic.fields import FieldInfo
from starlette.routing import Route

from core.jobs.callback_events import CallbackEvent
from core.jobs.failures import FailureCode
from core.jobs.job import Job, JobId, JobRequest
from core.jobs.status import NEXT, TERMINAL, Status
from core.jobs.views import job_view
from core.operations.callbacks.samples import TEST_DATA
from core.provider.catalogue import MODELS
from core.redis.durability import Durability
from core.settings.field_types import is_confidential, meaning, only_reader
from core.settings.settings import SERVICE, WORKER, Settings
from service.api.reference import model_view
from service.app import create_app
from service.openapi.document import document
from tests.doc_pages import ROOT, anchor, blocks, page

API, ARCHITECTURE, OPERATIONS, RELIABILITY = (
    page(f"docs/{name}.md") for name in ("api", "architecture", "operations", "reliability")
)
API_PAGES: Final = {
    f"api/{path.name}": path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "docs/api").glob("*.md"))
}
#: Everything that callers read.
CALLERS: Final = API + "".join(API_PAGES.values())
#: An endpoint in a heading: its method and path, without a query.
ENDPOINT: Final = r"`((?:GET|POST|DELETE) [^`?]+)"
VARIABLES: Final = [field for field in Settings.model_fields.values() if field.description]


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


def test_every_problem_is_listed() -> None:
    """The callers' table has a row for each problem that our own API answers, and no other."""
    table = API_PAGES["api/errors.md"]
    rows = re.findall(r"^\| \d{3} \| ((?:`[a-z-]+`(?:, )?)+) \|", table, re.MULTILINE)
    listed = {kind for row in rows for kind in re.findall(r"`([a-z-]+)`", row)}
    # The drop-in API answers in the provider's format, and who has left is answered nothing.
    unseen = {"unknown-credits", "wrong-signature", "cut-off"}
    assert listed == set(_problems()) - unseen


def test_every_word_for_durability_is_explained() -> None:
    """The operators' page has a row for each word, and the callers' page shows one of them."""
    section = between(OPERATIONS, "## Redis", "## S3")
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(Durability)
    (shown,) = re.findall(r'"durability": "(\w+)"', CALLERS)
    assert shown in set(Durability)


def test_every_endpoint_is_described() -> None:
    """The callers' pages have a heading for each route, and no other."""
    app = create_app(Settings.from_env(_required(), SERVICE))
    routes = {
        f"{method} " + ("/v1/{model}" if route.name in MODELS else route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    headings = re.findall(r"^##+ .*$", CALLERS, re.MULTILINE)
    described = set(re.findall(ENDPOINT, "\n".join(headings)))
    ids = re.compile(r"\{(?:job|batch)_id\}")
    assert {ids.sub("{id}", path) for path in described} == {ids.sub("{id}", one) for one in routes}


def test_the_table_of_endpoints_leads_to_each_description() -> None:
    """Each heading of an endpoint has one row in the table, which links to that heading."""
    rows = re.findall(r"^\| \[`([^`]+)`\]\(([^)]+)\) \|", API, re.MULTILINE)
    described = [
        (endpoint, f"{path}#{anchor(heading)}")
        for path, text in API_PAGES.items()
        for heading in re.findall(r"^##+ (.*)$", text, re.MULTILINE)
        for endpoint in re.findall(ENDPOINT, heading)
    ]
    assert sorted(rows) == sorted(described)


def test_the_groups_of_endpoints_are_those_of_the_document() -> None:
    """What the OpenAPI document shows in a group stands under its title in the table."""
    paths = document(Settings.from_env(_required(), SERVICE))["paths"]
    shown = {
        f"{method.upper()} {path.replace('{job_id}', '{id}').replace('{batch_id}', '{id}')}": one[
            "tags"
        ]
        for path, item in paths.items()
        for method, one in item.items()
        if method not in {"parameters", "head"}
    }
    group, listed = "", {}
    for line in API.splitlines():
        if title := re.match(r"\| \*\*\[(.*?)\]", line):
            group = title[1].removesuffix(" and the provider's webhooks")
        elif endpoint := re.match(r"\| \[`([^`]+)`\]", line):
            listed[endpoint[1]] = [group]
    assert shown == {name: one for name, one in listed.items() if name in shown}


def test_every_type_of_callback_is_described() -> None:
    """The callers' table of types has each one that is sent, with what its data holds."""
    text = page("docs/api/callbacks.md")
    table = between(text, "## Types", "## Which events")
    first = [row.split(" | ")[0] for row in table.splitlines()]
    named = re.findall(r"`(\w+\.\w+)`", "".join(first))
    assert named == list(CallbackEvent)
    assert json.dumps(dict(TEST_DATA)) in table


def test_every_model_is_named() -> None:
    """The callers' pages name each built-in model, and their example is what the API shows."""
    assert [name for name in MODELS if f"`{name}`" not in CALLERS] == []
    shown = [body for body in map(json.loads, blocks(CALLERS, "json")) if "models" in body]
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


@pytest.mark.parametrize("name", ["README.md", "docs/api/jobs.md"])
def test_the_shown_job_has_the_fields_of_a_job(name: str) -> None:
    """The example of a job has the fields that the API shows, in their order."""
    shown = [body for body in map(json.loads, blocks(page(name), "json")) if "timeline" in body]
    request = JobRequest(
        tenant="demo", model="flux-pro-1.1", input={}, created_at=0.0, deadline_at=1.0
    )
    job = Job(id=JobId("1"), status=Status.QUEUED, request=request, timeline=())
    assert [list(body) for body in shown] == [list(job_view(job))]
    assert list(shown[0]["provider"]) == list(job_view(job)["provider"])


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


def _problems() -> Iterator[str]:
    """Yield the kinds of problems: arguments of what makes one, and what the framework answers."""
    yield from ("method-not-allowed", "not-found")
    for path in (ROOT / "service").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="Problem" | "_hung_up" | "_unauthorized")
                    | ast.Attribute(attr="__init__")
                ):
                    values = node.args
                case ast.Assign(targets=[ast.Name(id="kind")]):
                    values = [node.value]
                case _:
                    continue
            texts = [str(one.value) for one in values if isinstance(one, ast.Constant)]
            yield from (text for text in texts if re.fullmatch("[a-z]+(-[a-z]+)*", text))
