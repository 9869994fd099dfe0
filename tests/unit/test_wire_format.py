"""The provider's wire format is read generously, and nothing in it can do harm."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from core.jobs.failures import FailureCode
from core.provider.wire_format import Kind, Notice, parse_notice, parse_submission

NOW = 1_750_000_000.0  # 2025-06-15T15:06:40Z
LIFETIME = 600.0
URL = "https://delivery-eu1.bfl.ai/results/ab/sample.jpeg"


@pytest.fixture
def new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run in a time zone that is not UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


def _read(body: Any) -> Notice:
    return parse_notice(json.dumps(body).encode(), NOW, LIFETIME)


def _ready(url: str = URL, **result: Any) -> Notice:
    return _read({"id": "t1", "status": "Ready", "result": {"sample": url, **result}})


def test_a_result_as_it_is_asked_for() -> None:
    """The documented shape: id, Ready, and a result with its URL and seed."""
    notice = _read(
        {
            "id": "t1",
            "status": "Ready",
            "result": {"sample": URL, "prompt": "p", "seed": 42, "end_time": NOW - 5},
            "cost": 4,
            "progress": None,
        }
    )

    assert (notice.kind, notice.provider_id, notice.url) == (Kind.READY, "t1", URL)
    assert (notice.seed, notice.cost) == (42, 4.0)
    assert notice.expires_at == NOW - 5 + LIFETIME


def test_a_webhook_in_the_other_shape() -> None:
    """What receivers report: task_id, and SUCCESS."""
    notice = _read({"task_id": "t1", "status": "SUCCESS", "result": {"sample": URL}})

    assert (notice.kind, notice.provider_id, notice.url) == (Kind.READY, "t1", URL)


@pytest.mark.parametrize(
    ("kind", "spellings"),
    [
        (Kind.READY, "Ready READY ready SUCCESS Success Succeeded COMPLETED complete done"),
        (
            Kind.PENDING,
            "Pending PENDING processing Queued Reasoning Generating running in_progress started",
        ),
        (Kind.FAILED, "Error ERROR FAILED Failed failure INTERNAL_ERROR"),
        (Kind.NOT_FOUND, "Task_not_found TASK_NOT_FOUND NotFound not-found"),
        (Kind.UNCLEAR, "Sleeping unready errors ✨ 0 true"),
    ],
)
def test_every_spelling_of_a_status(kind: Kind, spellings: str) -> None:
    """Case, blanks and underscores make no difference; a word nobody knows is unclear."""
    for spelling in spellings.split():
        for status in (spelling, spelling.replace("_", " "), f" {spelling} "):
            body = {"id": "t", "status": status, "result": {"sample": URL}}
            assert (status, _read(body).kind) == (status, kind)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("Request Moderated", FailureCode.REQUEST_MODERATED),
        ("REQUEST_MODERATED", FailureCode.REQUEST_MODERATED),
        ("Input Moderated", FailureCode.REQUEST_MODERATED),
        ("Content Moderated", FailureCode.CONTENT_MODERATED),
        ("GENERATED CONTENT MODERATED", FailureCode.CONTENT_MODERATED),
        ("moderation", FailureCode.CONTENT_MODERATED),
        ("Error", FailureCode.PROVIDER_ERROR),
    ],
)
def test_a_failure_has_a_code_and_words(status: str, code: FailureCode) -> None:
    """Moderation of the request is told from that of the image, and each from an error."""
    notice = _read({"id": "t", "status": status, "result": None})

    assert (notice.kind, notice.code, notice.status) == (Kind.FAILED, code, status)
    assert notice.message.startswith("The provider")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"details": {"Moderation Reasons": ["Violence", "Sexual Content"]}}, ": Violence, Sexual"),
        ({"details": {"error": "out of memory"}}, ": out of memory"),
        ({"error": "broken"}, ": broken"),
        ({"message": "said so"}, ": said so"),
        ({"details": {"error": "x" * 9999}}, ": " + "x" * 300),
        ({"details": {"Moderation Reasons": []}}, "could not generate the result"),
        ({"details": "text"}, "could not generate the result"),
        ({}, "could not generate the result"),
    ],
)
def test_reasons_are_passed_on(body: Mapping[str, Any], words: str) -> None:
    """What the provider gives as its reason stands in the message, in bounded length."""
    message = _read({"id": "t", "status": "Error", **body}).message

    assert words in message
    assert len(message) < 400


def test_an_unusable_input_is_told_from_an_error() -> None:
    """An error about the input image is the caller's to mend."""
    body = {"id": "t", "status": "Error", "details": {"error": "Invalid image INPUT"}}

    assert _read(body).code is FailureCode.INVALID_INPUT


def test_a_failed_task_in_the_shape_of_a_validation_error_is_unclear_at_most() -> None:
    """A body that holds no task says nothing about one."""
    notice = _read({"detail": [{"loc": ["query", "id"], "msg": "missing", "type": "x"}]})

    assert (notice.kind, notice.status, notice.provider_id) == (Kind.UNCLEAR, "", None)


@pytest.mark.parametrize(
    "result", [None, {}, [], "text", {"sample": None}, {"sample": ""}, {"sample": 5}]
)
def test_ready_without_an_image_is_unusable(result: Any) -> None:
    """Without the URL there is nothing to fetch: the provider has to be asked."""
    assert _read({"id": "t", "status": "Ready", "result": result}).kind is Kind.UNUSABLE


@pytest.mark.parametrize(
    "raw",
    [b"", b"null", b"[]", b"5", b'"Ready"', b"{", b"\xff\xfe", b"id=t", b"[" * 100_000],
)
def test_what_is_no_object_is_an_error(raw: bytes) -> None:
    """Only a JSON object can be a notice; there is one kind of error for all the rest."""
    with pytest.raises(ValueError, match=r"\w"):
        parse_notice(raw, NOW, LIFETIME)


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (0, 0),
        (-1, -1),
        (2**63 + 1, 2**63 + 1),
        (True, None),
        (1.5, None),
        ("7", None),
        (None, None),
        ([], None),
    ],
)
def test_a_seed_is_a_whole_number(seed: Any, expected: int | None) -> None:
    """A boolean, a fraction and a text are no seed."""
    assert _ready(seed=seed).seed == expected


@pytest.mark.parametrize("cost", ["4", True, "1e999", "NaN", "-Infinity", "9" * 400, None, {}])
def test_a_cost_is_a_finite_number(cost: Any) -> None:
    """What is no number, or none that could be shown, is not known."""
    text = cost if isinstance(cost, str) and cost != "4" else json.dumps(cost)

    notice = parse_notice(f'{{"status": "Pending", "cost": {text}}}'.encode(), NOW, LIFETIME)

    assert notice.cost is None


def test_what_could_not_be_shown_is_left_out_of_the_details() -> None:
    """NaN and infinities are no JSON, so none is kept."""
    raw = b'{"status": "Error", "details": {"a": NaN, "b": [Infinity, -Infinity], "c": 1e999}}'

    details = parse_notice(raw, NOW, LIFETIME).details

    assert json.dumps(details, allow_nan=False) == '{"a": null, "b": [null, null], "c": null}'


@pytest.mark.parametrize(
    ("body", "task"),
    [({"id": 5}, "5"), ({"id": 5.0}, "5"), ({"task_id": 0}, "0"), ({"id": "", "task_id": 7}, "7")],
)
def test_a_number_is_an_id_too(body: dict[str, Any], task: str) -> None:
    """It is taken as the text that it is shown and asked for as."""
    assert _read({**body, "status": "Pending"}).provider_id == task


@pytest.mark.parametrize(
    "provider_id", [True, 1.5, ["t"], {"a": 1}, None, "", "\ud800", "a\nb", "x" * 501]
)
def test_what_is_no_id(provider_id: Any) -> None:
    """Anything else is no id, nor is what could not be stored or shown."""
    assert not _read({"id": provider_id, "status": "Pending"}).provider_id


@pytest.mark.parametrize(
    ("query", "offset"),
    [
        ("?se=2025-06-15T15%3A16%3A40Z&sig=x", 600),
        ("?sig=x&se=2025-06-15T15:10:00Z", 200),
        ("?se=2025-06-15T17%3A10%3A00%2B02%3A00", 200),
        ("?se=2025-06-15T15%3A10%3A00", 200),
        ("?se=2025-06-15T15%3A10Z", 200),
        ("?se=2025-06-16", 32_000),
        ("?se=2025-06-15T15%3A00%3A00Z", -400),
        ("", LIFETIME),
        ("?se=", LIFETIME),
        ("?se=soon", LIFETIME),
        ("?se=1750000300", LIFETIME),
        ("?se=2020-01-01T00%3A00%3A00Z", LIFETIME),
        ("?se=9999-12-31T23%3A59%3A59Z", LIFETIME),
        ("?se=0001-01-01", LIFETIME),
        ("?xse=2025-06-15T15%3A10%3A00Z", LIFETIME),
    ],
)
@pytest.mark.usefixtures("new_york")
def test_when_a_url_dies(query: str, offset: float) -> None:
    """The URL's own word counts, in any zone of ours, unless it is nonsense."""
    assert _ready(URL + query).expires_at == NOW + offset


@pytest.mark.parametrize(
    ("end_time", "offset"),
    [(NOW - 100, -100), (NOW + 100, 0), (0, 0), (1.0, 0), ("x", 0), (True, 0), (-1e300, 0)],
)
def test_a_lifetime_counts_from_the_making(end_time: Any, offset: float) -> None:
    """It starts when the image was made, never later than now, and nonsense is ignored."""
    assert _ready(end_time=end_time).expires_at == NOW + offset + LIFETIME


def test_a_url_that_is_none_has_a_lifetime_all_the_same() -> None:
    """A broken URL is no reason to fail at reading."""
    assert _ready("https://[::1/x").expires_at == NOW + LIFETIME


@pytest.mark.parametrize(
    ("body", "polling_url", "cost"),
    [
        ({"id": "t", "polling_url": "https://x"}, "https://x", None),
        ({"id": "t", "status": "Pending", "webhook_url": "https://y", "cost": 5.5}, None, 5.5),
        ({"id": "t", "polling_url": "", "cost": None}, None, None),
        ({"id": "t", "polling_url": 5, "cost": "5"}, None, None),
    ],
)
def test_both_answers_to_a_submit(
    body: Mapping[str, Any], polling_url: str | None, cost: float | None
) -> None:
    """With a webhook the answer has no polling URL; a cost is read where one is told."""
    submission = parse_submission(body)

    assert submission is not None
    assert (submission.provider_id, submission.polling_url, submission.cost) == (
        "t",
        polling_url,
        cost,
    )


@pytest.mark.parametrize("body", [None, [], "t", {}, {"id": ""}, {"id": True}, {"polling_url": 7}])
def test_an_answer_without_a_task(body: Any) -> None:
    """Without an id or a polling URL there is no task."""
    assert parse_submission(body) is None
