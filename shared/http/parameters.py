"""What a caller may name: the query of an endpoint, and properties within the key's own."""

from collections.abc import Mapping
from typing import TypeVar

from msgspec import Struct

from shared.auth import Identity
from shared.errors import InvalidInput, NotFound
from shared.http.json_input import convert, timed_fields
from shared.http.requests import AnyRequest
from shared.properties.property import Property

Query = TypeVar("Query", bound=Struct)


def read_query(request: AnyRequest, schema: type[Query], *, beside: tuple[str, ...] = ()) -> Query:
    """The query of a request, checked; empty values count as left out, those `beside` are not the schema's.

    A `+` in a time may stand raw. Raises `InvalidInput` naming the parameter.
    """
    pairs = {name: value for name, value in request.query_params.items() if value and name not in beside}
    if any("\x00" in value for value in pairs.values()):
        raise InvalidInput.of("query", "Text can't hold the character NUL", "文本不能包含 NUL 字符")
    for _, name in timed_fields(schema):
        if name in pairs:
            pairs[name] = restore_plus(pairs[name])
    return convert(pairs, schema, strict=False)


def restore_plus(text: str) -> str:
    """A time whose `+` was read as a space, as it was written."""
    return text.replace(" ", "+") if text.rfind(" ") > text.find("T") > 0 else text


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
