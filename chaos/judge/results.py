"""Judges the files of a job's result: by the provider's ledger, and byte by byte in the bucket."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from chaos.judge.cases import Case
from chaos.judge.evidence import BucketObject

#: The role of the image or video itself, and of a draft's bundle.
SAMPLE: Final = "sample"
BUNDLE: Final = "draft_cache"
#: The rules that a file breaks which is missing, or has other bytes than it should.
_RULES_OF: Final = {BUNDLE: ("bundle lost", "bundle lost")}
_SHOWN: Final = 12  # characters of a digest

_Bucket = Mapping[str, BucketObject]
#: A broken rule, and what happened.
_Broken = tuple[str, str]


def check_result(case: Case, bucket: _Bucket) -> Iterator[_Broken]:
    """Yield what is wrong with the result of a job that has ended."""
    if case.status != "succeeded":
        if case.made and case.job.ends == "succeeded" and not case.as_planned:
            yield "lost", f"{len(case.made)} results were paid for, none is in the bucket"
        for artifact in case.artifacts:
            yield "stray", f"{artifact['key']}, of a job that is {case.end}"
        return
    roles = [artifact["role"] for artifact in case.artifacts]
    if case.job.is_draft and BUNDLE not in roles:
        yield "bundle lost", f"it succeeded with {', '.join(roles) or 'nothing'}"
    if roles[:1] != [SAMPLE]:
        yield "lost", "it succeeded without an image or video"
        return
    for artifact in case.artifacts:
        yield from _check_file(case, artifact, bucket)
    yield from _check_image(case)
    yield from _check_manifest(case, bucket)


def keys_of(case: Case) -> set[str]:
    """Return the keys that a job's result may have in the bucket."""
    if case.status != "succeeded" or not case.artifacts:
        return set()
    return {*(artifact["key"] for artifact in case.artifacts), _manifest_key(case)}


def _manifest_key(case: Case) -> str:
    return f"{case.artifacts[0]['key']}.json"


def _check_file(case: Case, artifact: Mapping[str, Any], bucket: _Bucket) -> Iterator[_Broken]:
    """Compare a file with the one of the same task whose image or video was stored."""
    role, key, said = artifact["role"], artifact["key"], artifact["sha256"]
    missing, wrong = _RULES_OF.get(role, ("lost", "wrong bytes"))
    stored = bucket.get(key)
    if stored is None:
        yield missing, f"{key} is not in the bucket"
        return
    sample = case.artifacts[0]["sha256"]
    of_task = [files for files in case.made if files[SAMPLE]["sha256"] == sample]
    made = {(files[role]["sha256"], files[role]["bytes"]) for files in of_task if role in files}
    if not (
        stored.sha256 == said and stored.size == artifact["bytes"] and (said, stored.size) in made
    ):
        theirs = sorted(sha[:_SHOWN] for sha, _ in made)
        ours = f"bucket {stored.sha256[:_SHOWN]}, service {said[:_SHOWN]}"
        yield wrong, f"{role}: {ours}, provider {theirs}"


def _check_image(case: Case) -> Iterator[_Broken]:
    """Check the field that shows the image of a job that makes one."""
    image, sample = (case.view or {}).get("image"), case.artifacts[0]
    shown = {name: value for name, value in sample.items() if name != "role"}
    if image != (None if case.job.is_video else shown):
        rule = "wrong bytes" if image else "lost"
        yield rule, f"the service shows the image {image}, but stored {sample}"


def _check_manifest(case: Case, bucket: _Bucket) -> Iterator[_Broken]:
    manifest = bucket.get(_manifest_key(case))
    told = manifest.document if manifest else None
    if not isinstance(told, dict):
        yield "lost", f"{_manifest_key(case)} is missing, or no manifest"
        return
    listed = {file.get("role"): file.get("sha256") for file in told.get("artifacts") or ()}
    if listed != {artifact["role"]: artifact["sha256"] for artifact in case.artifacts}:
        yield "wrong bytes", f"the manifest lists {listed}"
