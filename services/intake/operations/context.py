"""The interface of the service intake that its parts see."""

from typing import Protocol

from services.intake.operations.acceptor import Acceptor
from shared.host import Host
from shared.http.rate_limit import RateLimiter
from shared.revocation import RevokedKeys


class IntakeContext(Host, Protocol):
    """The service intake: its acceptor, each key's rate limit, the revoked keys."""

    acceptor: Acceptor
    rate_limiter: RateLimiter
    revoked_keys: RevokedKeys
