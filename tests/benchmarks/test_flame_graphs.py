"""Samples are read and sorted."""

from benchmarks.probes.profiling import condensed, pruned, shares, stacks

_RAW = """\
main (a.py:1);collect (worker/steps/collect.py:9);send (botocore/x.py:3) 60
main (a.py:1);collect (worker/steps/collect.py:12) 30
main (a.py:1);wait;Condition.wait (threading.py:295) 500
main (a.py:1);odd (b.py:1) 10
"""


def test_threads_that_wait_are_left_out() -> None:
    """Samples whose innermost frame waits do not count."""
    assert sum(stacks(_RAW).values()) == 100


def test_a_stack_belongs_to_the_first_rule_that_fits() -> None:
    """The S3 call inside the step counts as S3's, the rest of the step as the step's."""
    rules = [("S3", "botocore/"), ("the step", "worker/steps/collect.py")]
    found = shares(stacks(_RAW), rules)
    assert found == [("S3", 0.6), ("the step", 0.3), ("everything else", 0.1)]


def test_a_rule_may_mean_the_innermost_frame() -> None:
    """What the step does itself is told apart from what it calls."""
    rules = [
        ("the step itself", "collect (worker/steps/collect.py)$"),
        ("below it", "worker/steps/collect.py"),
    ]
    found = shares(stacks(_RAW), rules)
    assert found == [("below it", 0.6), ("the step itself", 0.3), ("everything else", 0.1)]


def test_neighbours_of_one_library_are_one_frame() -> None:
    """Our functions stay as they are; what starts threads and programs is Python's."""
    raw = (
        "_run_code (<frozen runpy>:1);run (threading.py:2);main (worker/__main__.py:3);"
        "get (httpx/_client.py:4);send (httpx/_client.py:5);"
        "put (core/storage/object_store.py:6) 7\n"
    )
    frames = ("Python", "main (worker/__main__.py)", "httpx", "put (core/storage/object_store.py)")
    assert condensed(stacks(raw)) == {frames: 7}


def test_a_picture_has_no_frame_that_cannot_be_seen() -> None:
    """Frames below the smallest share are cut off, their samples stay with their callers."""
    found = stacks("main (a.py:1);tiny (b.py:1) 1\nmain (a.py:1);large (c.py:1) 999\n")
    assert pruned(found) == {"main (a.py)": [1], "main (a.py);large (c.py)": [999]}
