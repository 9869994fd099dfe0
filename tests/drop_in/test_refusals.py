"""What is refused, in the provider's error bodies."""

import json
from typing import Any

import httpx
import pytest

from stack.stack import Stack
from tests.drop_in.conftest import MODEL, SMALL, Client, MakeClient, RunService


def locations(answer: httpx.Response) -> list[list[str | int]]:
    """Check a validation error's shape; return the places of its errors."""
    assert answer.status_code == 422, answer.text
    errors: list[dict[str, Any]] = answer.json()["detail"]
    assert list(answer.json()) == ["detail"]
    assert all({"loc", "msg", "type"} == set(error) for error in errors)
    return [error["loc"] for error in errors]


def test_all_errors_at_once(client: Client) -> None:
    """Bad parameters and bad webhook fields are told at once, each at its place in the body."""
    body = {
        "prompt": 1, "width": 1000, "seed": "x", "image_prompt": "no base64!",
        "webhook_url": "http://10.0.0.8/", "webhook_secret": "two\nlines",
    }  # fmt: skip
    assert sorted(locations(client.submit(body))) == [["body", name] for name in sorted(body)]


@pytest.mark.parametrize("field", ["prompt", "image_prompt", "webhook_url", "webhook_secret"])
def test_half_a_character_is_called_what_it_is(client: Client, field: str) -> None:
    """A lone surrogate, which JSON can hold and UTF-8 cannot, is named as the mistake."""
    body = {"prompt": "p", **SMALL, field: "http://x.example/\ud800"}
    content = json.dumps(body)  # httpx would send it as UTF-8, which it cannot be
    answer = client.http.post(f"/v1/{MODEL}", content=content, headers=client.headers)
    assert locations(answer) == [["body", field]]
    assert "unpaired surrogate" in answer.json()["detail"][0]["msg"]


def test_a_missing_field(client: Client) -> None:
    """A required parameter that is missing is told as the provider tells it."""
    answer = client.submit({"seed": 1}, model="flux-kontext-pro")
    expected = [{"loc": ["body", "prompt"], "msg": "Field required", "type": "missing"}]
    assert (answer.status_code, answer.json()) == (422, {"detail": expected})


@pytest.mark.parametrize("body", [[], "text", 7, None])
def test_no_object(client: Client, body: object) -> None:
    """A body that is no object is an error about the body."""
    assert locations(client.submit(body)) == [["body"]]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"seed": NaN}'])
def test_no_json(client: Client, content: bytes) -> None:
    """A body that is no JSON is a validation error, as it is at the provider."""
    answer = client.http.post(f"/v1/{MODEL}", content=content, headers=client.headers)
    assert locations(answer) == [["body"]]
    assert answer.json()["detail"][0]["type"] == "json_invalid"


@pytest.mark.parametrize("second", ["prompt", "unknown"])
def test_a_field_that_comes_twice(client: Client, second: str) -> None:
    """A body with two fields of one name is refused with 400, which names it."""
    content = f'{{"prompt": "a", "unknown": 1, "{second}": "b"}}'
    answer = client.http.post(f"/v1/{MODEL}", content=content, headers=client.headers)
    assert answer.status_code == 400
    assert f"two fields named '{second}'" in answer.json()["detail"]


@pytest.mark.usefixtures("full_house")
def test_unknown_fields_are_ignored(client: Client) -> None:
    """Fields that the model does not know are left out, as the provider leaves them out."""
    task = client.submitted("extra", model="other", input={"a": 1}, callback=2, raw=None)
    job = client.get(f"/v1/jobs/{task['id']}").json()
    assert job["input"] == {"prompt": "extra", **SMALL}
    assert (job["model"], job["callback"]) == (MODEL, None)


@pytest.mark.parametrize(
    "secret", [7, "é", "a\r\nx-key: b", " blank", "x" * 1025], ids=lambda secret: str(secret)[:9]
)
def test_secrets_that_no_header_can_hold(client: Client, secret: object) -> None:
    """A webhook secret that could not be sent back is refused at once."""
    body = {"prompt": "p", "webhook_url": "https://example.com/", "webhook_secret": secret}
    answer = client.submit(body)
    assert locations(answer) == [["body", "webhook_secret"]]


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, "Not authenticated"),
        ({"x-key": ""}, "Not authenticated"),
        ({"x-key": "wrong"}, "Not authenticated - Invalid Authentication"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", f"/v1/{MODEL}"), ("GET", "/v1/get_result?id=x"), ("GET", "/v1/credits")],
)
def test_keys(client: Client, headers: dict[str, str], detail: str, method: str, path: str) -> None:
    """A missing and a wrong key are a 403 in the provider's words, for polling too."""
    answer = client.http.request(method, path, headers=headers, json={})
    assert (answer.status_code, answer.json()) == (403, {"detail": detail})


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
@pytest.mark.parametrize(
    "path", ["v1/flux-9", "v1/flux-tools/none", "v1/a/b/c", "v1/get_results", "flux-pro-1.1", ""]
)
def test_unknown_models(client: Client, path: str, method: str) -> None:
    """What nobody knows, with `/v1` or without, is not found; `detail` is a text, as theirs is.

    A path that nobody knows may be meant for either API, so the answer has the fields of both.
    """
    answer = client.http.request(method, f"/{path}", headers=client.headers)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "GET /v1/models" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [("GET", MODEL, "POST"), ("PUT", MODEL, "POST"), ("POST", "get_result", "GET")],
)
def test_a_method_that_a_path_does_not_take(
    client: Client, method: str, path: str, allow: str
) -> None:
    """A wrong method on one of the provider's paths is told in its words, with `Allow`."""
    answer = client.http.request(method, f"/v1/{path}", headers=client.headers)
    assert (answer.status_code, answer.json()) == (405, {"detail": "Method Not Allowed"})
    assert allow in answer.headers["allow"]


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("jobs/some-id", "method-not-allowed"),
        ("callback-secret", "method-not-allowed"),
        ("jobs/", "not-found"),
        ("jobs/x/y", "not-found"),
        ("dead-letters", "method-not-allowed"),
        ("dead-letters/other", "not-found"),
        ("models", "method-not-allowed"),
    ],
)
def test_our_own_paths_win(client: Client, path: str, kind: str) -> None:
    """A POST at or below a path of ours that takes none is refused by our native API."""
    answer = client.http.post(f"/v1/{path}", json={}, headers=client.headers)
    assert answer.json()["type"] == f"urn:fluxrelay:problem:{kind}"


def test_too_large(clients: MakeClient, second_service: RunService) -> None:
    """A body over the limit is a 413 with a detail."""
    with second_service(FLUXRELAY_MAX_BODY_BYTES="1000") as url:
        answer = clients(url).submit({"prompt": "x" * 1000})
        assert (answer.status_code, list(answer.json())) == (413, ["detail"])


@pytest.mark.usefixtures("full_house")
def test_idempotency(client: Client) -> None:
    """The same key gives the same task again; with another body or model it is refused."""
    key = {"idempotency-key": "one and the same"}
    first = client.submit({"prompt": "once"}, headers=key)
    again = client.submit({"prompt": "once"}, headers=key)
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    other_body = client.submit({"prompt": "twice"}, headers=key)
    other_model = client.submit({"prompt": "once"}, model="flux-kontext-pro", headers=key)
    for answer in (other_body, other_model):
        assert (answer.status_code, type(answer.json()["detail"])) == (422, str)
    unusable = client.submit({"prompt": "once"}, headers={"idempotency-key": ""})
    assert (unusable.status_code, list(unusable.json())) == (400, ["detail"])


@pytest.mark.usefixtures("full_house")
def test_a_full_backlog(relay: Stack, clients: MakeClient, second_service: RunService) -> None:
    """At the configured depth both APIs answer 429 with Retry-After, and accept nothing."""
    waiting = _waiting(relay)
    with second_service(FLUXRELAY_MAX_BACKLOG=str(waiting + 2)) as url:
        client = clients(url)
        key = {"idempotency-key": "the last one that fits"}
        answers = [client.submit({"prompt": "fits"}, headers=key)]
        answers += [client.submit({"prompt": "fits, or not"}) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert int(answers[2].headers["retry-after"]) > 0
        assert list(answers[2].json()) == ["detail"]
        job = {"model": MODEL, "input": {"prompt": "native"}}
        native = client.http.post("/v1/jobs", json=job, headers=client.headers)
        assert (native.status_code, native.json()["status"]) == (429, 429)
        assert native.headers["retry-after"] == answers[2].headers["retry-after"]
        assert _waiting(relay) == waiting + 2
        # Nothing new is asked for, so nothing stands in the way of the answer.
        assert client.submit({"prompt": "fits"}, headers=key).json() == answers[0].json()


def test_no_depth_no_429(client: Client) -> None:
    """Without a configured depth any number of jobs is taken."""
    assert {client.submit({"prompt": "one of many"}).status_code for _ in range(40)} == {200}


def _waiting(relay: Stack) -> int:
    redis = relay.redis()
    try:
        return sum(int(redis.zcard(key)) for key in redis.scan_iter("backlog:*"))
    finally:
        redis.close()
