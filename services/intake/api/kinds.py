"""The kinds of demands that can be raised, and what each asks for."""

from msgspec import Struct

from services.intake.operations.context import IntakeContext
from shared.auth import ROLES
from shared.http.endpoints import Call, Endpoints
from shared.http.pagination import Cursor, Page, PageQuery
from shared.http.parameters import require_property
from shared.messages.events import WorkflowRef
from shared.messages.facts import Perspective, Word
from shared.messages.kinds import DetailField, DetailType, KindCatalog, LocalizedName

endpoints = Endpoints()
CURSOR = Cursor("kinds", tuple[str])


class ChoiceSummary(Struct, frozen=True):
    """One value of an enum."""

    value: str
    names: dict[str, str]


class FieldSummary(Struct, frozen=True):
    """A field of `details`."""

    name: str
    type: DetailType
    required: bool
    choices: list[ChoiceSummary]
    names: dict[str, str]


class KindSummary(Struct, frozen=True):
    """A kind of demand. One without fields takes any details."""

    kind: str
    names: dict[str, str]
    perspective: Perspective
    fields: list[FieldSummary]
    workflow: WorkflowRef


class KindsQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of which property; an installation's kinds are the same for all of its properties."""

    property: Word


@endpoints.add(
    "GET", "/v1/kinds", roles=ROLES, summary=("需求类型", "Kinds of demands, and what each asks for")
)
async def list_kinds(call: Call[IntakeContext, KindsQuery, None]) -> Page[KindSummary]:
    query, catalog = call.query, call.context.kinds
    require_property(call.context.properties, call.identity, query.property)
    after = CURSOR.decode(query.cursor) or ("",)
    names = sorted(name for name in catalog.entries if name > after[0])
    return CURSOR.make_page(
        names, query.limit, lambda name: (name,), lambda name: summarize_kind(catalog, name)
    )


def summarize_kind(catalog: KindCatalog, kind: str) -> KindSummary:
    """A kind as programs are shown it."""
    entry = catalog.entries[kind]
    return KindSummary(
        kind=kind,
        names=_names(entry),
        perspective=entry.perspective,
        fields=[_summarize_field(name, field) for name, field in entry.fields.items()],
        workflow=catalog.workflows[kind],
    )


def _summarize_field(name: str, field: DetailField) -> FieldSummary:
    choices = [ChoiceSummary(value, _names(choice)) for value, choice in field.choices.items()]
    return FieldSummary(name, field.type, field.required, choices, _names(field))


def _names(named: LocalizedName) -> dict[str, str]:
    return {"zh": named.zh, "en": named.en}
