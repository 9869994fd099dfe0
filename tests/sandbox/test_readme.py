"""The page for users says what there is to set, to ask for and to break, and nothing else."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from sandbox.faults.catalogue import FAULTS
from sandbox.faults.injection import SELECTION
from sandbox.requests.models import MODELS
from sandbox.settings import Settings

README = (Path(__file__).parents[2] / "sandbox" / "README.md").read_text()


def table(head: str) -> dict[str, list[str]]:
    """Return the rows of the table with this first heading, by their first cell."""
    _, _, rest = README.partition(f"\n| {head} |")
    rows = rest.partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {first.strip("`"): others for first, *others in cells}


def code(cell: str) -> set[str]:
    """Return what stands in a cell as code."""
    return set(re.findall(r"`([^`]+)`", cell))


def test_the_table_of_models_is_the_codes() -> None:
    """Every model stands there with its required fields, format, price and when it is told."""
    shown = {
        slug: (code(required), code(form), float(price), on_submit)
        for slug, (required, form, price, on_submit, _) in table("model").items()
    }
    made = {
        slug: (
            {name for name, field in model.fields.items() if field.required},
            {model.usual_format},
            model.price,
            "yes" if model.cost_on_submit else "no",
        )
        for slug, model in MODELS.items()
    }
    assert shown == made


def test_the_table_of_modes_is_the_codes() -> None:
    """Every mode stands there with its alias and its required fields."""
    shown = {
        mode: (code(alias), code(required)) for mode, (alias, required) in table("mode").items()
    }
    made = {
        variant.names[0]: (
            set(variant.names[1:]),
            {name for name, field in variant.fields.items() if field.required},
        )
        for variant in MODELS["flux-3-video"].variants
    }
    assert shown == made


def test_the_table_of_variables_is_the_codes() -> None:
    """Every setting stands there under its variable, with the default that the code has."""
    rows = table("variable")
    assert set(rows) == {f"SANDBOX_{field.name.upper()}" for field in fields(Settings)}
    written = {
        name: cells[0].strip("`")
        for name, cells in rows.items()
        if cells[0] not in {"required", "none", "generated", "`http://HOST:PORT`"}
    }
    key = {"SANDBOX_API_KEYS": "sandbox-key-1"}
    assert Settings.from_env({**key, **written}) == Settings.from_env(key)
    assert len(written) == 10


def test_the_table_of_faults_is_the_codes() -> None:
    """Every fault stands there with its parameters and their defaults."""
    shown = {
        name: dict(re.findall(r"`(\w+)`(?: \(`?([^`)]+)`?\))?", cells[0]))
        for name, cells in table("fault").items()
    }
    made = {
        name: {key: rule.default for key, rule in kind.parameters.items()}
        for name, kind in FAULTS.items()
    }
    # A long address is not repeated on the page.
    made["forge_webhook"]["sample"] = None
    assert {name: set(keys) for name, keys in shown.items()} == {
        name: set(keys) for name, keys in made.items()
    }
    for name, defaults in made.items():
        texts = {
            key: "" if value is None else str(value).removesuffix(".0")
            for key, value in defaults.items()
        }
        assert shown[name] == texts


@pytest.mark.parametrize("name", sorted(SELECTION))
def test_the_table_of_filters_is_the_codes(name: str) -> None:
    """The table has every filter of faults, and no other."""
    rows = table("filter")
    assert name in rows
    assert set(rows) == set(SELECTION)
