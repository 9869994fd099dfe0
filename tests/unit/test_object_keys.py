"""Keys of objects: names of files that no server makes anything else of."""

import pytest

from core.storage.object_keys import key_problem, template_problem


@pytest.mark.parametrize(
    "key",
    [
        *("a", "a.png", "a/b.png", "ä b+c&d.png", ".hidden/a", "a.b/c", "json", "a.jsonl"),
        *("_inputs", "_inputs.png", "inputs/_probe/x", "a/_inputs/b", "k" * 900, "C:x"),
    ],
)
def test_names_of_files_are_keys(key: str) -> None:
    """Nothing is wrong with them."""
    assert key_problem(key) is None


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "empty"),
        ("/", "start with /"),
        ("/a", "start with /"),
        ("_inputs/a", "_inputs/"),
        ("_PROBE/a", "_probe/"),
        ("a/", "a folder"),
        ("a/b/", "a folder"),
        ("a//b", "//"),
        ("a/./b", "a . between"),
        ("./a", "a . between"),
        ("a/.", "a . between"),
        ("a/../b", ".."),
        ("..", ".."),
        ("a\tb", "U+0009, a control character"),
        ("a\x7f", "U+007F, a control character"),
        ("a\x00b", "U+0000, a control character"),
        ("a\u00a0b", "U+00A0, which is invisible"),
        ("a\u200bb", "U+200B, which is invisible"),
        ("\u202ea", "U+202E, which is invisible"),
        ("a\ud800", "U+D800, an unpaired surrogate"),
        ("a\\b", "backslash"),
        ("a.", "a dot at its end"),
        ("a./b", "a dot at its end"),
        ("a ", "a space"),
        (" a", "a space"),
        ("a /b", "a space"),
        ("a.json", ".json"),
        ("a.png.JSON", ".json"),
        ("k" * 1020, "too long"),
        ("ä" * 510, "too long"),
    ],
)
def test_what_a_server_may_make_something_else_of_is_no_key(key: str, problem: str) -> None:
    """It is said which of the rules it breaks."""
    assert problem in str(key_problem(key))


@pytest.mark.parametrize("template", ["{job_id}/", "{date}//{job_id}", "{job_id}.json", "a/{ext}."])
def test_a_template_is_judged_as_the_key_that_it_becomes(template: str) -> None:
    """The same rules hold, for callers and operators."""
    assert template_problem(template)


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("{{job_id}}", "'{'"),
        ("a/{{job_id}}.{ext}", "'{'"),
        ("{job_id}}}", "'}'"),
        ("{job_id}{{}}", "'{'"),
        ("{jobid}/{date}", "'{jobid}'"),
        ("{job_id}/{JOB_ID}", "'{JOB_ID}'"),
        ("{job_id!r}", "'{job_id!r}'"),
        ("{" + "x" * 500 + "}", "'{" + "x" * 39 + "'"),
    ],
)
def test_braces_that_are_no_field_are_named(template: str, named: str) -> None:
    """There is one rule: doubled braces are not an escape either, and no key contains a brace."""
    problem = str(template_problem(template))
    assert problem.startswith(f"contains {named}; allowed are {{date}}, {{ext}}, {{job_id}}")
    assert problem.endswith("and no other braces")


@pytest.mark.parametrize("key", ["a\ud800", "\udfff/b", "\ud83d.png"])
def test_half_a_character_is_named_as_such(key: str) -> None:
    """It is neither invisible nor a control character."""
    assert "an unpaired surrogate" in str(key_problem(key))
