"""Checks periodically how the bucket's server handles a PUT, and records it for the service."""

import threading
from typing import Final

from core.errors import StoreUnavailable
from core.redis.store import JobStore
from core.storage.bucket_capabilities import CAPABILITIES_KEY, CAPABILITIES_LIFE
from core.storage.object_store import ObjectStore

#: Seconds between checks: servers and their proxies are replaced, but seldom.
_EVERY: Final = 600.0
#: Seconds before a failed check is repeated.
_SOON: Final = 30.0


def watch(objects: ObjectStore, store: JobStore, stop: threading.Event) -> None:
    """Check the server until told to stop; the result is in Redis, for `/readyz`.

    If the process dies, the last result stays, and the next process checks anew.
    """
    while not stop.is_set():
        known = note_habits(objects, store)
        stop.wait(_EVERY if known else _SOON)


def note_habits(objects: ObjectStore, store: JobStore) -> bool:
    """Try the server once and note what it does not keep; say whether all is known and noted."""
    capabilities = objects.probe_capabilities()
    try:
        store.read("set", CAPABILITIES_KEY, capabilities.problems, ex=CAPABILITIES_LIFE)
    except StoreUnavailable:
        return False
    return not capabilities.reason


def watch_in_background(
    objects: ObjectStore, store: JobStore, stop: threading.Event
) -> threading.Thread:
    """Start a thread that does `watch`, before any image is put; it keeps no process alive."""
    objects.require_probe()
    thread = threading.Thread(target=watch, args=(objects, store, stop), name="bucket", daemon=True)
    thread.start()
    return thread
