"""What is hostile is refused before anything is stored, and nothing that was sent is echoed."""

import json
import random
from typing import Annotated, Any, Literal

import msgspec
import pytest

from shared.errors import InvalidInput, Problem, Unreadable
from shared.http.json_input import MAX_DEPTH, convert, read_json, read_members

SECRET = "13800138000"


def nested(depth: int, opening: str = '{"a":', closing: str = "}") -> bytes:
    return (opening * depth + "1" + closing * depth).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[1,]",
        b"nul",
        b"NaN",
        b'{"a":Infinity}',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'{"a":"\\ud800"}',
        b'{"a":"\\udc00\\ud800"}',
        b'{"a":"\x00"}',
        b'{"a":1e400}',
        b'{"a":' + b"9" * 5000 + b"}",
        nested(MAX_DEPTH + 1),
        nested(MAX_DEPTH + 1, "[", "]"),
        nested(100_000, "[", "]"),
        b'{"text":"\\"[[","deep":' + nested(MAX_DEPTH) + b"}",
    ],
    ids=repr,
)
def test_what_is_no_sound_json_is_unreadable(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        read_json(raw)


@pytest.mark.parametrize(
    "raw",
    [
        nested(MAX_DEPTH),
        nested(MAX_DEPTH, "[", "]"),
        json.dumps({"a": "[" * 100 + "{" * 100}).encode(),
        json.dumps({"a": '"[' * 100, "b": "\\", "c": [[]] * 40}).encode(),
        b'{"id":"1","data":{"id":"2","more":{"id":"3"}}}',
        b'{"a" : "b : c", "b":\t"\\"a\\":1,\\"a\\":2"}',
        b'[{"a":1},{"a":1}]',
    ],
    ids=repr,
)
def test_what_only_looks_hostile_is_left_as_it_is(raw: bytes) -> None:
    assert read_json(raw) == json.loads(raw)


@pytest.mark.parametrize(
    "raw",
    [
        '{"a":1,"a":2}',
        '{"a":1,"b":{"c":1,"c":1}}',
        '[{"a":[{"x":1,"x":2}]}]',
        '{"a" :1,"b":2,"a":3}',
        '{"a"\n:1,"a":3}',
        '{"a":"\\":","b":1,"b":2}',
        '{"\\u0061":1,"a":2}',
        '{"a":"\\u0022:","b":1,"b":2}',
        '{"a":"x\\u005c\\u0022:","b":1,"b":2}',
        '{"a\\u003a":1,"b":2,"b":3}',
        '{"a":"\\u003A","b":2,"b":3}',
        '{"a":"::","b":2,"b":"x"}',
        '{"a":":","a":"::"}',
        '{"\u00e9":1,"e\u0301":2}',
        '{"\\u00e9":1,"é":2}',
    ],
)
def test_an_object_with_a_key_twice_is_refused(raw: str) -> None:
    with pytest.raises(Unreadable, match="twice"):
        read_json(raw.encode())


def test_whatever_is_written_a_repeated_key_is_refused_and_nothing_else() -> None:
    """Against a slow reading by pairs, on documents made of what is hard to tell apart."""
    seen = set()
    for seed in range(3000):
        text = make_object(random.Random(seed))
        doubled = False

        def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
            nonlocal doubled
            doubled |= len({key for key, _ in pairs}) < len(pairs)
            return dict(pairs)

        document = json.loads(text, object_pairs_hook=look)
        try:
            assert read_json(text.encode()) == document
            assert not doubled, text
        except Unreadable:
            assert doubled, text
        seen.add(doubled)
    assert seen == {True, False}


def make_object(choice: random.Random, depth: int = 2) -> str:
    """A JSON object as text, with awkward keys, strings and spaces."""
    words = [
        "a",
        "b",
        '\\":',
        "\\u0022:",
        "\\u0061",
        " :",
        "\\\\",
        "é",
        "\\u00e9",
        "厨",
        "\\u003a",
        "\\u53a8",
        "::",
    ]
    members = []
    for _ in range(choice.randrange(1, 4)):
        key, colon = choice.choice(words), choice.choice([":", " :", ":", ": ", "\n:"])
        inner = (
            make_object(choice, depth - 1) if depth and choice.random() < 0.4 else f'"{choice.choice(words)}"'
        )
        members.append(f'"{key}"{colon}{inner}')
    return "{" + ",".join(members) + "}"


def test_nul_is_refused_by_its_path() -> None:
    for raw, path in (
        (b'{"a":{"b":["x","\\u0000"]}}', "a.b[1]"),
        (b'{"a\\u0000":1}', "$"),
        (b'"\\u0000"', ""),
    ):
        with pytest.raises(InvalidInput) as caught:
            read_json(raw)
        assert [error.path for error in caught.value.errors] == [path]
    assert read_json(b'{"a":"\\\\u0000"}') == {"a": "\\u0000"}


def test_text_is_normalised_however_it_is_written() -> None:
    for raw in (
        '{"a":"\u00e9"}'.encode(),
        '{"a":"e\u0301"}'.encode(),
        b'{"a":"e\\u0301"}',
        b'{"a":"\\u00e9"}',
    ):
        assert read_json(raw) == {"a": "\u00e9"}
    assert read_json('{"e\u0301":["\\n\u0303"]}'.encode()) == {"\u00e9": ["\n\u0303"]}
    assert read_json(b'{"a":"\\ud83d\\ude00"}') == {"a": "😀"}


def test_the_members_of_an_array_are_read_each_by_itself() -> None:
    members = read_members(b' [ {"a":1,"a":2} , [1] , "x" ] ')
    assert [member.strip() for member in members] == [b'{"a":1,"a":2}', b"[1]", b'"x"']
    assert read_members(b"[]") == []
    for raw, refusal in (
        (b"{}", InvalidInput),
        (b"[1", Unreadable),
        (b"", Unreadable),
        (nested(100_000, "[", "]"), Unreadable),
    ):
        with pytest.raises(refusal):
            read_members(raw)


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    size: Annotated[int, msgspec.Meta(ge=1, le=5)] = 1
    word: Annotated[str, msgspec.Meta(min_length=2, max_length=3, pattern="^[a-z]*$")] = "ab"
    kind: Literal["one", "two"] = "one"


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    inner: Inner | None = None
    many: list[Inner] = []
    rated: dict[Literal["x"], int] = {}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "name"),
        ({"name": None}, "name"),
        ({"name": "n", "other": 1}, "other"),
        ({"name": "n", SECRET: 1}, ""),
        ({"name": "n", "inner": {"size": 0}}, "inner.size"),
        ({"name": "n", "inner": {"size": 6}}, "inner.size"),
        ({"name": "n", "inner": {"word": "a"}}, "inner.word"),
        ({"name": "n", "inner": {"word": "abcd"}}, "inner.word"),
        ({"name": "n", "inner": {"word": "A1"}}, "inner.word"),
        ({"name": "n", "inner": {"kind": SECRET}}, "inner.kind"),
        ({"name": "n", "many": [{}, {"size": SECRET}]}, "many[1].size"),
        ({"name": "n", "rated": {SECRET: 1}}, "rated"),
        ([], ""),
    ],
)
def test_a_wrong_field_is_named_in_both_languages_and_its_value_is_not_echoed(body: Any, path: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        convert(body, Outer)
    documents = [caught.value.document(language) for language in ("zh", "en")]
    for document in documents:
        assert [error["path"] for error in document["errors"]] == [path]
        assert SECRET not in str(document)
    chinese, english = (document["errors"][0]["message"] for document in documents)
    assert english.isascii()
    assert not chinese.isascii()


def test_a_prefix_stands_before_the_path() -> None:
    for body, path in (({}, "data.name"), ([], "data")):
        with pytest.raises(InvalidInput) as caught:
            convert(body, Outer, "data")
        assert caught.value.errors[0].path == path


def test_every_problem_exists_in_both_languages() -> None:
    kinds = [Problem]
    while kinds:
        kind = kinds.pop()
        kinds += [child for child in kind.__subclasses__() if child.__module__ == "shared.errors"]
        assert kind.title.isascii()
        assert not kind.title_zh.isascii()
        assert 400 <= kind.status < 600
