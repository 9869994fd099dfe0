"""The page for users names everything there is to set."""

from dataclasses import fields
from pathlib import Path

from sandbox.faults import FAULTS
from sandbox.models import MODELS
from sandbox.settings import Settings

README = (Path(__file__).parents[2] / "sandbox" / "README.md").read_text()


def test_the_page_names_every_variable_fault_and_model() -> None:
    """A new setting, fault or model is not there until the page says so."""
    variables = {f"SANDBOX_{field.name.upper()}" for field in fields(Settings)}
    names = variables | set(FAULTS) | set(MODELS)
    assert {name for name in names if f"`{name}`" not in README} == set()


def test_the_page_names_every_parameter_of_a_fault() -> None:
    """The row of a fault holds its parameters."""
    rows = {line.split("|")[1].strip(" `"): line for line in README.splitlines() if "|" in line}
    wanted = {(name, key) for name, kind in FAULTS.items() for key in kind.parameters}
    assert {(name, key) for name, key in wanted if f"`{key}`" not in rows[name]} == set()
