"""Pieces of the OpenAPI document's operations."""

from collections.abc import Mapping, Sequence
from typing import Final

from service.intake.limits import IDEMPOTENCY_KEY_PATTERN, LONGEST_IDEMPOTENCY_KEY
from service.openapi.schemas import TEXT, Json, reference

JOB_ID: Final[Json] = {
    "name": "job_id",
    "in": "path",
    "required": True,
    "description": "The job's id, from the answer to its creation.",
    "schema": TEXT,
    "example": "01a1feec-e663-77f8-ba48-1ab172ecb481",
}
IDEMPOTENCY_KEY: Final[Json] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key with the same body gives the same job again. Always send one.",
    "schema": {
        "type": "string",
        "pattern": f"^{IDEMPOTENCY_KEY_PATTERN}$",
        "maxLength": LONGEST_IDEMPOTENCY_KEY,
    },
    "example": "order-1042",
}
#: Problems that many operations answer: their statuses and what they mean.
NO_KEY: Final = ("401", "No key, or an unknown one.")
NO_JOB: Final = ("404", "No such job, or not yours.")
BAD_QUERY: Final = ("422", "Parameters are invalid; all of them are named.")
NO_QUERY: Final = ("422", "It takes no parameters; those that were sent are named.")
BACKLOG_FULL: Final = ("429", "Too many jobs are waiting; repeat it after Retry-After seconds.")
REDIS_AWAY: Final = ("503", "Redis is away; repeat it after Retry-After seconds.")
STORES_AWAY: Final = ("503", "Redis or S3 is away; repeat it after Retry-After seconds.")


def operation(
    operation_id: str,
    tag: str,
    summary: str,
    description: str,
    *responses: Json,
    parameters: Sequence[Json] = (),
    body: Json | None = None,
    public: bool = False,
) -> Json:
    """Return an operation.

    Args:
        operation_id: Its name; its examples are found by it.
        tag: The group that it is shown in.
        summary: A few words.
        description: What a caller should know before it is used.
        responses: Its answers, as `answer` and `problems` return them.
        parameters: What its path, query and headers hold.
        body: What its body holds, by media type, as `json_of` returns it.
        public: Whether it needs no key.
    """
    made: Json = {
        "operationId": operation_id,
        "tags": [tag],
        "summary": summary,
        "description": description,
    }
    if parameters:
        made["parameters"] = list(parameters)
    if body is not None:
        made["requestBody"] = {"required": True, "content": body}
    made["responses"] = {status: one for part in responses for status, one in part.items()}
    if public:
        made["security"] = []
    return made


def answer(
    status: str, words: str, content: Json | None, headers: Mapping[str, str] | None = None
) -> Json:
    """Return an answer, by its status.

    Args:
        status: Its status.
        words: What it means.
        content: What its body holds, by media type; None: it has no body.
        headers: Its headers and what they hold.
    """
    made: Json = {"description": words}
    if headers:
        made["headers"] = {
            name: {"description": holds, "schema": TEXT} for name, holds in headers.items()
        }
    if content is not None:
        made["content"] = content
    return {status: made}


def accepted(words: str, name: str = "Job") -> Json:
    """Return the answer 202 with what was created, and where it is."""
    return answer("202", words, json_of(reference(name)), {"Location": "Where it can be read."})


def problems(*problems: tuple[str, str]) -> Json:
    """Return answers that are problem documents: their statuses and what they mean."""
    content = {"application/problem+json": {"schema": reference("Problem")}}
    return {status: {"description": words, "content": content} for status, words in problems}


def json_of(schema: Json) -> Json:
    """Return a JSON body with a schema."""
    return {"application/json": {"schema": schema}}


def query(name: str, schema: Json, description: str) -> Json:
    """Return an optional parameter of the query."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


def merged(*parts: Json) -> Json:
    """Return the paths of several groups together; a path may be in more than one."""
    made: Json = {}
    for part in parts:
        for path, item in part.items():
            made[path] = made.get(path, {}) | item
    return made


def tags(paths: Json) -> list[str]:
    """Return the groups of a document's operations, in the order of their first ones."""
    operations = (
        one for item in paths.values() for method, one in item.items() if method != "parameters"
    )
    return list(dict.fromkeys(tag for one in operations for tag in one["tags"]))
