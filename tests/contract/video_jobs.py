"""A job whose model makes videos, for the tests of its collect step."""

import io
import json
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from core.operations.provider_results import apply_notice
from core.provider.catalogue.entry import BUNDLE_ROLE, Kind, Media, Model, Parameter
from core.provider.wire_format import parse_notice
from tests.contract.harness import A, Bench
from tests.contract.result_links import answering
from tests.contract.scripted_server import answer
from tests.video_files import NOISE, video
from worker.deps import Deps

FILM: Final = video()
BUNDLE: Final = NOISE[:50_000]
FACTS: Final = {
    "seconds": 5.0,
    "frames_per_second": 24.0,
    "width": 320,
    "height": 192,
    "tracks": ["video", "audio"],
}


KEY: Final = f"films/{A}.mp4"
CACHE_KEY: Final = f"{KEY}.draft_cache.bin"


@dataclass(frozen=True)
class Studio:
    """A bench whose job makes a video, and what its result consists of."""

    bench: Bench

    @property
    def deps(self) -> Deps:
        """Return what steps work with."""
        return self.bench.deps

    def ready(self, *, draft: bool = True, film: str = "film", cache: str = "cache") -> None:
        """Have the provider say that the job's task is done."""
        raw = json.dumps(self.told(draft=draft, film=film, cache=cache)).encode()
        notice = parse_notice(raw, self.bench.clock.now, 600)
        assert apply_notice(self.bench.store, A, notice, "poll")

    def told(self, *, draft: bool = True, film: str = "film", cache: str = "cache") -> Any:
        """Return what the provider says of the finished task."""
        url = self.bench.server.url
        more = {"draft_cache": f"{url}/{cache}"} if draft else {}
        return {"id": "t1", "status": "Ready", "result": {"sample": f"{url}/{film}", **more}}

    def body(self, key: str) -> bytes:
        """Return an object's bytes."""
        return b"".join(self.deps.objects.chunks(key))

    def asked(self, name: str) -> int:
        """Return how often a file was asked for."""
        return [request.target for request in self.bench.server.requests].count(f"/{name}")

    def put(self, key: str, body: bytes, task: str = "t1", **metadata: str) -> None:
        """Store an object of the job, as another run would."""
        told = {"job-id": A, "provider-id": task, **metadata}
        digest = sha256(body).digest()
        facts: dict[str, Any] = {"sha256": digest, "content_type": "video/mp4", "metadata": told}
        assert self.deps.objects.put_once(key, io.BytesIO(body), **facts)


def make_studio(bench: Bench) -> Studio:
    """Return a job at the provider, whose model makes videos."""
    parameters = {"draft": Parameter(kind=Kind.BOOLEAN, adds=BUNDLE_ROLE)}
    model = Model(name="films", source="the test", parameters=parameters, media=Media.VIDEO)
    settings = bench.deps.settings.model_copy(update={"models": {"films": model}})
    made = Studio(replace(bench, deps=replace(bench.deps, settings=settings)))
    bench.accept(model="films", output_key="films/{job_id}.{ext}")
    bench.generating()
    answering(bench, film=answer(200, FILM), cache=answer(200, BUNDLE))
    return made
