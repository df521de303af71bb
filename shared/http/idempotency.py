"""`Idempotency-Key`: the same request again has no second effect; the key with another request is refused."""

import hashlib

import msgspec
from starlette.requests import Request

from shared.errors import Conflict, InvalidInput

HEADER = "Idempotency-Key"
LONGEST = 200
_encoder = msgspec.json.Encoder(order="deterministic")


class IdempotencyConflict(Conflict):
    """The key came before with another request; that one stands."""

    code = "idempotency-key-reused"
    title, title_zh = "This Idempotency-Key was used for another request", "该 Idempotency-Key 已用于另一请求"


def read_key(request: Request) -> str | None:
    """The key of a request, of 1 to 200 visible characters; None without one. Raises `InvalidInput`."""
    key = request.headers.get(HEADER)
    if key is not None and not (1 <= len(key) <= LONGEST and key.isascii() and key.isprintable()):
        raise InvalidInput.of(HEADER, "1 to 200 printable characters", "长度应为 1 至 200 个可见字符")
    return key


def request_digest(*parts: object) -> str:
    """A digest (SHA-256, hexadecimal) of everything that a request contains, to compare a repetition with."""
    return hashlib.sha256(_encoder.encode(parts)).hexdigest()
