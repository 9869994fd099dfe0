"""No fault of the sandbox is without a test here that names what a job's end must be."""

import ast
from pathlib import Path

import pytest

from sandbox.faults.catalogue import FAULTS


@pytest.fixture(scope="module")
def expectations() -> str:
    """Return what all tests of this folder say that they expect."""
    modules = [ast.parse(path.read_text()) for path in Path(__file__).parent.glob("test_*.py")]
    tests = [
        node
        for module in modules
        for node in module.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    return "\n".join(ast.get_docstring(test) or "" for test in tests)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_an_expected_end(fault: str, expectations: str) -> None:
    """A fault that is added to the sandbox needs a test that names it and the job's end."""
    assert f"`{fault}`" in expectations
