"""Facts of a case in the reader's words: its summary, location, details and requester."""

from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from services.dispatch.domain.case import Case
from services.dispatch.domain.commands import CaseRequest
from services.dispatch.pages.localizer import Localizer
from services.dispatch.queries.cases import StoredCase
from shared.messages.facts import Location, Requester
from shared.messages.kinds import DetailField, is_of_type


def localized_summary(localizer: Localizer, stored: StoredCase) -> str:
    """What the case is about: in the requester's words, or where the system opened it in the reader's."""
    case, request = stored
    if case.equipment and request.channel == "alarm":
        return localizer.t("alarm_of", equipment=localizer.equipment(case.property, case.equipment))
    failed = _failed_points(request) if request.channel == "inspection" else None
    if failed is not None:
        return localizer.t("inspection_failed", line=localizer.subject(case.subject or ""), count=failed)
    return request.summary


def _failed_points(request: CaseRequest) -> int | None:
    """How many points of an inspection did not pass; None where the details do not say it."""
    details: Mapping[str, object] = request.details or {}
    checked, passed = details.get("checked"), details.get("passed")
    return checked - passed if isinstance(checked, int) and isinstance(passed, int) else None


def localized_location(localizer: Localizer, location: Location | None) -> str:
    """Where it is, in one line."""
    if location is None:
        return ""
    floor = "" if location.floor is None else localizer.t("floor", floor=location.floor)
    return " · ".join(part for part in (floor, location.unit or "", location.place or "") if part)


def case_facts(localizer: Localizer, stored: StoredCase, *, contacts: bool) -> list[tuple[str, str]]:
    """Everything else of the case, with labels; details that came with the demand only with `contacts`."""
    case, request = stored
    facts = [
        ("property", localizer.property(case.property)),
        ("place", localized_location(localizer, request.location)),
        ("equipment", _equipment(localizer, case)),
        ("subject", localizer.subject(case.subject) if case.subject else ""),
        ("line", localizer.t(f"line_{case.line}") if case.line else ""),
        ("perspective", localizer.t(f"perspective_{case.perspective}") if case.perspective else ""),
        ("channel", channel_name(localizer, stored)),
        ("reference", request.reference or ""),
        ("preferred", _preferred(localizer, stored)),
    ]
    labelled = [(localizer.t(f"fact_{name}"), value) for name, value in facts if value]
    return [*labelled, *_stamps(localizer, case), *(_details(localizer, stored) if contacts else ())]


def channel_name(localizer: Localizer, stored: StoredCase) -> str:
    """The channel by which the demand came."""
    channel = stored.request.channel or ""
    return localizer.named(f"channel_{channel}", channel)


def requester_facts(localizer: Localizer, requester: Requester | None) -> list[tuple[str, str]]:
    """Who raised the demand; the phone number is shown by itself."""
    if requester is None:
        return []
    facts = {"name": requester.name, "language": requester.language, "tier": requester.tier}
    return [
        (localizer.t(f"requester_{name}"), localizer.named(f"{name}_{value}", value))
        for name, value in facts.items()
        if value
    ]


def plain_text(value: object) -> str:
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
    preferred, zone = stored.request.preferred, localizer.catalog.get_property(stored.case.property).timezone
    return (
        " – ".join(localizer.moment(at, zone) for at in (preferred.from_, preferred.to) if at)
        if preferred
        else ""
    )


def _stamps(localizer: Localizer, case: Case) -> Iterator[tuple[str, str]]:
    """What the case bears as done, and since when."""
    workflow = localizer.catalog.workflow_of(case)
    zone = localizer.catalog.get_property(case.property).timezone
    for name, since in case.stamps.items():
        yield localizer.stamp(workflow, name), localizer.moment(since, zone)


def _details(localizer: Localizer, stored: StoredCase) -> Iterator[tuple[str, str]]:
    """Details that came with the demand; the equipment of an alarm is among the facts already."""
    details: Mapping[str, object] = stored.request.details or {}
    kind = localizer.catalog.kinds.get(stored.case.kind)
    for name, value in details.items():
        field = kind.fields.get(name) if kind else None
        if field is not None:
            yield localizer.of(field), _detail(localizer, stored.case, field, value)
        elif not (stored.case.equipment and name in ("equipment", "system")):
            yield localizer.named(f"detail_{name}", name), plain_text(value)


def _detail(localizer: Localizer, case: Case, field: DetailField, value: object) -> str:
    """A declared detail in the reader's words; what came before its declaration, as it was said."""
    if not is_of_type(field, value):
        return plain_text(value)
    if field.type == "bool":
        return localizer.t("yes" if value else "no")
    if field.type == "timestamp":
        zone = localizer.catalog.get_property(case.property).timezone
        return localizer.moment(msgspec.convert(value, datetime), zone)
    return localizer.of(field.choices[str(value)]) if field.type == "enum" else plain_text(value)
