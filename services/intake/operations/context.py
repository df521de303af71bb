"""What the parts of intake may know of the service."""

from typing import Protocol

from services.intake.operations.acceptor import Acceptor
from shared.host import Host
from shared.http.rate_limit import RateLimiter
from shared.revocation import RevokedKeys


class IntakeContext(Host, Protocol):
    """The service intake: what accepts, each key's rate, the keys that were revoked."""

    acceptor: Acceptor
    rate_limiter: RateLimiter
    revoked_keys: RevokedKeys
