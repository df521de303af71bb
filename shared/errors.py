"""Typed errors that end as problem documents (RFC 9457), in Chinese and English, never echoing the input."""

from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec


class FieldError(msgspec.Struct, frozen=True):
    """What is wrong with one field: `path` as in `data.location.floor`, and a message in both languages."""

    path: str
    message: str
    message_zh: str = ""

    def localize(self, language: str) -> dict[str, str]:
        """The entry of the problem document in `language` (`zh` or `en`)."""
        return {
            "path": self.path,
            "message": self.message_zh or self.message if language == "zh" else self.message,
        }


class Problem(Exception):
    """An error that its reader can act on. Subclasses are named by a sentence noun and carry their data."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"
    title: ClassVar[str] = "Something went wrong on our side"
    title_zh: ClassVar[str] = "服务内部出错"

    def __init__(self, detail: str = "", detail_zh: str = "", errors: list[FieldError] | None = None) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.detail_zh = detail_zh
        self.errors = errors or []

    def members(self) -> dict[str, Any]:
        """Further members of the problem document that this kind of problem has."""
        return {}

    def headers(self) -> dict[str, str]:
        """Response headers that go with it."""
        return {}

    def document(self, language: str) -> dict[str, Any]:
        """The problem document in `language` (`zh` or `en`)."""
        chinese = language == "zh"
        body: dict[str, Any] = {
            "type": f"urn:guanjia:problem:{self.code}",
            "title": self.title_zh if chinese else self.title,
            "status": self.status,
        }
        detail = (self.detail_zh or self.detail) if chinese else self.detail
        if detail:
            body["detail"] = detail
        if self.errors:
            body["errors"] = [error.localize(language) for error in self.errors]
        return body | self.members()


class Unreadable(Problem):
    """The body can't be read as what it says it is."""

    status, code = 400, "unreadable"
    title, title_zh = "The request can't be read", "请求无法读取"


class NotSignedIn(Problem):
    """No key, or one that is not valid."""

    status, code = 401, "not-signed-in"
    title, title_zh = "A valid key is needed", "需要有效的密钥"

    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer realm="guanjia"'}


class NotAllowed(Problem):
    """The key lacks the role, or the property is not its own."""

    status, code = 403, "not-allowed"
    title, title_zh = "This key may not do that", "此密钥无权执行该操作"


class NotFound(Problem):
    """There is no such thing, or none that this key may know of."""

    status, code = 404, "not-found"
    title, title_zh = "There is no such thing", "未找到"


class MethodNotAllowed(Problem):
    """The path exists, the method does not."""

    status, code = 405, "method-not-allowed"
    title, title_zh = "This method is not offered here", "不支持此方法"

    def __init__(self, allowed: Iterable[str]) -> None:
        super().__init__()
        self.allowed = sorted(allowed)

    def headers(self) -> dict[str, str]:
        return {"Allow": ", ".join(self.allowed)}


class Conflict(Problem):
    """What is there contradicts what was asked."""

    status, code = 409, "conflict"
    title, title_zh = "This contradicts what is already there", "与已有内容冲突"


class PreconditionFailed(Problem):
    """The thing moved on since the caller saw it."""

    status, code = 412, "moved-on"
    title, title_zh = "It has moved on since you saw it", "内容已更新，请刷新后重试"


class TooLarge(Problem):
    """The body is beyond what is taken."""

    status, code = 413, "too-large"
    title, title_zh = "The body is too large", "请求体过大"


class WrongMediaType(Problem):
    """The content type is none that is understood here."""

    status, code = 415, "wrong-media-type"
    title, title_zh = "This content type is not understood here", "不支持的内容类型"


class InvalidInput(Problem):
    """One or more fields are not valid; `errors` names each."""

    status, code = 422, "not-valid"
    title, title_zh = "Some fields are not valid", "部分字段无效"

    @classmethod
    def of(cls, path: str, message: str, message_zh: str = "") -> "InvalidInput":
        """For one field."""
        return cls(errors=[FieldError(path, message, message_zh)])


class TooManyRequests(Problem):
    """Over the rate; try again after `retry_after` seconds."""

    status, code = 429, "too-many-requests"
    title, title_zh = "Too many requests", "请求过于频繁"

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Try again in {retry_after} s.", f"请在 {retry_after} 秒后重试。")
        self.retry_after = retry_after

    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class Unavailable(Problem):
    """Something that this needs does not answer now."""

    status, code = 503, "unavailable"
    title, title_zh = "Not available at the moment", "暂时不可用"

    def headers(self) -> dict[str, str]:
        return {"Retry-After": "2"}
