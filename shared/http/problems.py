"""Errors as problem documents (RFC 9457), in the caller's language."""

import msgspec
import structlog
from msgspec import Struct

from shared.database.engine import is_transient
from shared.errors import FieldError, Problem, Unavailable
from shared.http.endpoints import Reply
from shared.http.requests import AnyRequest, read_language

PROBLEM_JSON = "application/problem+json"
_log = structlog.stdlib.get_logger(__name__)
_encoder = msgspec.json.Encoder()


class ProblemDocument(Struct, omit_defaults=True):
    """RFC 9457: what went wrong, for people and programs."""

    type: str
    title: str
    status: int
    detail: str | None = None
    errors: list[FieldError] | None = None


def to_problem(error: Exception) -> Problem:
    """`error` as the caller learns of it; what is no `Problem` is our fault: logged, without details."""
    if isinstance(error, Problem):
        return error
    if is_transient(error):
        _log.warning("not available", error=type(error).__name__)
        return Unavailable()
    _log.error("request failed", exc_info=error)
    return Problem()


def make_problem_reply(error: Exception, request: AnyRequest) -> Reply[bytes]:
    """Any error as a problem document."""
    problem = to_problem(error)
    body = _encoder.encode(problem.document(read_language(request)))
    return Reply(body, problem.status, problem.headers(), PROBLEM_JSON)
