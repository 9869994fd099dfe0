"""What becomes of a job whose submit was taken in an answer that names its task oddly."""

import pytest

from tests.e2e.conftest import Customer
from tests.faults.harness import Played, Scene, play

SHED = {"detail": "The model is over capacity and temporarily shedding requests"}
LATER = {"status": 429, "retry_after": 1, "retry_form": "date", "times": 1}
NAMED = ("number_id", "polling_url", "foreign_url")
UNNAMED = ("nothing", "html", "list")
SCENES = {
    **{f"odd-{shape}": Scene({"odd_answer": {"shape": shape}}) for shape in (*NAMED, *UNNAMED)},
    **{
        f"quiet-{shape}": Scene({"odd_answer": {"shape": shape}, "drop_webhook": {}})
        for shape in (*NAMED, *UNNAMED)
    },
    "sheds-load": Scene({"refuse_submit": {"status": 503, "body": SHED, "times": 2}}),
    "later": Scene({"refuse_submit": LATER}),
}


@pytest.fixture(scope="module")
def played(bench: Customer) -> Played:
    """Play all scenes at the same time."""
    return play(bench, SCENES)


@pytest.mark.parametrize("shape", [*NAMED, *UNNAMED])
def test_an_odd_answer_is_settled_by_the_webhook(played: Played, shape: str) -> None:
    """`odd_answer` in any shape ends well, made once: its webhook tells of the image."""
    played.made_once(f"odd-{shape}")


@pytest.mark.parametrize("shape", NAMED)
def test_an_odd_answer_that_names_its_task_is_polled(played: Played, shape: str) -> None:
    """`odd_answer` that names the task, without a webhook, is asked for: a good end, made once."""
    played.made_once(f"quiet-{shape}")


@pytest.mark.parametrize("shape", UNNAMED)
def test_an_odd_answer_that_names_nothing_is_lost_without_a_webhook(
    played: Played, shape: str
) -> None:
    """`odd_answer` that names no task, and no webhook: `lost`, made once, never submitted again."""
    error = played.failed(f"quiet-{shape}", "lost")

    assert "paid for" in error["message"]
    assert error["retryable"] is True
    (_,) = played.tasks(f"quiet-{shape}")


@pytest.mark.parametrize("scene", ["sheds-load", "later"])
def test_a_submit_that_was_turned_away(played: Played, scene: str) -> None:
    """`refuse_submit` by a 503 that sheds load, or with a date to come back: made once."""
    played.made_once(scene)
