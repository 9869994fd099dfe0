"""Webhooks in the provider's shape, for clients that asked for them."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import redis

from stack.options import StackOptions
from stack.receiver import Answer, Callback, CallbackReceiver
from stack.stack import Stack
from tests.drop_in.conftest import SMALL, Client, RqBookkeeping, digest
from tests.timing import FAST, FAST_SANDBOX

SECRET = "a client's very own secret"


def one(receiver: CallbackReceiver) -> tuple[Callback, dict[str, Any]]:
    """Return the next webhook that was taken, and its body."""
    (callback,) = receiver.wait_for(lambda c: c.answered == 204, timeout_seconds=20)
    body: dict[str, Any] = json.loads(callback.body)
    return callback, body


def test_delivered(
    client: Client, receiver: CallbackReceiver, books: RqBookkeeping, relay: Stack
) -> None:
    """It tells what `get_result` tells, with the client's own secret, and its link works."""
    hook = {"webhook_url": f"{receiver.url}/x?for=me", "webhook_secret": SECRET}
    task = client.submitted("tell me", seed=3, **hook)
    callback, body = one(receiver)
    assert callback.path.endswith("/x?for=me")
    assert callback.headers["x-webhook-secret"] == SECRET
    assert callback.headers["content-type"] == "application/json"
    assert "webhook-signature" not in callback.headers
    assert body == client.result(task["id"])
    assert (body["id"], body["status"], body["result"]["seed"]) == (task["id"], "Ready", 3)
    assert body["result"]["sample"].startswith(relay.service_url)
    image = httpx.get(body["result"]["sample"], trust_env=False, timeout=60).content
    assert digest(image) == books.made(task["id"])["sha256"]


@pytest.mark.parametrize(
    ("prompt", "status"),
    [("moderate-content", "Content Moderated"), ("fail-generation", "Error")],
)
def test_failures_are_told(
    client: Client, receiver: CallbackReceiver, prompt: str, status: str
) -> None:
    """A task that fails is told too, with its details; without a secret there is no header."""
    client.submitted(prompt, webhook_url=receiver.url)
    callback, body = one(receiver)
    assert (body["status"], body["result"]) == (status, None)
    assert body["details"]
    assert "x-webhook-secret" not in callback.headers


def test_a_cancel_is_told(client: Client, receiver: CallbackReceiver, relay: Stack) -> None:
    """A task that is canceled by the job's own path ends as an error, once."""
    with relay.redis() as books:
        books.set("pool:default:paused", "a test", ex=60)
        task = client.submitted("not wanted", webhook_url=receiver.url, webhook_secret=SECRET)
        canceled = client.http.delete(f"/v1/jobs/{task['id']}", headers=client.headers)
        books.delete("pool:default:paused")
    assert canceled.json()["status"] == "canceled"

    callback, body = one(receiver)

    assert callback.headers["x-webhook-secret"] == SECRET
    assert body == client.result(task["id"])
    assert (body["status"], body["details"]) == ("Error", {"error": "The job was canceled"})


def test_tried_again(client: Client, receiver: CallbackReceiver) -> None:
    """A receiver that is in trouble is told again, with the same body and secret."""
    receiver.script(Answer(500), Answer(None), Answer(302))
    task = client.submitted("again", webhook_url=receiver.url, webhook_secret=SECRET)
    one(receiver)
    assert len(receiver.callbacks) == 4
    assert len({(c.body, c.headers["x-webhook-secret"]) for c in receiver.callbacks}) == 1

    def callback() -> dict[str, Any]:
        view: dict[str, Any] = client.get(f"/v1/jobs/{task['id']}").json()["callback"]
        return view

    client.eventually(lambda: callback()["state"] == "delivered")
    assert [attempt["status"] for attempt in callback()["log"]] == [500, None, 302, 204]


def test_gone(client: Client, receiver: CallbackReceiver) -> None:
    """A receiver that answers 410 is not told again; the webhook is a dead letter."""
    receiver.script(then=Answer(410))
    task = client.submitted("gone", webhook_url=receiver.url, webhook_secret=SECRET)
    path = f"/v1/jobs/{task['id']}"
    client.eventually(lambda: client.get(path).json()["callback"]["state"] == "dead", 20)
    assert len(receiver.callbacks) == 1


def test_the_secret_is_told_to_nobody_else(
    client: Client, receiver: CallbackReceiver, relay: Stack, books: RqBookkeeping
) -> None:
    """The client's secret stands in no view, log, manifest, object, or request to the provider."""
    receiver.script(Answer(500))
    task = client.submitted("sealed", webhook_url=receiver.url, webhook_secret=SECRET)
    one(receiver)
    job = client.get(f"/v1/jobs/{task['id']}")
    image = job.json()["image"]
    s3 = relay.s3()
    manifest = s3.get_object(Bucket=image["bucket"], Key=f"{image['key']}.json")["Body"].read()
    stored = s3.head_object(Bucket=image["bucket"], Key=image["key"])
    texts = {path.name: path.read_text() for path in (relay.directory / "logs").glob("*.log")}
    texts |= {
        "job": job.text,
        "result": client.get(f"/v1/get_result?id={task['id']}").text,
        "manifest": manifest.decode(),
        "metadata": repr(stored["Metadata"]),
        "provider": repr(books.made(task["id"])),
    }
    assert [name for name, text in texts.items() if SECRET in text] == []
    assert task["id"] in texts["service.log"] + texts["worker.notify.log"]


def test_in_redis_the_secret_stands_with_its_job(
    client: Client, receiver: CallbackReceiver, relay: Stack
) -> None:
    """No task, queue or other key of Redis holds the secret but the job's own record."""
    secret = "a secret that is looked for"
    task = client.submitted("kept", webhook_url=receiver.url, webhook_secret=secret)
    one(receiver)
    raw = redis.Redis.from_url(relay.valkey.url)
    dumps = {bytes(key): raw.dump(key) or b"" for key in raw.scan_iter(count=1000)}
    hashes = [key for key in dumps if raw.type(key) == b"hash"]
    holders = [key for key in hashes if secret in repr(raw.hgetall(key))]
    raw.close()
    assert holders == [f"job:{task['id']}".encode()]
    others = [key for key in dumps if key not in hashes and secret.encode() in dumps[key]]
    assert others == []


def test_private_receivers_are_refused(client: Client) -> None:
    """A webhook that would go to a private address is refused like any callback."""
    answer = client.submit({"prompt": "p", "webhook_url": "http://169.254.169.254/"})
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "webhook_url"]


@pytest.fixture(scope="module")
def polled() -> Iterator[Stack]:
    """Run the product without a public URL: it polls the provider."""
    options = StackOptions(webhooks=False, relay_variables=FAST, sandbox_variables=FAST_SANDBOX)
    with Stack(options) as stack:
        yield stack


def test_without_a_public_url(polled: Stack, receiver: CallbackReceiver) -> None:
    """The link is on the origin that the client submitted to, as it was written there."""
    origin = polled.service_url.replace("127.0.0.1", "localhost")
    headers = {"x-key": polled.api_key, "host": origin.removeprefix("http://")}
    body = {"prompt": "p", "webhook_url": receiver.url, "webhook_secret": SECRET, **SMALL}
    url = f"{polled.service_url}/v1/flux-pro-1.1"
    answer = httpx.post(url, json=body, headers=headers, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    callback, told = one(receiver)
    assert callback.headers["x-webhook-secret"] == SECRET
    assert told["result"]["sample"].startswith(f"{origin}/v1/samples/{answer.json()['id']}.")
