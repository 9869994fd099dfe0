"""What is counted at two revisions and of RQ alone, side by side."""

from benchmarks.product.before_after import compare


def test_each_count_stands_beside_the_present_one() -> None:
    """Ours is the present revision, against the earlier one and against RQ; all calls are added."""
    found = {
        "0123abc": {"commands": {"hset": 30.0, "ping": 10.0}, "reads": 60.0, "cpu": 0.004},
        "now": {"commands": {"hset": 20.0, "get": 0.01}, "reads": 6.0, "cpu": 0.001},
        "RQ": {"commands": {"hset": 50.0}, "reads": 90.0, "cpu": 0.002},
    }
    outcome = compare(found)

    rows = [(row.unit, row.ours, row.against, row.other) for row in outcome.rows]
    assert rows == [
        ("calls", 20.01, 40.0, "0123abc"),
        ("calls", 20.01, 50.0, "RQ"),
        ("reads", 6.0, 60.0, "0123abc"),
        ("reads", 6.0, 90.0, "RQ"),
        ("ms", 1.0, 4.0, "0123abc"),
        ("ms", 1.0, 2.0, "RQ"),
    ]
    (table,) = outcome.tables.values()
    assert table == [
        ["command", "0123abc", "now", "RQ"],
        ["HSET", "30.0", "20.0", "50.0"],
        ["PING", "10.0", "0.0", "0.0"],
    ]
