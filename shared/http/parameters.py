"""What a caller may name: the query of an endpoint, and properties within the key's own."""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeVar

import msgspec
from msgspec import Struct
from starlette.requests import Request

from shared.auth import Identity
from shared.errors import InvalidInput, NotFound
from shared.http.instants import check_instants, timed_fields
from shared.http.json_input import field_error
from shared.properties.property import Property

Query = TypeVar("Query", bound=Struct)


def read_query(request: Request, schema: type[Query], *, beside: tuple[str, ...] = ()) -> Query:
    """The query of a request, checked; empty values count as left out, those `beside` are not the schema's.

    A `+` in a time may stand raw. Raises `InvalidInput` naming the parameter.
    """
    pairs = {name: value for name, value in request.query_params.items() if value and name not in beside}
    if not all(map(_is_text, pairs.values())):
        raise InvalidInput.of("query", "Text can't hold the character NUL", "文本不能包含 NUL 字符")
    for _, name in timed_fields(schema):
        if name in pairs:
            pairs[name] = restore_plus(pairs[name])
    return convert_texts(pairs, schema)


def convert_texts(pairs: Mapping[str, object], schema: type[Query]) -> Query:
    """Texts of a query or form as `schema`. Raises `InvalidInput` naming the field."""
    try:
        value = msgspec.convert(pairs, schema, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(errors=[field_error(error)]) from None
    check_instants(value)
    return value


def restore_plus(text: str) -> str:
    """A time whose `+` was read as a space, as it was written."""
    return text.replace(" ", "+") if text.rfind(" ") > text.find("T") > 0 else text


def _is_text(value: str) -> bool:
    return "\x00" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)


def require_property(properties: Mapping[str, Property], identity: Identity, property_id: str) -> Property:
    """The property of this id. Raises `NotFound`; `NotAllowed` where it is not among the key's."""
    prop = properties.get(property_id)
    if prop is None:
        raise NotFound("There is no such property.", "物业项目不存在。")
    identity.require_property(property_id)
    return prop


def choose_property(
    properties: Mapping[str, Property], identity: Identity, property_id: str | None
) -> Property:
    """As `require_property`; without an id the only one that the caller sees, else raises `InvalidInput`."""
    if property_id is not None:
        return require_property(properties, identity, property_id)
    visible = [prop for prop in properties.values() if identity.may_see(prop.id)]
    if len(visible) != 1:
        raise InvalidInput.of("property", "This field is required", "缺少必填字段")
    return visible[0]


def list_visible_properties(
    properties: Mapping[str, Property], identity: Identity, property_id: str | None
) -> list[str] | None:
    """The properties that a list is about: the one named, else all that the key sees; None: every one."""
    if property_id is not None:
        return [require_property(properties, identity, property_id).id]
    return None if identity.properties is None else sorted(identity.properties)


def require_within_bounds(at: datetime, path: str) -> datetime:
    """`at`. Raises `InvalidInput` where it lies out of bounds."""
    check_instants(at, path)
    return at
