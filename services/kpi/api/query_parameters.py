"""What may be asked for over HTTP: a property that the caller sees, an instant, a page that follows one."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from services.kpi.domain.items import from_micros, to_micros
from services.kpi.domain.rates import RATES
from services.kpi.queries.evidence import EvidencePosition
from shared.auth import Identity
from shared.errors import InvalidInput, NotFound
from shared.properties.property import Property
from shared.service import Service

Moment = Annotated[str, Meta(max_length=40, extra_json_schema={"format": "date-time"})]
Cursor = Annotated[str, Meta(max_length=2000)]
_aware = msgspec.json.Decoder(Annotated[datetime, Meta(tz=True)])
_page = msgspec.json.Decoder(tuple[int, int, str, str, int])
_FIRST_YEAR, _LAST_YEAR = 1900, 2200


@dataclass(frozen=True)
class EvidenceCursor:
    """Where a page of evidence goes on, as of the instant of the first one."""

    as_of: datetime
    position: EvidencePosition

    @classmethod
    def of(cls, cursor: str | None) -> "EvidenceCursor | None":
        """The page that `cursor` names. Raises `InvalidInput`."""
        if cursor is None:
            return None
        try:
            as_of, counted_at, kind, thing, seq = _page.decode(urlsafe_b64decode(cursor.encode()))
            return cls(_within(from_micros(as_of)), EvidencePosition(counted_at, kind, thing, seq))
        except (binascii.Error, msgspec.MsgspecError, ValueError, OverflowError):
            raise _no_cursor() from None

    def cursor(self) -> str:
        """The word that names this page."""
        return urlsafe_b64encode(msgspec.json.encode((to_micros(self.as_of), *self.position))).decode()


def parse_instant(at: str) -> datetime:
    """The instant that `at` tells (RFC 3339 with an offset); a `+` that became a space is understood.

    Raises `InvalidInput`."""
    try:
        told: datetime = _aware.decode(msgspec.json.encode(at.replace(" ", "+")))
        return _within(told.astimezone(UTC))
    except (msgspec.MsgspecError, ValueError, OverflowError):
        message = "This must be an RFC 3339 time with an offset"
        raise InvalidInput.of("at", message, "时间必须为带时区的 RFC 3339 格式") from None


def require_property(service: Service, identity: Identity, property_id: str | None) -> Property:
    """The property asked for; without one, the only one that the caller sees.

    Raises `NotAllowed` for one of others, `NotFound` for none of ours, `InvalidInput` where needed."""
    if property_id is None:
        seen = [prop for prop in service.properties.values() if identity.sees(prop.id)]
        if len(seen) != 1:
            raise InvalidInput.of("property", "This field is required", "缺少必填字段")
        return seen[0]
    identity.require_property(property_id)
    prop = service.properties.get(property_id)
    if prop is None:
        raise NotFound
    return prop


def rates_offset(cursor: str | None) -> int:
    """How many of the 17 come before the page after `cursor`, the last shown. Raises `InvalidInput`."""
    if cursor is None:
        return 0
    names: list[str] = [rate.kpi for rate in RATES]
    if cursor not in names[:-1]:
        raise _no_cursor()
    return names.index(cursor) + 1


def _no_cursor() -> InvalidInput:
    return InvalidInput.of("cursor", "This is no cursor of ours", "游标无效")


def _within(moment: datetime) -> datetime:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError("out of range")
    return moment
