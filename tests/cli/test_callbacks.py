"""Callbacks on the command line: received, forwarded, and verified once they are saved."""

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import pytest

from core.security.signatures import sign_callback
from fluxrelay.cli.callback_server import CallbackServer, Received
from fluxrelay.cli.exits import Exit
from fluxrelay.cli.signatures import fault
from stack.receiver import Answer, CallbackReceiver
from stack.servers.ports import Ports
from tests.cli.conftest import SMALL, Cli
from tests.conftest import Eventually
from tests.contract.scripted_server import Script, ScriptedServer, head

SECRET = "whsec_CRAz45xgqGUFbMp9SmTwzqeH3tOw/nvurgHIPGKlOCk="
BODY = b'{"type": "job.succeeded", "data": {"id": "1"}}'
AT = 1_795_278_301


def signed(body: bytes = BODY, at: int = AT) -> dict[str, str]:
    """Return the headers of a callback."""
    signature = sign_callback([SECRET], "msg_1", at, body)
    return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}


def test_listen_shows_what_the_service_sends(cli: Cli, ports: Ports) -> None:
    """A job's callback is received, verified and shown, and the command ends after it."""
    port = ports.take()
    job_id = cli("submit", "x", *SMALL, "--callback", f"http://127.0.0.1:{port}/").out.strip()

    done = cli("listen", "--port", str(port), "--count", "1", "--json")

    assert (done.code, f":{port}/" in done.err) == (Exit.DONE, True)
    told = json.loads(done.out)
    assert (told["verified"], told["answered"], told["body"]["data"]["id"]) == (True, 204, job_id)


def test_listen_sends_on_what_it_receives(
    cli: Cli, ports: Ports, receiver: CallbackReceiver
) -> None:
    """With `--forward`, the receiver behind gets the callback, signed as it was."""
    port = ports.take()
    job_id = cli("submit", "x", *SMALL, "--callback", f"http://127.0.0.1:{port}/").out.strip()
    receiver.script(Answer(202))

    done = cli(
        *("listen", "--host", "127.0.0.1", "--port", str(port)),
        *("--forward", receiver.url, "--count", "1"),
    )

    assert (done.code, "✓ verified  answered 202" in done.out) == (Exit.DONE, True)
    (callback,) = receiver.callbacks
    assert json.loads(callback.body)["data"]["id"] == job_id
    assert "webhook-signature" in callback.headers
    assert cli("listen", "--forward", "127.0.0.1:3000").code == Exit.USAGE


@pytest.fixture
def received() -> list[Received]:
    """Return a list for what a server receives."""
    return []


@pytest.fixture
def forwarding(
    receiver: CallbackReceiver, received: list[Received], monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Run a server that forwards to the receiver, at the time of the callback; return its URL."""
    monkeypatch.setattr("time.time", lambda: AT + 1.0)
    with CallbackServer(("127.0.0.1", 0), [SECRET], received.append, receiver.url) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.url
        server.shutdown()


def test_a_genuine_callback_is_forwarded_as_it_came(
    forwarding: str, receiver: CallbackReceiver, received: list[Received]
) -> None:
    """The receiver gets body and headers unchanged, and its answer is passed back."""
    receiver.script(Answer(503))
    answer = httpx.post(forwarding, content=BODY, headers=signed(), timeout=60, trust_env=False)
    (callback,) = receiver.callbacks
    assert (answer.status_code, callback.body) == (503, BODY)
    assert callback.headers.items() >= signed().items()
    receiver.go_down()
    answer = httpx.post(forwarding, content=BODY, headers=signed(), timeout=60, trust_env=False)
    assert answer.status_code == 502
    assert [one.forward_error is None for one in received] == [True, False]


def test_a_callback_counts_until_it_is_answered(eventually: Eventually) -> None:
    """The command ends only when what came is answered; else it would come again."""
    told, goes_on = threading.Event(), threading.Event()

    def tell(_: Received) -> None:
        told.set()
        goes_on.wait(60)

    with CallbackServer(("127.0.0.1", 0), [SECRET], tell) as server, ThreadPoolExecutor(2) as pool:
        pool.submit(server.serve_forever, 0.02)
        post = partial(httpx.post, server.url, content=BODY, headers={}, timeout=60)
        answer = pool.submit(post, trust_env=False)
        assert told.wait(60)
        assert server.busy == 1
        goes_on.set()
        assert answer.result().status_code == 401
        eventually(lambda: server.busy == 0)
        server.shutdown()


def test_a_forgery_is_refused_and_not_forwarded(
    forwarding: str, receiver: CallbackReceiver, received: list[Received]
) -> None:
    """It is answered with 401, and shown with what is wrong."""
    for body, headers in ((BODY + b" ", signed()), (BODY, {}), (b"\xff", signed(at=AT - 301))):
        answer = httpx.post(forwarding, content=body, headers=headers, timeout=60, trust_env=False)
        assert answer.status_code == 401
    assert receiver.callbacks == ()
    assert None not in [one.problem for one in received]


@pytest.mark.parametrize(
    ("body", "headers", "now", "said"),
    [
        (BODY, signed(), AT, None),
        (BODY, signed(), None, None),
        (BODY, signed(), AT + 7200, "2 hours old"),
        (BODY, signed(), AT - 400, "in the future"),
        (BODY + b"\n", signed(), None, "line end"),
        (BODY, {**signed(), "webhook-id": "msg_2"}, None, "no signature matches"),
        (BODY, {**signed(), "webhook-timestamp": "now"}, None, "no Unix time"),
        (BODY, {**signed(), "webhook-timestamp": "9" * 40}, None, "no signature matches"),
        (BODY, {**signed(), "webhook-signature": "v1,é nonsense"}, None, "no signature matches"),
        (BODY, {"webhook-id": "msg_1"}, None, "no header webhook-timestamp"),
    ],
)
def test_what_is_wrong_with_a_signature_is_said(
    body: bytes, headers: dict[str, str], now: float | None, said: str | None
) -> None:
    """Each fault has words of its own; the age counts only where the time is given."""
    found = fault(body, headers, [SECRET], now)
    assert (found is None) if said is None else (found is not None and said in found)


def test_a_saved_callback_is_verified(bare: Cli, tmp_path: Path) -> None:
    """Body and headers come from files; a change is told by the exit code 1."""
    (tmp_path / "body").write_bytes(BODY)
    lines = ["POST /done HTTP/1.1", *(f"{name.title()}: {v}" for name, v in signed().items()), ""]
    (tmp_path / "headers").write_text("\r\n".join(lines))
    arguments = ("verify", "body", "--headers", "headers")
    variables = {"FLUXRELAY_CALLBACK_SECRET": SECRET}

    good = bare(*arguments, **variables)
    assert (good.code, re.match("✓ verified: msg_1, ", good.out) is not None) == (0, True)
    assert bare(*arguments, "--fresh", **variables).code == Exit.FAILED
    assert bare("verify", "body", **variables).code == Exit.USAGE
    assert bare(*arguments, FLUXRELAY_CALLBACK_SECRET="whsec_é").code == Exit.USAGE
    (tmp_path / "body").write_bytes(BODY + b" ")
    bad = bare(*arguments, "--json", **variables)
    assert (bad.code, json.loads(bad.out)["verified"]) == (Exit.FAILED, False)


def test_a_port_that_is_taken_is_told(bare: Cli, receiver: CallbackReceiver) -> None:
    """It is a wrong argument, told in a sentence."""
    port = receiver.url.rsplit(":", 1)[1].split("/")[0]
    done = bare("listen", "--port", port, FLUXRELAY_CALLBACK_SECRET=SECRET)
    assert (done.code, f"Port {port}" in done.err) == (Exit.USAGE, True)


@pytest.mark.parametrize(
    "script",
    [
        lambda wire: (wire.say(head(200, "content-length: 100")), wire.stall()),
        lambda wire: (wire.say(head(200, "content-length: 100000000000"), b"x"), wire.stall()),
        lambda wire: (wire.say(head(200, "content-type: text/event-stream")), wire.stall()),
    ],
    ids=["stalls", "is huge", "has no end"],
)
def test_the_content_of_a_forwarded_answer_is_not_awaited(
    received: list[Received], monkeypatch: pytest.MonkeyPatch, script: Script
) -> None:
    """Its status is all that is passed back, so no answer takes time or memory without end."""
    monkeypatch.setattr("time.time", lambda: AT + 1.0)
    with ScriptedServer() as behind:
        behind.script = script
        with CallbackServer(("127.0.0.1", 0), [SECRET], received.append, behind.url) as server:
            assert server.receive(signed(), BODY) == 200
    assert [one.forward_error for one in received] == [None]


def test_a_receiver_that_no_name_can_have(
    received: list[Received], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told as one that does not answer."""
    monkeypatch.setattr("time.time", lambda: AT + 1.0)
    with CallbackServer(("127.0.0.1", 0), [SECRET], received.append, "http://xn--a/") as server:
        assert server.receive(signed(), BODY) == 502
