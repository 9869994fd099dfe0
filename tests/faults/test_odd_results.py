"""What becomes of a job whose result is told otherwise than documented, or under a bad link."""

import pytest

from tests.e2e.conftest import Customer
from tests.faults.harness import Played, Scene, play

SILENT: dict[str, dict[str, object]] = {"drop_webhook": {}}
#: The webhook names a link that is no good, or none that is understood, and get_result a good one.
TOLD_BADLY = {
    f"webhook-{kind}": Scene({"odd_result": {"kind": kind}})
    for kind in (
        *("dead", "foreign", "malformed", "userinfo", "fresh"),
        *("list", "object", "samples", "text", "empty", "two", "null"),
    )
}
#: get_result does so at first, or tells it so that it can be understood.
ASKED_BADLY = {
    **{
        f"poll-{kind}": Scene({"odd_poll_result": {"kind": kind, "times": 2}, **SILENT})
        for kind in ("dead", "foreign", "malformed", "userinfo", "empty", "two", "null")
    },
    **{
        f"poll-{kind}": Scene({"odd_poll_result": {"kind": kind}, **SILENT})
        for kind in ("fresh", "list", "object", "samples", "text")
    },
    "fresh-after-dead": Scene(
        {"odd_result": {"kind": "dead"}, "odd_poll_result": {"kind": "fresh"}}
    ),
    "poll-redirected": Scene({"redirect_poll": {"times": 3}, **SILENT}),
    "poll-swollen": Scene({"swell_poll": {}, **SILENT}),
}
#: What was told for good, and the shape that the caller is shown.
UNUSABLE = {
    "empty": '{"sample": "empty str"',
    "two": '{"sample": ["str", "str"]',
    "null": "null",
}
HOPELESS = {
    **{f"always-{kind}": Scene({"odd_poll_result": {"kind": kind}, **SILENT}) for kind in UNUSABLE},
    "always-redirected": Scene({"redirect_poll": {}, **SILENT}),
    "swollen-error": Scene(
        {"end_task": {"status": "Error", "details": {"error": "Sorry"}}, "swell_poll": {}, **SILENT}
    ),
    **{
        f"always-{kind}": Scene({"odd_result": {"kind": kind}, "odd_poll_result": {"kind": kind}})
        for kind in ("dead", "foreign", "malformed", "userinfo")
    },
}


@pytest.fixture(scope="module")
def played(bench: Customer) -> Played:
    """Play all scenes at the same time."""
    return play(bench, {**TOLD_BADLY, **ASKED_BADLY, **HOPELESS})


@pytest.mark.parametrize("scene", TOLD_BADLY)
def test_a_webhook_with_an_odd_result(played: Played, scene: str) -> None:
    """`odd_result`, where get_result names a good link: a good end, made once."""
    played.made_once(scene)


@pytest.mark.parametrize("scene", ASKED_BADLY)
def test_an_answer_with_an_odd_result(played: Played, scene: str) -> None:
    """`odd_poll_result`, `redirect_poll` or `swell_poll`, if it passes: a good end, made once."""
    played.made_once(scene)


@pytest.mark.parametrize("kind", UNUSABLE)
def test_a_result_that_names_no_link(played: Played, kind: str) -> None:
    """`odd_poll_result` without a link for good ends as `provider_error`, and shows the shape."""
    error = played.failed(f"always-{kind}", "provider_error")

    assert UNUSABLE[kind] in error["message"]
    assert "sig=" not in error["message"]


def test_a_poll_that_is_redirected_for_good(played: Played) -> None:
    """`redirect_poll` ends as `provider_error` within minutes; our key goes nowhere else."""
    error = played.failed("always-redirected", "provider_error")

    assert "307" in error["message"]


def test_an_error_with_megabytes_of_details(played: Played) -> None:
    """`swell_poll` of a failed task ends as `provider_error`, with its reason and short details."""
    error = played.failed("swollen-error", "provider_error")

    assert error["message"].endswith("Sorry")
    assert error["details"]["error"] == "Sorry"
    assert len(error["details"]["trace"]) < 1000


@pytest.mark.parametrize(
    ("kind", "code", "told"),
    [
        ("dead", "result_expired", "403"),
        ("foreign", "provider_error", "FLUXRELAY_RESULT_HOSTS does not allow: images.example"),
        ("malformed", "provider_error", "neither http"),
        ("userinfo", "provider_error", "user name or password"),
    ],
)
def test_a_link_for_which_there_is_no_better_one(
    played: Played, kind: str, code: str, told: str
) -> None:
    """`odd_result` with a bad link, and no other one: the caller is told why; none is called."""
    error = played.failed(f"always-{kind}", code)

    assert told in error["message"]
    assert "secret" not in str(error)
    (task,) = played.tasks(f"always-{kind}")
    assert task["polls"]["global"] >= 2
