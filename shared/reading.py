"""Reads what comes from outside: refuses what is hostile, and tells which field is wrong without echoing it."""

import re
import unicodedata
from typing import Any

import msgspec

from shared.errors import FieldError, InvalidInput, Unreadable

MAX_DEPTH = 32

_PATH = re.compile(r" - at `(key in )?\$?(.*?)`$")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_TOLD: tuple[tuple[re.Pattern[str], str], ...] = (
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
    """What msgspec found, as a field's path below `prefix` and a message in both languages; never the value."""
    text = str(error)
    found = _PATH.search(text)
    path = prefix + (found.group(2) if found and found.group(2) else "")
    message = text[: found.start()] if found else text
    for pattern, chinese in _TOLD:
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
                message = "This does not have the right form"
            return FieldError(path.lstrip("."), message, match.expand(chinese))
    return FieldError(path.lstrip("."), message, "无效")


def cleaned(raw: bytes) -> bytes:
    """`raw` JSON as valid UTF-8 in NFC, without NUL, lone surrogates or excessive depth. Raises `Unreadable`, `InvalidInput`."""
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH:
        _check_depth(raw)
    try:
        if b"\\u" in raw or b"\\U" in raw:
            raw = msgspec.json.encode(msgspec.json.decode(raw))
        if not raw.isascii():
            raw = unicodedata.normalize("NFC", raw.decode()).encode()
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Unreadable("The body is not valid JSON in UTF-8.", "请求体不是有效的 UTF-8 JSON。") from error
    if b"\\u0000" in raw:
        path = _where(msgspec.json.decode(raw), "")
        if path is not None:
            raise InvalidInput.of(path, "Text can't hold the character NUL", "文本不能包含 NUL 字符")
    return raw


def _check_depth(raw: bytes) -> None:
    depth = deepest = 0
    quoted = escaped = False
    for byte in raw:
        if quoted:
            escaped, quoted = (False, True) if escaped else (byte == 0x5C, byte != 0x22)
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    if deepest > MAX_DEPTH:
        raise Unreadable("The body is nested too deeply.", "请求体嵌套过深。")


def _where(value: Any, path: str) -> str | None:
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
        if (found := _where(member, step)) is not None:
            return found
    return None


def decoded(raw: bytes, schema: type[Any] | Any, prefix: str = "") -> Any:
    """`raw` as a `schema`. Raises `Unreadable` or `InvalidInput` naming the field."""
    try:
        return msgspec.json.decode(raw, type=schema)
    except msgspec.ValidationError as error:
        raise InvalidInput(errors=[field_error(error, prefix)]) from None
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise Unreadable("The body is not valid JSON.", "请求体不是有效的 JSON。") from None
