"""Reads what comes from outside: refuses what is hostile, names the wrong field and never echoes its value.

Times are bounded, for databases, calendars and pages: instants from 2000 to 2100, days (of birth) from 1900.
"""

import json
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import TypeVar
from unicodedata import is_normalized, normalize

import msgspec
from msgspec import Struct, inspect

from shared.errors import FieldError, InvalidInput, Unreadable
from shared.messages.facts import FORMS

MAX_DEPTH = 32
EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)
EARLIEST_DAY, LATEST_DAY = date(1900, 1, 1), date(2100, 12, 31)
Schema = TypeVar("Schema")

_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.S)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_decode = msgspec.json.Decoder().decode
_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode
_PATH = re.compile(r" - at `(?:key` in `)?\$?(.*?)`$")
_TIME = re.compile(r"\bDate(Time)?Type\(")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_REFUSALS: tuple[tuple[str, str, str], ...] = (
    (r"Object missing required field `(?P<name>[^`]*)`", "This field is required", "缺少必填字段"),
    (r"Object contains unknown field `(?P<name>[^`]*)`", "This field is unknown", "未知字段"),
    (r"Expected `[^`]*` of length >= (\d+)", "", r"长度至少为 \1"),
    (r"Expected `[^`]*` of length <= (\d+)", "", r"长度不能超过 \1"),
    (r"Expected `[^`]*` >= (-?[\d.]+)", "", r"不能小于 \1"),
    (r"Expected `[^`]*` <= (-?[\d.]+)", "", r"不能大于 \1"),
    (r"Expected `datetime` with a timezone component", "", "时间必须带时区"),
    (r"Invalid RFC3339 encoded datetime", "", "时间必须为 RFC 3339 格式"),
    (r"Invalid enum value.*", "This value is not among those allowed", "不是允许的取值"),
    (r"Expected `([^`]*)`, got `([^`]*)`", "", r"应为 \1，实为 \2"),
    (r"Object needs `demand` or `reference`", "", "需要 demand 或 reference"),
    (r"`(\w+)` can't exceed `(\w+)`", "", r"\1 不能大于 \2"),
)
"""What msgspec says, how we say it in English (empty: so too) and in Chinese; `name` is the field's own."""


def field_error(error: msgspec.ValidationError, prefix: str = "") -> FieldError:
    """What msgspec refused: a field's path below `prefix`, a message in both languages; never the value."""
    text = str(error)
    position = _PATH.search(text)
    path = prefix + (position.group(1) if position else "")
    message = text[: position.start()] if position else text
    if message.startswith("Expected `str` matching regex"):
        return FieldError(path.lstrip("."), *_describe_form(message))
    for pattern, english, chinese in _REFUSALS:
        if match := re.match(pattern, message):
            name = match.groupdict().get("name", "")
            named = f"{path}.{name}" if _NAME.fullmatch(name) else path
            return FieldError(named.lstrip("."), english or message, match.expand(chinese))
    return FieldError(path.lstrip("."), message, "无效")


def _describe_form(message: str) -> tuple[str, str]:
    """What the pattern in `message` asks for, in English and in Chinese."""
    for pattern, form in FORMS.items():
        if repr(pattern)[1:-1] in message:
            return form
    return "This does not have the right form", "格式不正确"


def read_json(raw: bytes) -> object:
    """The document in `raw`, its texts in NFC. Raises `Unreadable`; `InvalidInput` where a text holds NUL.

    Refused are lone surrogates, repeated keys, nesting beyond `MAX_DEPTH` and numbers out of any range.
    """
    try:
        _check_depth(raw)
        document = _decode(raw)
        written = _encode(document)
        escaped = b"\\u00" in raw
        # Each key has its colon, and texts have theirs in both unless one is escaped.
        if escaped or raw.count(b":") != written.count(b":"):
            json.loads(raw, object_pairs_hook=_make_object)
        if escaped or not (written.isascii() or is_normalized("NFC", written.decode())):
            document = _clean(document, "")
    except (ValueError, RecursionError, OverflowError) as error:  # msgspec's and UnicodeError are ValueErrors
        raise Unreadable("The body is not valid JSON in UTF-8.", "请求体不是有效的 UTF-8 JSON。") from error
    return document


def read_members(raw: bytes) -> list[bytes]:
    """The members of the array `raw`, each as it came. Raises `Unreadable`; `InvalidInput` if it is none."""
    try:
        return [bytes(member) for member in _split(raw)]
    except msgspec.ValidationError as error:
        raise InvalidInput(errors=[field_error(error)]) from None
    except (ValueError, RecursionError):
        raise Unreadable("The body is not valid JSON.", "请求体不是有效的 JSON。") from None


def convert(document: object, schema: type[Schema], prefix: str = "", *, strict: bool = True) -> Schema:
    """`document` as a `schema`, its times within bounds; unless `strict`, texts may say numbers and truths.

    Raises `InvalidInput` naming the field below `prefix`.
    """
    try:
        value = msgspec.convert(document, schema, strict=strict)
    except msgspec.ValidationError as error:
        raise InvalidInput(errors=[field_error(error, prefix)]) from None
    check_instants(value, prefix)
    return value


def _make_object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise Unreadable("An object tells the same key twice.", "对象中有重复的键。")
    return members


def _check_depth(raw: bytes) -> None:
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    bare = _TEXT.sub(b"", raw) if b"\\" in raw else b"".join(raw.split(b'"')[::2])
    brackets = bare.translate(None, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    if brackets:
        raise Unreadable("The body is nested too deeply.", "请求体嵌套过深。")


def _clean(value: object, path: str) -> object:
    """`value` with its texts in NFC. Raises `InvalidInput` naming where one holds NUL."""
    if isinstance(value, str):
        if "\x00" in value:
            raise InvalidInput.of(path, "Text can't hold the character NUL", "文本不能包含 NUL 字符")
        return normalize("NFC", value)
    if isinstance(value, list):
        members: list[object] = value
        return [_clean(member, f"{path}[{at}]") for at, member in enumerate(members)]
    if isinstance(value, dict):
        named: dict[str, object] = value
        return _make_object([_clean_member(name, member, path) for name, member in named.items()])
    return value


def _clean_member(name: str, member: object, path: str) -> tuple[str, object]:
    return str(_clean(name, path or "$")), _clean(member, f"{path}.{name}" if path else name)


def check_instants(value: object, path: str = "") -> None:
    """Raises `InvalidInput` naming the field below `path` whose time is out of bounds."""
    if isinstance(value, datetime):
        if not EARLIEST <= value < LATEST:
            raise InvalidInput.of(path, "Expected a time from 2000 to 2100", "时间应在 2000 至 2100 年")
    elif isinstance(value, date):
        if not EARLIEST_DAY <= value <= LATEST_DAY:
            raise InvalidInput.of(path, "Expected a day from 1900 to 2100", "日期应在 1900 至 2100 年")
    elif isinstance(value, Struct):
        for attribute, name in timed_fields(type(value)):
            member: object = getattr(value, attribute)
            check_instants(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list | tuple):
        members: Sequence[object] = value
        for index, item in enumerate(members):
            check_instants(item, f"{path}[{index}]")


@lru_cache(maxsize=512)
def timed_fields(schema: type[Struct]) -> tuple[tuple[str, str], ...]:
    """(attribute, name on the wire) of the fields of `schema` that may hold a time, at whatever depth."""
    fields = msgspec.structs.fields(schema)
    kinds = inspect.multi_type_info([field.type for field in fields])  # whose text tells all that is in them
    return tuple(
        (field.name, field.encode_name)
        for field, kind in zip(fields, kinds, strict=True)
        if _TIME.search(repr(kind))
    )
