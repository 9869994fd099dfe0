"""Samples are read and sorted."""

from benchmarks.profiles import pruned, shares, stacks

_RAW = """\
main (a.py:1);collect (worker/collect.py:9);send (botocore/x.py:3) 60
main (a.py:1);collect (worker/collect.py:12) 30
main (a.py:1);wait;Condition.wait (threading.py:295) 500
main (a.py:1);odd (b.py:1) 10
"""


def test_threads_that_wait_are_left_out() -> None:
    """Samples whose innermost frame waits do not count."""
    assert sum(stacks(_RAW).values()) == 100


def test_a_stack_belongs_to_the_first_rule_that_fits() -> None:
    """The S3 call inside the step counts as S3's, the rest of the step as the step's."""
    rules = [("S3", "botocore/"), ("the step", "worker/collect.py")]
    found = shares(stacks(_RAW), rules)
    assert found == [("S3", 0.6), ("the step", 0.3), ("everything else", 0.1)]


def test_a_picture_has_no_frame_that_cannot_be_seen() -> None:
    """Frames below the smallest share are cut off, their samples stay with their callers."""
    found = stacks("main (a.py:1);tiny (b.py:1) 1\nmain (a.py:1);large (c.py:1) 999\n")
    assert pruned(found) == {"main (a.py)": [1], "main (a.py);large (c.py)": [999]}
