"""No secret stands in a log, a problem document, a job's view or a callback."""

import base64
import re
from urllib.parse import unquote, urlsplit

import httpx
import pytest

from core.security.signatures import callback_secret, webhook_secret
from stack.receiver import Answer, CallbackReceiver
from stack.stack import Stack
from tests.http.conftest import Caller, SandboxDesk

#: Each fault makes a worker write about what went wrong.
FAULTS: dict[str, object] = {
    "refuse_submit": [
        {"match": "answered 422", "status": 422},
        {"match": "answered 500", "status": 500, "times": 1},
        {"match": "answered 402", "status": 402, "times": 1},
        {"match": "answered 429", "status": 429, "times": 1},
    ],
    "cut_answer": {"match": "cut answer"},
    "drop_webhook": {"match": "no webhook"},
    "unknown_status": {"match": "odd webhook", "text": "Sparkling"},
    "truncate_download": {"match": "half download", "times": 2},
    "html_download": {"match": "page download", "times": 1},
    "refuse_download": [
        {"match": "busy download", "status": 503, "times": 2},
        {"match": "gone download", "status": 403},
    ],
}
PROMPTS = (
    "answered 422", "answered 500", "answered 402", "answered 429", "cut answer", "no webhook",
    "odd webhook", "half download", "page download", "busy download", "gone download",
    "moderate-content", "moderate-request", "fail-generation", "all is well",
)  # fmt: skip


def refusals(relay: Stack, job_id: str) -> list[str]:
    """Return the problem documents that bad requests with secrets in them are answered with."""
    service = relay.service_url
    key, master = relay.api_key, relay.credentials.webhook_secret
    with httpx.Client(base_url=service, trust_env=False, timeout=60) as client:
        good = {"x-key": key}
        path = f"/webhooks/bfl/{job_id}"
        secret = webhook_secret(master, job_id)
        answers = [
            client.post("/v1/jobs", headers={"x-key": key + "0"}, content=b"{}"),
            client.post("/v1/jobs", headers=good, content=b"{"),
            client.post("/v1/jobs", headers=good, json={"model": 1, "input": [], "extra": {}}),
            client.post("/v1/jobs", headers=good | {"idempotency-key": ""}, json={}),
            client.get("/v1/jobs/none", headers=good),
            client.get("/nothing", headers=good, params={"key": key}),
            client.delete("/v1/jobs", headers=good),
            client.post(path, headers={"x-webhook-secret": secret + "0"}, content=b"{}"),
            client.post(path, headers={"x-webhook-secret": secret}, content=b"{"),
            client.get(f"{path}?secret={secret}"),
        ]
    assert all(answer.is_client_error for answer in answers)
    return [answer.text + repr(answer.headers) for answer in answers]


@pytest.fixture
def job_ids(
    api: Caller, sandbox: SandboxDesk, receiver: CallbackReceiver, picture: bytes
) -> list[str]:
    """Run jobs that go well and jobs that go wrong in every way; return their ids."""
    sandbox.faults(**FAULTS)
    receiver.script(Answer(500), Answer(None), Answer(302))
    callback = {"url": receiver.url}
    ids = [api.create(prompt, callback=callback) for prompt in PROMPTS]
    edit = {"prompt": "an edit", "input_image": base64.b64encode(picture).decode()}
    ids.append(api.create("", model="flux-kontext-pro", input=edit, callback=callback))
    for job_id in ids:
        api.ended(job_id, 90)
    api.eventually(
        lambda: {api.job(job_id)["callback"]["state"] for job_id in ids} == {"delivered"}, 20
    )
    return ids


def secrets_of(relay: Stack, job_ids: list[str], sandbox: SandboxDesk) -> dict[str, str]:
    """Return every secret that is about, by what it is."""
    master = relay.credentials.webhook_secret
    per_job = {f"webhook secret {job_id}": webhook_secret(master, job_id) for job_id in job_ids}
    urls = [str(task["sample_url"] or "") for job in job_ids for task in sandbox.tasks(job)]
    written = {
        url: urlsplit(url).query.partition("sig=")[2].partition("&")[0] for url in urls if url
    }
    signatures = {f"signature of {url}": text for url, text in written.items()}
    decoded = {f"decoded signature of {url}": unquote(text) for url, text in written.items()}
    assert len(signatures) > len(job_ids) / 2
    assert all(len(text) > 20 for text in decoded.values())
    return {
        "API key": relay.api_key,
        "provider key": relay.credentials.provider_key,
        "master secret": master,
        "callback secret": callback_secret(master, "demo").removeprefix("whsec_"),
        "S3 secret": relay.seaweed.secret_key,
        "Redis password": str(urlsplit(relay.valkey.url).password),
        **per_job,
        **signatures,
        **decoded,
    }


def test_no_secret_is_told(
    api: Caller,
    relay: Stack,
    sandbox: SandboxDesk,
    receiver: CallbackReceiver,
    job_ids: list[str],
) -> None:
    """After good and bad jobs no secret is found in anything that was written or sent."""
    logs = {path.name: path.read_text() for path in (relay.directory / "logs").glob("*.log")}
    texts = logs | {
        "problems": "\n".join(refusals(relay, job_ids[0])),
        "views": "\n".join(api.get(f"/v1/jobs/{job_id}").text for job_id in job_ids),
        "callbacks": "\n".join(repr(callback) for callback in receiver.callbacks),
    }
    assert set(relay.processes) <= {name.removesuffix(".log") for name in logs}
    assert all(job_ids[0] in texts[name] for name in ("views", "callbacks", "service.log"))
    secrets = secrets_of(relay, job_ids, sandbox)
    found = [
        f"{what} in {name}"
        for name, text in texts.items()
        for what, secret in secrets.items()
        if secret in text
    ]
    assert found == []


def test_prompts_are_not_logged(api: Caller, relay: Stack) -> None:
    """What a caller asks for is nobody's business: no log of ours holds a prompt."""
    job_id = api.create("a very private wish")
    api.ended(job_id)
    for path in (relay.directory / "logs").glob("*.log"):
        if re.match("service|worker", path.name):
            assert "private wish" not in path.read_text()
