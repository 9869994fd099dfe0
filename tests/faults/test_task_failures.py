"""What becomes of a job whose task ends badly, or is told of badly when it is asked for."""

import pytest

from tests.e2e.conftest import Customer
from tests.faults.harness import Played, Scene, play

REASONS = {"Moderation Reasons": ["Sexual Content", "Violence"]}
UNLUCKY = {"error": "Out of memory"}
BAD_INPUT = {"error": "Invalid or corrupted image input"}
#: Scene -> the task's status and details, and the job's failure code.
ENDS = {
    "request": ("Request Moderated", REASONS, "request_moderated"),
    "content": ("Content Moderated", REASONS, "content_moderated"),
    "content-unsaid": ("Content Moderated", None, "content_moderated"),
    "error": ("Error", UNLUCKY, "provider_error"),
    "error-unsaid": ("Error", None, "provider_error"),
    "bad-input": ("Error", BAD_INPUT, "invalid_input"),
}
TOLD: dict[str, dict[str, dict[str, object]]] = {"webhook": {}, "poll": {"drop_webhook": {}}}
SILENT: dict[str, dict[str, object]] = {"drop_webhook": {}}
#: `no_result` has the result asked for at once, a dropped webhook after 3 s.
ASKED: dict[str, dict[str, object]] = {"no_result": {}}
SCENES = {
    **{
        f"{name}-by-{how}": Scene({"end_task": {"status": status, "details": details}, **more})
        for name, (status, details, _) in ENDS.items()
        for how, more in TOLD.items()
    },
    "hidden": Scene({"hide_task": {"seconds": 5}, **SILENT}),
    "hidden-when-asked": Scene({"hide_task": {"seconds": 3}, **ASKED}),
    "hidden-for-good": Scene({"hide_task": {}, **SILENT}),
    "hidden-but-told": Scene({"hide_task": {}, "delay_webhook": {"seconds": 5}}),
    "poll-error": Scene({"error_poll": {}, **SILENT}),
    "poll-error-unlucky": Scene({"error_poll": {"text": "Out of memory"}, **SILENT}),
    # Asked at 3 s, told of the result at 4 s, answered at 6 s; fetched by 9 s.
    "poll-error-after-webhook": Scene(
        {
            "error_poll": {},
            "delay_poll": {"seconds": 3},
            "delay_webhook": {"seconds": 4},
            "trickle_download": {"seconds": 5},
        }
    ),
    **{
        f"poll-{status}": Scene({"refuse_poll": {"status": status, "times": 3}, **ASKED})
        for status in (400, 402, 403, 404, 422, 429, 500, 503)
    },
    "poll-busy-until": Scene(
        {"refuse_poll": {"status": 429, "retry_after": 2, "times": 1}, **SILENT}
    ),
    "poll-late": Scene({"delay_poll": {"seconds": 6, "times": 1}, **ASKED}),
    "poll-slow": Scene({"trickle_poll": {"seconds": 2, "times": 1}, **ASKED}),
    "poll-too-slow": Scene({"trickle_poll": {"seconds": 8, "times": 1}, **ASKED}),
}


@pytest.fixture(scope="module")
def played(bench: Customer) -> Played:
    """Play all scenes at the same time."""
    return play(bench, SCENES)


@pytest.mark.parametrize("how", TOLD)
@pytest.mark.parametrize("name", ENDS)
def test_a_task_that_ends_badly(played: Played, name: str, how: str) -> None:
    """`end_task` fails the job with its own code, keeps all details, and is made only once."""
    status, details, code = ENDS[name]
    scene = f"{name}-by-{how}"

    error = played.failed(scene, code)

    assert error.get("details") == details
    assert error["provider_status"].lower() == status.lower()
    if details:
        assert all(word in error["message"] for word in next(iter(details.values())))
    (task,) = played.tasks(scene)
    assert task["status"] == status


@pytest.mark.parametrize("scene", ["hidden", "hidden-when-asked", "hidden-but-told"])
def test_a_task_that_cannot_be_found_for_a_while(played: Played, scene: str) -> None:
    """`hide_task` for a time, or with a webhook to come, ends well, made once."""
    task = played.made_once(scene)

    assert task["polls"]["global"] >= 1


def test_a_task_that_cannot_be_found_again(played: Played) -> None:
    """`hide_task` for good ends as `lost`, once its result would be dead, and is not repeated."""
    error = played.failed("hidden-for-good", "lost")

    assert error["retryable"] is True
    (task,) = played.tasks("hidden-for-good")
    assert task["polls"]["global"] >= 2


@pytest.mark.parametrize(
    ("scene", "code"),
    [("poll-error", "invalid_input"), ("poll-error-unlucky", "provider_error")],
)
def test_an_error_that_holds_a_task(played: Played, scene: str, code: str) -> None:
    """`error_poll`, a 422 with a task in its body, ends the job with the reason it gives."""
    error = played.failed(scene, code)

    assert error["details"]["error"] in error["message"]
    (task,) = played.tasks(scene)
    assert task["polls"] == {"global": 1}


def test_an_error_after_the_webhook(played: Played) -> None:
    """`error_poll` that comes after the webhook takes no image away: a good end, made once."""
    task = played.made_once("poll-error-after-webhook")

    assert task["polls"]["global"] >= 1


@pytest.mark.parametrize("status", [400, 402, 403, 404, 422, 429, 500, 503])
def test_a_refused_poll(played: Played, status: int) -> None:
    """`refuse_poll`, whatever the status, is asked again until it tells: a good end, made once."""
    task = played.made_once(f"poll-{status}")

    assert task["polls"]["global"] >= 4


def test_a_poll_refused_for_a_time(played: Played) -> None:
    """`refuse_poll` with `Retry-After` is asked again no sooner: a good end, made once."""
    task = played.made_once("poll-busy-until")

    assert task["polls"] == {"global": 2}


@pytest.mark.parametrize("scene", ["poll-late", "poll-slow", "poll-too-slow"])
def test_a_late_poll(played: Played, scene: str) -> None:
    """`delay_poll` or `trickle_poll`, also beyond the timeout: a good end, made once."""
    played.made_once(scene)
