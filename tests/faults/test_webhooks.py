"""What becomes of a job whose webhook is lost, late, doubled, false or says little."""

import pytest

from tests.e2e.conftest import Customer
from tests.faults.harness import Played, Scene, play

ONCE = {"times": 1}
SCENES = {
    "dropped": Scene({"drop_webhook": {}}, count=2),
    "doubled": Scene({"duplicate_webhook": {"copies": 5}}, count=2),
    "doubled-early": Scene({"duplicate_webhook": {"copies": 5}, "early_webhook": {}}),
    "delayed": Scene({"delay_webhook": {"seconds": 1}}),
    "overdue": Scene({"delay_webhook": {"seconds": 6}}),
    "reordered": Scene({"reorder_webhook": {"seconds": 5}}, count=4),
    "forged": Scene({"forge_webhook": {}}, count=2),
    "forged-bare": Scene({"forge_webhook": {"secret": ""}}),
    "forged-alone": Scene({"forge_webhook": {}, "drop_webhook": {}}),
    "forged-early": Scene({"forge_webhook": {}, "early_webhook": {}}),
    "progress": Scene({"progress_webhook": {}}, count=2),
    "progress-early": Scene({"progress_webhook": {"text": "Generating"}, "early_webhook": {}}),
    "progress-odd": Scene({"progress_webhook": {"text": "Warming Up"}}),
    # Late enough for the answer to the submit to be recorded: it names the job's task.
    "other-ready": Scene({"webhook_of_another_task": {}, "delay_webhook": {"seconds": 2}}),
    "other-failed": Scene(
        {"webhook_of_another_task": {"status": "Error"}, "delay_webhook": {"seconds": 2}}
    ),
    "other-moderated": Scene(
        {
            "webhook_of_another_task": {"status": "Content Moderated"},
            "delay_webhook": {"seconds": 2},
        }
    ),
    "unknown": Scene({"unknown_status": {"text": "Bananas"}}, count=2),
    "unknown-early": Scene({"unknown_status": {"text": "Bananas"}, "early_webhook": {}}),
    "empty": Scene({"unknown_status": {"text": ""}}),
    "resultless": Scene({"no_result": {}}, count=2),
    "resultless-early": Scene({"no_result": {}, "early_webhook": {}}),
}


@pytest.fixture(scope="module")
def played(bench: Customer) -> Played:
    """Play all scenes at the same time."""
    return play(bench, SCENES)


@pytest.mark.parametrize("scene", ["dropped", "overdue", "forged-alone"])
def test_a_webhook_that_does_not_come_in_time(played: Played, scene: str) -> None:
    """`drop_webhook`, or a long `delay_webhook`, is polled for: a good end, made once."""
    task = played.made_once(scene)

    assert task["polls"]["global"] >= 1


@pytest.mark.parametrize("scene", ["doubled", "doubled-early"])
def test_a_webhook_that_comes_often(played: Played, scene: str) -> None:
    """`duplicate_webhook`: a good end, made, fetched and told once; every copy is taken."""
    task = played.made_once(scene)

    assert [delivery.get("status", 0) // 100 for delivery in task["deliveries"]] == [2] * 5
    assert task["downloads"] == 1
    assert len(played.told(scene)) == len(played.jobs[scene])


@pytest.mark.parametrize("scene", ["delayed", "reordered"])
def test_webhooks_late_and_out_of_order(played: Played, scene: str) -> None:
    """`delay_webhook` and `reorder_webhook`: each job gets its own image, made once."""
    played.made_once(scene)


@pytest.mark.parametrize("scene", ["forged", "forged-bare", "forged-early"])
def test_a_forged_webhook(played: Played, scene: str) -> None:
    """`forge_webhook` is refused, whatever it says, and the true one counts: made once."""
    task = played.made_once(scene)

    forged, true = task["deliveries"]
    assert (forged["forged"], forged["status"]) == (True, 401)
    assert true["status"] // 100 == 2


@pytest.mark.parametrize("scene", ["progress", "progress-early", "progress-odd"])
def test_a_webhook_of_progress(played: Played, scene: str) -> None:
    """`progress_webhook`, before the end and after it, is taken and ends nothing: made once."""
    task = played.made_once(scene)

    assert [delivery["status"] // 100 for delivery in task["deliveries"]] == [2] * 3


@pytest.mark.parametrize("scene", ["other-ready", "other-failed", "other-moderated"])
def test_a_webhook_of_another_task(played: Played, scene: str) -> None:
    """`webhook_of_another_task` is not believed: a good end with the job's own task, made once."""
    task = played.made_once(scene)

    assert played.job(scene)["provider"]["id"] == task["id"]
    assert [delivery["status"] for delivery in task["deliveries"]] == [200, 200]
    assert task["downloads"] == 1


@pytest.mark.parametrize("scene", ["unknown", "unknown-early", "empty"])
def test_a_webhook_of_unknown_status(played: Played, scene: str) -> None:
    """`unknown_status` has the provider asked, whose word counts: a good end, made once."""
    task = played.made_once(scene)

    assert task["polls"]["global"] >= 1


@pytest.mark.parametrize("scene", ["resultless", "resultless-early"])
def test_a_webhook_without_a_result(played: Played, scene: str) -> None:
    """`no_result` has the provider asked for it: a good end, made once."""
    task = played.made_once(scene)

    assert task["polls"]["global"] >= 1
