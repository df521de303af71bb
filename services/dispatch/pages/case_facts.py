"""What is known of a case beside its course: a heading, facts, who asked; nothing in a program's words."""

from collections.abc import Iterator
from typing import Any

from services.dispatch.domain.case import Case
from services.dispatch.pages.localizer import Localizer
from services.dispatch.queries import StoredCase
from shared.messages.facts import Location, Requester


def localized_summary(reader: Localizer, stored: StoredCase) -> str:
    """What it is about, as it was said; what the system itself found is told in the reader's language."""
    case, papers = stored
    if case.equipment and papers.channel == "alarm":
        return reader.t("alarm_of", equipment=reader.equipment(case.property, case.equipment))
    details = papers.details or {}
    if papers.channel == "inspection" and {"checked", "passed"} <= details.keys():
        left = details["checked"] - details["passed"]
        return reader.t("inspection_failed", line=reader.subject(case.subject or ""), count=left)
    return papers.summary


def localized_place(reader: Localizer, location: Location | None) -> str:
    """Where it is, in one line."""
    if location is None:
        return ""
    floor = "" if location.floor is None else reader.t("floor", floor=location.floor)
    return " · ".join(part for part in (floor, location.unit or "", location.place or "") if part)


def case_facts(reader: Localizer, stored: StoredCase, *, contacts: bool) -> list[tuple[str, str]]:
    """Everything else that is known, with its labels; what the workflow asked for to those who need it."""
    case, papers = stored
    told = [
        ("property", reader.property(case.property)),
        ("place", localized_place(reader, papers.location)),
        ("equipment", _equipment(reader, case)),
        ("subject", reader.subject(case.subject) if case.subject else ""),
        ("line", reader.t(f"line_{case.line}") if case.line else ""),
        ("perspective", reader.t(f"perspective_{case.perspective}") if case.perspective else ""),
        ("channel", channel_name(reader, stored)),
        ("reference", papers.reference or ""),
        ("preferred", _preferred(reader, stored)),
    ]
    found = [(reader.t(f"fact_{name}"), value) for name, value in told if value]
    return found + (list(_details(reader, stored)) if contacts else [])


def channel_name(reader: Localizer, stored: StoredCase) -> str:
    """How it came to us."""
    word = stored.papers.channel or ""
    return reader.named(f"channel_{word}", word)


def requester_facts(reader: Localizer, asked: Requester | None) -> list[tuple[str, str]]:
    """Who asked."""
    if asked is None:
        return []
    told = {name: getattr(asked, name) for name in ("name", "language", "tier")}
    return [
        (reader.t(f"requester_{name}"), reader.named(f"{name}_{value}", value))
        for name, value in told.items()
        if value
    ]


def plain_text(value: Any) -> str:
    """Any value of a document in one line."""
    if isinstance(value, dict):
        return "; ".join(f"{name}: {plain_text(member)}" for name, member in value.items())
    return ", ".join(map(plain_text, value)) if isinstance(value, list) else str(value)


def _equipment(reader: Localizer, case: Case) -> str:
    if not case.equipment:
        return ""
    name = reader.equipment(case.property, case.equipment)
    return name if name == case.equipment else f"{name} · {case.equipment}"


def _preferred(reader: Localizer, stored: StoredCase) -> str:
    wish, zone = stored.papers.preferred, reader.rules.property(stored.case.property).timezone
    return " – ".join(reader.moment(at, zone) for at in (wish.from_, wish.to) if at) if wish else ""


def _details(reader: Localizer, stored: StoredCase) -> Iterator[tuple[str, str]]:
    """What came beside; what an alarm tells of its equipment stands among the facts already."""
    for name, value in (stored.papers.details or {}).items():
        if not (stored.case.equipment and name in ("equipment", "system")):
            yield reader.named(f"detail_{name}", name), plain_text(value)
