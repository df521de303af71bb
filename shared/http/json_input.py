"""Reads what comes from outside: refuses what is hostile, names the wrong field and never echoes its value.

Times are bounded, for databases, calendars and pages: instants from 2000 to 2100, days (of birth) from 1900.
"""

import json
import re
from collections.abc import Iterator, Sequence
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
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_CHINESE_MESSAGES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"Object missing required field `(?P<name>[^`]*)`"), "缺少必填字段"),
    (re.compile(r"Object contains unknown field `(?P<unknown>[^`]*)`"), "未知字段"),
    (re.compile(r"Expected `[^`]*` of length >= (\d+)"), r"长度至少为 \1"),
    (re.compile(r"Expected `[^`]*` of length <= (\d+)"), r"长度不能超过 \1"),
    (re.compile(r"Expected `[^`]*` >= (-?[\d.]+)"), r"不能小于 \1"),
    (re.compile(r"Expected `[^`]*` <= (-?[\d.]+)"), r"不能大于 \1"),
    (re.compile(r"Expected `str` matching regex .*"), "格式不正确"),
    (re.compile(r"Expected `datetime` with a timezone component"), "时间必须带时区"),
    (re.compile(r"Invalid RFC3339 encoded datetime"), "时间必须为 RFC 3339 格式"),
    (re.compile(r"Invalid enum value.*"), "不是允许的取值"),
    (re.compile(r"Expected `([^`]*)`, got `([^`]*)`"), r"应为 \1，实为 \2"),
    (re.compile(r"Object needs `demand` or `reference`"), "需要 demand 或 reference"),
    (re.compile(r"`(\w+)` can't exceed `(\w+)`"), r"\1 不能大于 \2"),
)


def field_error(error: msgspec.ValidationError, prefix: str = "") -> FieldError:
    """What msgspec refused: a field's path below `prefix`, a message in both languages; never the value."""
    text = str(error)
    position = _PATH.search(text)
    path = prefix + (position.group(1) if position else "")
    message = text[: position.start()] if position else text
    for pattern, chinese in _CHINESE_MESSAGES:
        if match := pattern.match(message):
            name = match.groupdict().get("name")
            if name is not None:
                return FieldError(f"{path}.{name}".lstrip("."), "This field is required", chinese)
            if "unknown" in match.groupdict():
                unknown = match.group("unknown")
                named = f"{path}.{unknown}" if _NAME.fullmatch(unknown) else path
                return FieldError(named.lstrip("."), "This field is unknown", chinese)
            if message.startswith("Invalid enum value"):
                message = "This value is not among those allowed"
            elif "matching regex" in message:
                return FieldError(path.lstrip("."), *_describe_form(message))
            return FieldError(path.lstrip("."), message, match.expand(chinese))
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
            _check_keys(raw)
        if not (written.isascii() or is_normalized("NFC", written.decode())):
            document = _normalize(document)
    except (ValueError, RecursionError, OverflowError) as error:  # msgspec's and UnicodeError are ValueErrors
        raise Unreadable("The body is not valid JSON in UTF-8.", "请求体不是有效的 UTF-8 JSON。") from error
    if escaped and (path := _find_nul(document, "")) is not None:
        raise InvalidInput.of(path, "Text can't hold the character NUL", "文本不能包含 NUL 字符")
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


def _normalize(value: object) -> object:
    if isinstance(value, str):
        return normalize("NFC", value)
    if isinstance(value, list):
        members: list[object] = value
        return [_normalize(member) for member in members]
    if isinstance(value, dict):
        named: dict[str, object] = value
        return _make_object([(normalize("NFC", name), _normalize(member)) for name, member in named.items()])
    return value


def _check_keys(raw: bytes) -> None:
    json.loads(raw, object_pairs_hook=_make_object)


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


def _find_nul(value: object, path: str) -> str | None:
    """The path of the first text that holds NUL."""
    members: list[tuple[str, object]] = []
    if isinstance(value, str) and "\x00" in value:
        return path
    if isinstance(value, dict):
        named: dict[str, object] = value
        if any("\x00" in name for name in named):
            return path or "$"
        members = [(f"{path}.{name}" if path else name, member) for name, member in named.items()]
    elif isinstance(value, list):
        members = [(f"{path}[{at}]", member) for at, member in enumerate(value)]
    found = (_find_nul(member, step) for step, member in members)
    return next((nul for nul in found if nul is not None), None)


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
    kinds = inspect.multi_type_info([field.type for field in fields])
    return tuple(
        (field.name, field.encode_name)
        for field, kind in zip(fields, kinds, strict=True)
        if _may_hold_time(kind)
    )


def _may_hold_time(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.DateTimeType | inspect.DateType):
        return True
    if isinstance(kind, inspect.StructType):
        return bool(timed_fields(kind.cls))
    return any(_may_hold_time(part) for part in _parts_of(kind))


def _parts_of(kind: inspect.Type) -> Iterator[inspect.Type]:
    if isinstance(kind, inspect.Metadata):
        yield kind.type
    elif isinstance(kind, inspect.UnionType):
        yield from kind.types
    elif isinstance(kind, inspect.ListType | inspect.VarTupleType):
        yield kind.item_type
    elif isinstance(kind, inspect.TupleType):
        yield from kind.item_types
