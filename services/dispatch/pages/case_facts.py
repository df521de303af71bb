"""What is known of a case beside its course: a heading, facts, who asked; nothing in a program's words."""

from collections.abc import Iterator
from typing import Any

from services.dispatch.domain.case import Case
from services.dispatch.pages.localizer import Localizer
from services.dispatch.queries import StoredCase
from shared.messages.facts import Location, Requester


def localized_summary(localizer: Localizer, stored: StoredCase) -> str:
    """What it is about, as it was said; what the system itself found is told in the reader's language."""
    case, request = stored
    if case.equipment and request.channel == "alarm":
        return localizer.t("alarm_of", equipment=localizer.equipment(case.property, case.equipment))
    details = request.details or {}
    if request.channel == "inspection" and {"checked", "passed"} <= details.keys():
        left = details["checked"] - details["passed"]
        return localizer.t("inspection_failed", line=localizer.subject(case.subject or ""), count=left)
    return request.summary


def localized_place(localizer: Localizer, location: Location | None) -> str:
    """Where it is, in one line."""
    if location is None:
        return ""
    floor = "" if location.floor is None else localizer.t("floor", floor=location.floor)
    return " · ".join(part for part in (floor, location.unit or "", location.place or "") if part)


def case_facts(localizer: Localizer, stored: StoredCase, *, contacts: bool) -> list[tuple[str, str]]:
    """Everything else that is known, with its labels; what the workflow asked for to those who need it."""
    case, request = stored
    told = [
        ("property", localizer.property(case.property)),
        ("place", localized_place(localizer, request.location)),
        ("equipment", _equipment(localizer, case)),
        ("subject", localizer.subject(case.subject) if case.subject else ""),
        ("line", localizer.t(f"line_{case.line}") if case.line else ""),
        ("perspective", localizer.t(f"perspective_{case.perspective}") if case.perspective else ""),
        ("channel", channel_name(localizer, stored)),
        ("reference", request.reference or ""),
        ("preferred", _preferred(localizer, stored)),
    ]
    found = [(localizer.t(f"fact_{name}"), value) for name, value in told if value]
    return found + (list(_details(localizer, stored)) if contacts else [])


def channel_name(localizer: Localizer, stored: StoredCase) -> str:
    """How it came to us."""
    word = stored.request.channel or ""
    return localizer.named(f"channel_{word}", word)


def requester_facts(localizer: Localizer, asked: Requester | None) -> list[tuple[str, str]]:
    """Who asked."""
    if asked is None:
        return []
    told = {name: getattr(asked, name) for name in ("name", "language", "tier")}
    return [
        (localizer.t(f"requester_{name}"), localizer.named(f"{name}_{value}", value))
        for name, value in told.items()
        if value
    ]


def plain_text(value: Any) -> str:
    """Any value of a document in one line."""
    if isinstance(value, dict):
        return "; ".join(f"{name}: {plain_text(member)}" for name, member in value.items())
    return ", ".join(map(plain_text, value)) if isinstance(value, list) else str(value)


def _equipment(localizer: Localizer, case: Case) -> str:
    if not case.equipment:
        return ""
    name = localizer.equipment(case.property, case.equipment)
    return name if name == case.equipment else f"{name} · {case.equipment}"


def _preferred(localizer: Localizer, stored: StoredCase) -> str:
    wish, zone = stored.request.preferred, localizer.catalog.property(stored.case.property).timezone
    return " – ".join(localizer.moment(at, zone) for at in (wish.from_, wish.to) if at) if wish else ""


def _details(localizer: Localizer, stored: StoredCase) -> Iterator[tuple[str, str]]:
    """What came beside; what an alarm tells of its equipment stands among the facts already."""
    for name, value in (stored.request.details or {}).items():
        if not (stored.case.equipment and name in ("equipment", "system")):
            yield localizer.named(f"detail_{name}", name), plain_text(value)
