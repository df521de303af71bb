"""Keys, sessions and links, signed by the installation's secret: every service can check them by itself."""

import hashlib
import hmac
import os
import secrets
from base64 import urlsafe_b64encode
from collections import OrderedDict
from pathlib import Path
from typing import Any, Literal

from itsdangerous import BadData, URLSafeSerializer, URLSafeTimedSerializer
from msgspec import Struct

from shared.errors import NotAllowed, NotSignedIn
from shared.ids import new_id

Role = Literal["source", "engineer", "dispatcher", "quality", "operations", "manager", "admin"]
ROLES: tuple[Role, ...] = ("source", "engineer", "dispatcher", "quality", "operations", "manager", "admin")
SESSION_SECONDS = 7 * 24 * 3600
CODE_SECONDS = 15 * 60
_PREFIX = "gj_"
_MAX_CACHED = 10_000


class Identity(Struct, frozen=True, kw_only=True):
    """Who calls: a source system or a person, the roles, and the properties (None: all)."""

    key: str
    name: str
    roles: frozenset[str]
    properties: frozenset[str] | None = None
    person: str | None = None

    @property
    def actor(self) -> str:
        """Who is recorded as acting: the person, else the key's name."""
        return self.person or self.name

    def has_role(self, *roles: str) -> bool:
        """Whether it has one of `roles`; an admin has all."""
        return "admin" in self.roles or not self.roles.isdisjoint(roles)

    def may_see(self, property_id: str) -> bool:
        """Whether `property_id` is among this caller's properties."""
        return self.properties is None or property_id in self.properties

    def require_property(self, property_id: str) -> None:
        """Raises `NotAllowed` where `property_id` is not the caller's."""
        if not self.may_see(property_id):
            raise NotAllowed("The property is not among those of this key.", "该密钥不含此物业项目。")


class Secret:
    """The installation's secret: from the bootstrap key where set, and the file in the data folder."""

    def __init__(self, bootstrap_key: str, folder: Path) -> None:
        self.bootstrap_key = bootstrap_key
        self.is_new = False
        roots = [hashlib.sha256(b"guanjia:" + bootstrap_key.encode()).hexdigest()] if bootstrap_key else []
        file = folder / "secret"
        if not bootstrap_key or file.exists():
            roots.append(self._read_or_create(file))
        self._roots = roots

    def _read_or_create(self, file: Path) -> str:
        if not file.exists():
            self.is_new = _create_file(file, secrets.token_hex(32))
        root = file.read_text().strip()
        if not root:
            raise RuntimeError(f"{file} is empty: anybody could make keys with it")
        return root

    @property
    def signing_keys(self) -> list[str]:
        """Keys to check signatures with; the last one signs."""
        return list(reversed(self._roots))

    def make_token(self, purpose: str, subject: str) -> str:
        """An unguessable token (192 bits) for a link to `subject`, always the same."""
        digest = hmac.new(self._roots[0].encode(), f"{purpose}:{subject}".encode(), hashlib.sha256).digest()
        return urlsafe_b64encode(digest[:24]).decode()


def _create_file(file: Path, text: str) -> bool:
    """Whether this process made `file`: it appears complete or not at all, and the first one stays."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    try:
        os.link(draft, file)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True


def hash_token(token: str) -> str:
    """How a link's token is stored."""
    return hashlib.sha256(token.encode()).hexdigest()


class Keyring:
    """Issues and checks keys, sessions and sign-in codes."""

    def __init__(self, secret: Secret) -> None:
        signer: dict[str, Any] = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
        self._bootstrap = secret.bootstrap_key
        self._keys = URLSafeSerializer(secret.signing_keys, salt="key", signer_kwargs=signer)
        self._sessions = URLSafeTimedSerializer(secret.signing_keys, salt="session", signer_kwargs=signer)
        self._codes = URLSafeTimedSerializer(secret.signing_keys, salt="code", signer_kwargs=signer)
        self._identities: OrderedDict[str, Identity] = OrderedDict()
        self.revoked_keys: set[str] = set()

    def issue_key(
        self, name: str, roles: list[str], properties: list[str] | None, person: str | None
    ) -> tuple[Identity, str]:
        """A new key: whom it names, and the key itself, which is stored nowhere."""
        identity = _decode_identity(new_id(), name, roles, properties, person)
        return identity, _PREFIX + _text(self._keys.dumps(_encode_identity(identity)))

    def check_key(self, key: str) -> Identity:
        """Whom `key` names. Raises `NotSignedIn`."""
        identity = self._identities.get(key) or self._decode_key(key)
        if identity.key in self.revoked_keys:
            raise NotSignedIn
        return identity

    def _decode_key(self, key: str) -> Identity:
        if self._bootstrap and hmac.compare_digest(key.encode(), self._bootstrap.encode()):
            return admin_identity("bootstrap")
        if not key.startswith(_PREFIX):
            raise NotSignedIn
        try:
            identity = _decode_identity(*self._keys.loads(key[len(_PREFIX) :]))
        except (BadData, TypeError, ValueError) as error:
            raise NotSignedIn from error
        self._identities[key] = identity
        if len(self._identities) > _MAX_CACHED:
            self._identities.popitem(last=False)
        return identity

    def issue_session(self, identity: Identity) -> str:
        """The value of a session cookie."""
        return _text(self._sessions.dumps(_encode_identity(identity)))

    def check_session(self, value: str) -> Identity:
        """Whom a session cookie names. Raises `NotSignedIn`."""
        return self._check_signed(self._sessions, value, SESSION_SECONDS)

    def issue_sign_in_code(self, identity: Identity) -> str:
        """A sign-in code for a link that is soon used."""
        return _text(self._codes.dumps(_encode_identity(identity)))

    def check_sign_in_code(self, value: str) -> Identity:
        """Whom a sign-in code names. Raises `NotSignedIn`."""
        return self._check_signed(self._codes, value, CODE_SECONDS)

    def _check_signed(self, serializer: URLSafeTimedSerializer, value: str, seconds: int) -> Identity:
        try:
            identity = _decode_identity(*serializer.loads(value, max_age=seconds))
        except (BadData, TypeError, ValueError) as error:
            raise NotSignedIn from error
        if identity.key in self.revoked_keys:
            raise NotSignedIn
        return identity


def admin_identity(key: str) -> Identity:
    """The administrator of the installation."""
    return Identity(key=key, name="admin", roles=frozenset({"admin"}))


def _encode_identity(identity: Identity) -> list[Any]:
    properties = None if identity.properties is None else sorted(identity.properties)
    return [identity.key, identity.name, sorted(identity.roles), properties, identity.person]


def _decode_identity(
    key: str, name: str, roles: list[str], properties: list[str] | None, person: str | None
) -> Identity:
    scope = None if properties is None else frozenset(properties)
    return Identity(key=key, name=name, roles=frozenset(roles), properties=scope, person=person)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
