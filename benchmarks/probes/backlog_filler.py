"""Fills a backlog quickly, with what `core/redis/lua/create.lua` writes for a job that waits.

A real job is the model: its record is written again under other ids, a thousand at a time, by a
script on the server. A test compares such a record with the real one.
"""

import json
import time
from typing import Any

import redis

#: Jobs per call of the script, and so per fsync.
_BATCH = 1000
_SCRIPT = """\
local fields, lane, rank, deadline = cjson.decode(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local first, count = tonumber(ARGV[5]), tonumber(ARGV[6])
local waiting, due, indexed = {}, {}, {}
for number = first, first + count - 1 do
  local id = string.format('01ffffff-0000-7000-8000-%012x', number)
  redis.call('HSET', 'job:' .. id, unpack(fields))  -- in one step, as create.lua does
  waiting[#waiting + 1] = rank
  waiting[#waiting + 1] = id
  indexed[#indexed + 1] = 0
  indexed[#indexed + 1] = id
  due[#due + 1] = deadline
  due[#due + 1] = 'deadline:' .. id
end
redis.call('ZADD', 'backlog:' .. lane, unpack(waiting))
redis.call('ZADD', 'due', unpack(due))
for at = 7, #ARGV do redis.call('ZADD', ARGV[at], unpack(indexed)) end
redis.call('HINCRBY', 'counters', 'accepted', count)
"""


def fill(client: "redis.Redis", model: str, count: int, *, begin: int = 0) -> None:
    """Write `count` jobs like the waiting job `model`.

    Args:
        client: Its answers are text.
        model: A job's id.
        count: How many; rounded up to whole batches of 1,000 unless it is less than one.
        begin: The first one's number, which is in its id.

    Raises:
        ValueError: The job does not wait.
    """
    record: Any = client.hgetall(f"job:{model}")
    if record.get("status") != "queued":
        raise ValueError(f"job {model} does not wait")
    fields = json.dumps([part for pair in record.items() for part in pair])
    deadline = repr(client.zscore("due", f"deadline:{model}"))
    names = [f"status:{record['status']}", *record["indexes"].split()]
    indexes = [f"jobs:{record['tenant']}:{name}" for name in names]
    script: Any = client.register_script(_SCRIPT)
    size = min(count, _BATCH)
    for first in range(begin, begin + count, size):
        script(args=[fields, record["lane"], record["rank"], deadline, first, size, *indexes])


def settle(client: "redis.Redis") -> None:
    """Wait until Redis has put its file in order, which takes time from everything else."""
    while client.info("persistence")["aof_rewrite_in_progress"]:
        time.sleep(0.2)


def name(number: int) -> str:
    """Return the id of the job with this number."""
    return f"01ffffff-0000-7000-8000-{number:012x}"
