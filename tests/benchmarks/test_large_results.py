"""What the scenarios of large results and of videos make of what they measured."""

from benchmarks.report.outcome import Outcome
from benchmarks.scenarios import memory, videos

MEGABYTE = 1_000_000


def met(outcome: Outcome) -> dict[str, bool | None]:
    """Return whether each row's goal is met."""
    return {row.what: row.met for row in outcome.rows}


def test_each_load_is_compared_with_the_smallest_images() -> None:
    """The median of a load's peaks counts, and one that is a quarter higher misses the goal."""
    images = {
        "1 MB images": memory.Seen(peaks=[100 * MEGABYTE, 120 * MEGABYTE]),
        "20 MB images": memory.Seen(peaks=[110 * MEGABYTE, 130 * MEGABYTE]),
    }
    large = {
        "a 300 MB video": memory.Seen(peaks=[132 * MEGABYTE], downloads=1),
        "20 images": memory.Seen(peaks=[138 * MEGABYTE], downloads=20),
    }

    outcome = memory.outcome(images, large)

    assert met(outcome) == {
        "peak with 20 MB images": True,
        "peak with a 300 MB video": True,
        "peak with 20 images": False,
        "stored files with other bytes than their host's": True,
    }
    assert {row.against for row in outcome.rows[:3]} == {110.0}
    assert "a 300 MB video: 1; 20 images: 20." in outcome.notes[1]


def test_one_wrong_file_misses_the_goal() -> None:
    """Files of all large loads count together."""
    images = {"1 MB images": memory.Seen(peaks=[MEGABYTE])}
    large = {
        "a video": memory.Seen(peaks=[MEGABYTE]),
        "images": memory.Seen(peaks=[MEGABYTE], differing=1),
    }

    (row,) = (row for row in memory.outcome(images, large).rows if row.goal == "0")

    assert (row.ours, row.met) == (1, False)


def found(beside: float, refused: int = 0) -> videos.Found:
    """Return what was measured if images alone take 5 s."""
    return videos.Found(
        alone=[[4.0, 5.0, 6.0], [5.0]],
        beside=[[beside - 1, beside, 9.0], [beside]],
        among=[[6.5]],
        videos=[40, 42],
        refused=refused,
        most_videos=5,
    )


def test_videos_may_delay_images_by_a_tenth() -> None:
    """The median of the rounds' medians counts; sharing the slots is shown, and is no goal."""
    within, beyond = videos.outcome(found(5.5)), videos.outcome(found(5.6))

    goals = ["median time of an image", "the same if videos count towards the 24", "answers 429"]
    assert met(within) == dict(zip(goals, [True, None, True], strict=True))
    assert met(beyond) == dict(zip(goals, [False, None, True], strict=True))
    assert within.rows[1].ratio == 1.3
    assert "by round: 40, 42; most active at a time: 5." in within.notes[0]


def test_one_answer_429_misses_the_goal() -> None:
    """The product must know when a slot is free."""
    assert met(videos.outcome(found(5.0, refused=1)))["answers 429"] is False
