"""Every text that pages are made of, by language, and the words that only programs should see."""

import re
from functools import cache
from typing import Any, get_args

from services.dispatch.domain.workflow.loader import load_workflows
from services.kpi.domain.rate import AREAS
from services.kpi.domain.rates import RATES
from shared.auth import Role
from shared.messages.facts import Line
from shared.pages.texts import load_texts
from shared.settings import PROJECT

FILES = sorted(PROJECT.glob("services/*/pages/texts.toml"))
_PARTS = re.compile(r"[()（）、，,·:：.。]")
_TEXT_KEY = re.compile(r"(?:choice|subject|channel|line|perspective|priority|role|tier)_(.+)")
_PLACEHOLDER = re.compile(r"\\\{[a-z_]+\\\}")
_ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


def is_foreign(text: str, language: str) -> bool:
    """Whether a page in `language` should not show this: the other language's, or a program's word."""
    if _ID.search(text):
        return True
    return any(_is_foreign(part.strip(), language) for part in (text, *_PARTS.split(text)))


def _is_foreign(text: str, language: str) -> bool:
    if _build_pattern(language).fullmatch(text):
        return False
    other = "en" if language == "zh" else "zh"
    return text in list_program_words() or bool(_build_pattern(other).fullmatch(text))


@cache
def list_program_words() -> frozenset[str]:
    """Names of kinds, states, actions, fields, roles, lines and rates as programs write them."""
    words = {*get_args(Line), *get_args(Role), *RATES}
    for workflow in load_workflows().values():
        words |= {
            workflow.name,
            *workflow.kinds,
            *workflow.stamps,
            *workflow.states,
            *workflow.actions,
            *(rule.name for rule in workflow.deadline_rules),
        }
        fields = [field for action in workflow.actions.values() for field in action.fields]
        words |= {field.name for field in fields} | {choice for field in fields for choice in field.choices}
    keys = (_TEXT_KEY.fullmatch(key) for file in FILES for key in load_texts(file))
    return frozenset(words | {key[1] for key in keys if key})


@cache
def _build_pattern(language: str) -> re.Pattern[str]:
    """What a text of `language` looks like, with anything in its places."""
    text_files = load_texts(PROJECT / "shared/pages/texts.toml"), *(load_texts(file) for file in FILES)
    texts = {text[language] for file in text_files for text in file.values()}
    texts |= {named.zh if language == "zh" else named.en for named in _list_named()}
    texts |= {text.localize(language) for text in AREAS.values()}
    for rate in RATES.values():
        texts |= {text.localize(language) for text in (rate.name, rate.definition, rate.unit.counts)}
    return re.compile("|".join(sorted(_escape_text(text) for text in texts if _has_words(text))))


def _list_named() -> list[Any]:
    """What the workflows name in both languages."""
    named: list[Any] = []
    for workflow in load_workflows().values():
        named += [
            workflow,
            *workflow.kinds.values(),
            *workflow.stamps.values(),
            *workflow.states.values(),
            *workflow.actions.values(),
            *workflow.deadline_rules,
        ]
        fields = [field for action in workflow.actions.values() for field in action.fields]
        named += [*fields, *(choice for field in fields for choice in field.choices.values())]
    return named


def _has_words(text: str) -> bool:
    """Whether there are words in it beside its places, and not only units."""
    return bool(re.search(r"[\u4e00-\u9fff]|[A-Za-z]{2}", re.sub(r"\{[a-z_]+\}", "", text)))


def _escape_text(text: str) -> str:
    return _PLACEHOLDER.sub(".{1,80}", re.escape(text.strip())) + "[…:：]?"
