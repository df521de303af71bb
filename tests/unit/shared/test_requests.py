"""What is read of a request: its body whole and within bounds, however it comes; headers and cookies once."""

import asyncio
from collections.abc import Callable

import pytest
from starlette.types import Message, Receive

from shared.errors import TooLarge, Unreadable
from shared.http.requests import Request, read_body, read_language

LIMIT = 10
GONE: Message = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def make_request(receive: Receive, *headers: tuple[str, str], query: str = "") -> Request:
    raw = [(name.encode(), value.encode()) for name, value in headers]
    return Request({"method": "POST", "headers": raw, "query_string": query.encode()}, receive)


def receive_at_once(*messages: Message) -> Receive:
    """A server that has all of it already."""
    coming = iter(messages)

    async def receive() -> Message:
        return next(coming)

    return receive


def receive_later(*messages: Message) -> Receive:
    """A server as uvicorn is one: each part is waited for, and none is lost where the waiting is given up."""
    coming, here = list(messages), asyncio.Event()

    async def receive() -> Message:
        asyncio.get_running_loop().call_soon(here.set)
        await here.wait()
        here.clear()
        return coming.pop(0)

    return receive


@pytest.mark.parametrize("server", [receive_at_once, receive_later])
@pytest.mark.parametrize(
    "parts",
    [
        [part(b"0123456789", more=False)],
        [part(b""), part(b"01234"), part(b"56789"), part(b"", more=False)],
        [{"type": "http.request", "body": b"0123456789"}],
    ],
)
async def test_a_body_is_read_whole_however_it_comes(
    server: Callable[..., Receive], parts: list[Message]
) -> None:
    assert await read_body(make_request(server(*parts)), LIMIT) == b"0123456789"


async def test_no_body_is_an_empty_one() -> None:
    assert await read_body(make_request(receive_at_once({"type": "http.request"})), LIMIT) == b""


@pytest.mark.parametrize("server", [receive_at_once, receive_later])
async def test_what_is_too_large_is_refused_as_soon_as_that_is_seen(server: Callable[..., Receive]) -> None:
    for parts in ([part(b"x" * 11, more=False)], [part(b"x" * 6), part(b"x" * 6)]):
        with pytest.raises(TooLarge):
            await read_body(make_request(server(*parts)), LIMIT)
    with pytest.raises(TooLarge):
        await read_body(make_request(server(), ("content-length", "11")), LIMIT)


@pytest.mark.parametrize("server", [receive_at_once, receive_later])
async def test_a_body_that_breaks_off_is_unreadable(server: Callable[..., Receive]) -> None:
    for parts in ([GONE], [part(b"x"), GONE]):
        with pytest.raises(Unreadable, match="whole"):
            await read_body(make_request(server(*parts)), LIMIT)


@pytest.mark.parametrize("first", [[], [part(b"x")]])
async def test_a_body_that_does_not_come_in_time_is_unreadable(
    first: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.http.requests.BODY_SECONDS", 0.01)
    at_once, never = list(first), asyncio.Event()

    async def receive() -> Message:
        if not at_once:
            await never.wait()
        return at_once.pop()

    with pytest.raises(Unreadable, match="in time"):
        await read_body(make_request(receive), LIMIT)


async def test_of_a_header_that_comes_twice_the_first_counts() -> None:
    headers = [("authorization", "one"), ("authorization", "two"), ("cookie", "a=1; b=2")]
    request = make_request(receive_at_once(), *headers, query="x=1&x=2&empty=&plus=a+b")
    assert request.headers["authorization"] == "one"
    assert request.cookies == {"a": "1", "b": "2"}
    assert request.query_params == {"x": "2", "empty": "", "plus": "a b"}


@pytest.mark.parametrize(
    ("query", "headers", "language"),
    [
        ("", [], "zh"),
        ("", [("accept-language", "fr, en-GB;q=0.8, zh")], "en"),
        ("lang=zh", [("accept-language", "en")], "zh"),
        ("lang=xx", [("cookie", "guanjia_lang=en")], "zh"),
        ("", [("cookie", "guanjia_lang=en"), ("accept-language", "zh")], "en"),
    ],
)
async def test_the_language_is_the_readers(query: str, headers: list[tuple[str, str]], language: str) -> None:
    assert read_language(make_request(receive_at_once(), *headers, query=query)) == language
