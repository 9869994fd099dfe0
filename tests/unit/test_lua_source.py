"""How the source of a script is put together from what scripts share."""

import pytest

from core.redis import scripts
from core.redis.lua_source import with_needed

_SHARED = """\
-- What every script may use.
local now = 1
local unused = 2

local function base(value)
  -- Uses one value.
  return value + now
end
local function idle() return unused end
local ENDS = {
  one = 1,
}
local function over(value) return base(value) + ENDS.one end
"""


def test_what_a_script_uses_stands_before_it() -> None:
    """Directly or by another definition; the order stays, and the rest is left out."""
    assert with_needed(_SHARED, "return over(3)\n") == (
        "local now = 1\nlocal function base(value)\n  return value + now\nend\n"
        "local ENDS = {\n  one = 1,\n}\n"
        "local function over(value) return base(value) + ENDS.one end\nreturn over(3)\n"
    )
    assert with_needed(_SHARED, "return idle()") == (
        "local unused = 2\nlocal function idle() return unused end\nreturn idle()"
    )
    assert with_needed(_SHARED, "return 7") == "return 7"


@pytest.mark.parametrize("line", ["redis.call('PING')", "local one, two = 1, 2", "now = 2"])
def test_what_is_no_definition_cannot_be_shared(line: str) -> None:
    """Whether a script needs it could not be known, so it is an error at once."""
    with pytest.raises(ValueError, match=line[:5]):
        with_needed(f"{_SHARED}{line}\n", "return 7")


def test_a_script_of_ours_loses_what_it_does_not_use() -> None:
    """The start of a step reads a record, and needs nothing of slots."""
    shared = scripts._text(*scripts.SHARED)  # noqa: SLF001 - the source as it is sent

    begin = with_needed(shared, scripts._text("begin.lua"))  # noqa: SLF001 - as above

    assert "local function grant_all" in shared
    assert "grant" not in begin
