"""Reads JSON from outside: refuses what is hostile, names the wrong field and never echoes its value."""

import json
import re
import unicodedata
from typing import TypeVar

import msgspec

from shared.errors import FieldError, InvalidInput, Unreadable
from shared.http.instants import check_instants
from shared.messages.facts import FORMS

MAX_DEPTH = 32
Schema = TypeVar("Schema")

_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.S)
_NO_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_decode = msgspec.json.Decoder().decode
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


def sanitize(raw: bytes) -> bytes:
    """`raw` JSON as UTF-8 in NFC. Raises `Unreadable`, or `InvalidInput` where a text holds NUL.

    Refused are lone surrogates, repeated keys, nesting beyond `MAX_DEPTH` and numbers out of any range.
    """
    try:
        _check_depth(raw)
        document = _decode(raw)
        written = _encode(document)
        if not _has_each_key_once(raw, written):
            _check_keys(raw)
        if b"\\u" in raw:
            raw = written
        if not raw.isascii():
            raw = _normalize(raw)
    except (ValueError, RecursionError, OverflowError) as error:  # msgspec's and UnicodeError are ValueErrors
        raise Unreadable("The body is not valid JSON in UTF-8.", "请求体不是有效的 UTF-8 JSON。") from error
    if b"\\u0000" in raw and (path := _find_nul(document, "")) is not None:
        raise InvalidInput.of(path, "Text can't hold the character NUL", "文本不能包含 NUL 字符")
    return raw


def _normalize(raw: bytes) -> bytes:
    text = raw.decode()
    if unicodedata.is_normalized("NFC", text):
        return raw
    raw = unicodedata.normalize("NFC", text).encode()
    _check_keys(raw)
    return raw


def _has_each_key_once(raw: bytes, written: bytes) -> bool:
    """Whether surely no object has a key twice: it has as many as written anew. No only means perhaps."""
    odd = b" :" in raw or b"\n" in raw or b"\t" in raw or b"\r" in raw or b"\\u00" in raw
    return not odd and raw.count(b'":') == written.count(b'":')


def _check_keys(raw: bytes) -> None:
    json.loads(raw, object_pairs_hook=_object_without_duplicates)


def _object_without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
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
    if isinstance(value, str):
        return path if "\x00" in value else None
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, member in pairs:
        if "\x00" in str(name):
            return path or "$"
        step = (
            f"{path}.{name}"
            if isinstance(name, str) and path
            else f"{path}[{name}]"
            if not isinstance(name, str)
            else name
        )
        if (nul := _find_nul(member, step)) is not None:
            return nul
    return None


def decode(raw: bytes | msgspec.Raw, schema: type[Schema], prefix: str = "") -> Schema:
    """`raw` as a `schema`, its times within bounds. Raises `Unreadable`, or `InvalidInput` naming the field
    below `prefix`.
    """
    try:
        value = msgspec.json.decode(raw, type=schema)
    except msgspec.ValidationError as error:
        raise InvalidInput(errors=[field_error(error, prefix)]) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise Unreadable("The body is not valid JSON.", "请求体不是有效的 JSON。") from None
    check_instants(value, prefix)
    return value
