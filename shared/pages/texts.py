"""The texts of pages, in both languages: read whole at start, so that no reader is the first to miss one."""

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

Texts = dict[str, dict[str, str]]


class TextMissing(Exception):
    """A text that a page needs is not there: its key, and the language where only that is missing."""

    def __init__(self, key: str, language: str = "") -> None:
        super().__init__(f"the text {key} is missing{f' in {language}' if language else ''}")


def load_texts(*files: Path) -> Texts:
    """Texts by key: TOML tables `[key] zh = "…" en = "…"`; later files win. Raises TextMissing."""
    texts: Texts = {}
    for file in files:
        texts.update(tomllib.loads(file.read_text(encoding="utf-8")))
    for key, text in texts.items():
        for language in ("zh", "en"):
            if not text.get(language, "").strip():
                raise TextMissing(key, language)
    return texts


def require_texts(texts: Mapping[str, object], prefix: str, values: Iterable[object]) -> None:
    """Raises TextMissing where a value that data may have has no text `<prefix>_<value>`."""
    for value in values:
        if f"{prefix}_{value}" not in texts:
            raise TextMissing(f"{prefix}_{value}")
