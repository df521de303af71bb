"""`Idempotency-Key`: the same request again has no second effect; the key with another request is refused."""

import hashlib

import msgspec

from shared.errors import Conflict

_encoder = msgspec.json.Encoder(order="deterministic")


class IdempotencyConflict(Conflict):
    """The key came before with another request; that one stands."""

    code = "idempotency-key-reused"
    title, title_zh = "This Idempotency-Key was used for another request", "该 Idempotency-Key 已用于另一请求"


def request_digest(*parts: object) -> str:
    """A digest (SHA-256, hexadecimal) of everything that a request contains, to compare a repetition with."""
    return hashlib.sha256(_encoder.encode(parts)).hexdigest()
