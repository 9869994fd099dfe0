"""What becomes of a job whose submit is answered wrongly, late or not at all."""

import pytest

from tests.e2e.conftest import Customer
from tests.faults.harness import Played, Scene, play

#: FAST's provider timeout is 4 s and its doubt lasts 6 s.
ONCE = {"times": 1}
REFUSED = {"detail": "Not like this"}
SCENES = {
    **{
        f"no-{s}": Scene({"refuse_submit": {"status": s, "body": REFUSED}}) for s in (400, 404, 413)
    },
    "no-422": Scene(
        {
            "refuse_submit": {
                "status": 422,
                "body": {
                    "detail": [
                        {"type": "x", "loc": ["body", "steps"], "msg": "too many", "input": 1},
                    ]
                },
            }
        }
    ),
    **{f"account-{s}": Scene({"refuse_submit": {"status": s, **ONCE}}) for s in (401, 402, 403)},
    "account-422": Scene(
        {"refuse_submit": {"status": 422, "body": {"detail": "Invalid API key format"}, **ONCE}}
    ),
    "busy": Scene({"refuse_submit": {"status": 429, "times": 3}}),
    "busy-until": Scene({"refuse_submit": {"status": 429, "retry_after": 1, **ONCE}}),
    **{f"broken-{s}": Scene({"refuse_submit": {"status": s, **ONCE}}) for s in (408, 500, 503)},
    "made-500": Scene({"fail_answer": {"status": 500}}),
    "made-503": Scene({"fail_answer": {"status": 503, "retry_after": 1}}),
    "made-400": Scene({"fail_answer": {"status": 400}}),
    "late": Scene({"delay_answer": {"seconds": 6}}),
    "slow": Scene({"trickle_answer": {"seconds": 2}}),
    "too-slow": Scene({"trickle_answer": {"seconds": 8}}),
    "cut": Scene({"cut_answer": {}}),
    "cut-made-later": Scene({"cut_answer": {"seconds": 2}}),
    "cut-made-too-late": Scene({"cut_answer": {"seconds": 9, **ONCE}}),
    "cut-and-silent": Scene({"cut_answer": ONCE, "drop_webhook": ONCE}),
    "early": Scene({"early_webhook": {}}, count=3),
    "early-and-cut": Scene({"early_webhook": {}, "cut_answer": {}}),
    "early-and-late": Scene({"early_webhook": {}, "delay_answer": {"seconds": 6}}),
    "no-after-webhook": Scene(
        {"early_webhook": {}, "fail_answer": {"status": 400}, "trickle_download": {"seconds": 3}}
    ),
    # The first of two tasks fails while the second is still being made.
    "first-fails-late": Scene(
        {
            "cut_answer": {"seconds": 9, **ONCE},
            "early_webhook": ONCE,
            "end_task": {"status": "Error", "details": {"error": "Out of memory"}, **ONCE},
            "delay_generation": {"seconds": 6},
        }
    ),
    "long": Scene({"delay_generation": {"seconds": 5}}),
}


@pytest.fixture(scope="module")
def played(bench: Customer) -> Played:
    """Play all scenes at the same time."""
    return play(bench, SCENES)


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_a_submit_refused_for_good(played: Played, status: int) -> None:
    """`refuse_submit` with a 4xx about the job ends it as `provider_rejected`, asked once."""
    error = played.failed(f"no-{status}", "provider_rejected")

    assert ("steps: too many" if status == 422 else "Not like this") in error["message"]
    assert error["retryable"] is False
    assert played.tasks(f"no-{status}") == []
    assert played.customer.ledger()["rejections"][str(status)] == (2 if status == 422 else 1)


@pytest.mark.parametrize("scene", ["account-401", "account-402", "account-403", "account-422"])
def test_a_submit_refused_for_the_account(played: Played, scene: str) -> None:
    """`refuse_submit` with 401, 402, 403 or an error about the key ends well, made once."""
    played.made_once(scene)


@pytest.mark.parametrize("scene", ["busy", "busy-until"])
def test_a_submit_refused_as_too_many(played: Played, scene: str) -> None:
    """`refuse_submit` with 429 puts the job back in the queue; it ends well, made once."""
    played.made_once(scene)


@pytest.mark.parametrize("status", [408, 500, 503])
def test_a_submit_refused_by_a_broken_provider(played: Played, status: int) -> None:
    """`refuse_submit` with 408 or a 5xx is a doubt; the job ends well after a counted resubmit."""
    played.made_again(f"broken-{status}", tasks=1)


@pytest.mark.parametrize("scene", ["made-500", "made-503"])
def test_a_failed_answer_to_a_submit_that_was_taken(played: Played, scene: str) -> None:
    """`fail_answer` with no clear no is settled by the webhook: a good end, made once."""
    played.made_once(scene)


def test_a_clear_no_to_a_submit_that_was_taken(played: Played) -> None:
    """`fail_answer` with 400 is believed: `provider_rejected`, and nothing is made again."""
    played.failed("made-400", "provider_rejected")

    (task,) = played.tasks("made-400")
    assert task["downloads"] == 0


@pytest.mark.parametrize("scene", ["late", "slow", "too-slow"])
def test_a_late_answer(played: Played, scene: str) -> None:
    """`delay_answer` or `trickle_answer`, also beyond the timeout: a good end, made once."""
    played.made_once(scene)


@pytest.mark.parametrize("scene", ["cut", "cut-made-later"])
def test_a_cut_answer(played: Played, scene: str) -> None:
    """`cut_answer`, also if the task is made later, waits for the webhook: made once."""
    played.made_once(scene)


@pytest.mark.parametrize("scene", ["cut-made-too-late", "cut-and-silent"])
def test_a_cut_answer_without_a_webhook_in_time(played: Played, scene: str) -> None:
    """`cut_answer` with no word until the doubt is over: two tasks, and `resubmits` says so."""
    played.made_again(scene, tasks=2)


@pytest.mark.parametrize("scene", ["early", "early-and-cut", "early-and-late"])
def test_an_early_webhook(played: Played, scene: str) -> None:
    """`early_webhook` comes before the submit's answer, which then changes nothing: made once."""
    played.made_once(scene)

    for job in played.jobs[scene]:
        assert "generating" not in [entry["status"] for entry in job["timeline"]]


def test_a_clear_no_after_the_webhook(played: Played) -> None:
    """`fail_answer` with 400 after `early_webhook` takes no image away: a good end, made once."""
    played.made_once("no-after-webhook")


def test_a_first_task_that_fails_after_the_second_was_made(played: Played) -> None:
    """`end_task` of a task that was thought lost does not end the job that was made again."""
    played.made_again("first-fails-late", tasks=2)

    statuses = [task["status"] for task in played.tasks("first-fails-late")]
    assert sorted(statuses) == ["Error", "Ready"]


def test_a_long_generation(played: Played) -> None:
    """`delay_generation` beyond the webhook's time is polled and then ends well, made once."""
    task = played.made_once("long")

    assert task["polls"]["global"] >= 1
