"""What only the stack's own tests share; servers come from the tests' common fixtures."""

from pathlib import Path

import pytest


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Name a log file."""
    return tmp_path / "child.log"
