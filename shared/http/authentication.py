"""Identifies the caller: by the key in `Authorization: Bearer`, or by the session of a page of ours."""

from shared.auth import Identity, Keyring, Role
from shared.errors import NotAllowed, NotSignedIn
from shared.http.requests import AnyRequest, is_same_origin

SESSION_COOKIE = "guanjia_session"
ANYBODY = Identity(key="", name="anybody", roles=frozenset(), properties=frozenset())
_SAFE = ("GET", "HEAD", "OPTIONS")


class Authenticator:
    """Identifies callers; every service can do so by itself, with the keyring."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def authorize(self, request: AnyRequest, roles: tuple[Role, ...] | None) -> Identity:
        """The caller, who has one of `roles`; None: open to anybody. Raises `NotSignedIn`, `NotAllowed`."""
        if roles is None:
            return ANYBODY
        identity = self.identify(request)
        if not identity.has_role(*roles):
            raise NotAllowed("This key lacks the role for that.", "该密钥没有所需的角色。")
        return identity

    def identify(self, request: AnyRequest) -> Identity:
        """The caller. Raises `NotSignedIn`; `NotAllowed` where a page of another origin uses a session."""
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and key:
            return self._keyring.check_key(key.strip())
        session = request.cookies.get(SESSION_COOKIE)
        if not session:
            raise NotSignedIn
        if request.method not in _SAFE and not is_same_origin(request):
            raise NotAllowed("A page of another origin can't act here.", "不允许跨站请求。")
        return self._keyring.check_session(session)
