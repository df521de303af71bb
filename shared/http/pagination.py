"""Pages of lists: `limit`, an opaque `cursor`, and `{"items": […], "next": …}`, alike in every list."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Generic, TypeVar

import msgspec
from msgspec import Meta, Struct

from shared.errors import InvalidInput
from shared.http.json_input import check_instants

MAX_LIMIT = 200
Item = TypeVar("Item")
Record = TypeVar("Record")
Position = TypeVar("Position")


class PageQuery(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a list goes on, and how many items a page holds at most."""

    cursor: Annotated[str, Meta(max_length=2000)] | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_LIMIT)] = 50


class Page(Struct, Generic[Item], frozen=True):
    """Items in the list's order; `next` is the cursor of the page that follows, null on the last."""

    items: list[Item]
    next: str | None


class Cursor(Generic[Position]):
    """Cursors of one list: `position`, a tuple type, is where its order goes on."""

    def __init__(self, name: str, position: type[Position]) -> None:
        self._name = name
        self._decoder = msgspec.json.Decoder(tuple[str, position])  # type: ignore[valid-type]

    def encode(self, position: Position) -> str:
        """The cursor of what comes after `position`."""
        return urlsafe_b64encode(msgspec.json.encode((self._name, position))).decode().rstrip("=")

    def decode(self, cursor: str | None) -> Position | None:
        """The position that `cursor` names, None without one. Raises `InvalidInput` for another's."""
        if cursor is None:
            return None
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            name, position = self._decoder.decode(urlsafe_b64decode(padded))
            check_instants(position)
        except (ValueError, OverflowError, binascii.Error, msgspec.MsgspecError, InvalidInput):
            raise refuse_cursor() from None
        if name != self._name or self.encode(position) != cursor:
            raise refuse_cursor()
        return position

    def make_page(
        self,
        records: Sequence[Record],
        limit: int,
        position: Callable[[Record], Position],
        describe: Callable[[Record], Item],
    ) -> Page[Item]:
        """A page of `records`, of which one more than `limit` was read where there are more."""
        items = records[:limit]
        following = self.encode(position(items[-1])) if len(records) > limit else None
        return Page([describe(record) for record in items], following)


def refuse_cursor() -> InvalidInput:
    """The refusal of what is no cursor of the list."""
    return InvalidInput.of("cursor", "This is no cursor of this list", "游标无效")
