"""A callback URL that leads inside the network is refused before anything is taken in."""

import pytest

from stack.receiver import CallbackReceiver
from tests.http.conftest import MODEL, Caller, NothingTakenIn

#: The test's own settings allow 127.0.0.0/8, which is where its receivers listen.
REFUSED = [
    "http://10.0.0.1/hook",
    "http://172.16.5.4/hook",
    "http://192.168.1.1:8080/hook",
    "http://169.254.169.254/latest/meta-data",
    "http://100.64.0.1/hook",
    "http://0.0.0.0/hook",
    "http://224.0.0.1/hook",
    "http://255.255.255.255/hook",
    "http://[::1]/hook",
    "http://[fe80::1%25eth0]/hook",
    "http://[fd00::1]/hook",
    "http://[::ffff:10.0.0.1]/hook",
    "http://[2002:0a00:0001::]/hook",
    "http://2130706433/hook",
    "http://0x7f000001/hook",
    "http://0177.0.0.1/hook",
    "http://127.1/hook",
    "http://user:password@example.com/hook",
    "ftp://example.com/hook",
    "file:///etc/passwd",
    "//example.com/hook",
    "example.com/hook",
    "http://",
    "http://example.com:port/hook",
    "http://[::1/hook",
    "http://example.com/a b",
    "http://example.com/a\r\nx-injected: 1",
    "https://example.com/" + "a" * 2083,
    "",
]


@pytest.mark.parametrize("url", REFUSED)
def test_refused(api: Caller, nothing_taken_in: NothingTakenIn, url: str) -> None:
    """The error names the field, says what a callback may be, and no job appears."""
    body = {"model": MODEL, "input": {"prompt": "told in vain"}, "callback": {"url": url}}
    with nothing_taken_in():
        answer = api.post(body)
    assert answer.status_code == 422, answer.text
    (field_error,) = answer.json()["errors"]
    assert field_error["field"] == "callback.url"
    assert "public address" in field_error["allowed"]
    assert "public URL" in field_error["fix"]


@pytest.mark.parametrize("url", ["http://\ud800.com/", "http://example.com/\udfff"])
def test_regression_half_a_surrogate_pair(
    api: Caller, nothing_taken_in: NothingTakenIn, url: str
) -> None:
    """A URL that no request could be sent to is refused; it used to break answer and callback."""
    body = {"model": MODEL, "input": {"prompt": "told in vain"}, "callback": {"url": url}}
    with nothing_taken_in():
        answer = api.post(body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == "callback.url"


def test_allowed_network(api: Caller, receiver: CallbackReceiver) -> None:
    """An address of a network that the operator allowed is taken, and called."""
    job_id = api.create("told at last", callback={"url": receiver.url})
    receiver.wait_for(lambda callback: job_id.encode() in callback.body, timeout_seconds=20)


def test_a_local_name_in_an_allowed_network(api: Caller, receiver: CallbackReceiver) -> None:
    """A local name for an address in a network that the operator allowed is taken and called."""
    url = receiver.url.replace("127.0.0.1", "localhost")
    assert "localhost" in url
    job_id = api.create("told by name", callback={"url": url})
    receiver.wait_for(lambda callback: job_id.encode() in callback.body, timeout_seconds=20)
