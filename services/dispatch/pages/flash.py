"""What a person is told after pressing: that it is done, or why it is not and what to do now."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from services.dispatch.domain.case import Case
from services.dispatch.pages.localizer import Localizer, Tone
from shared.errors import Conflict, InvalidInput, PreconditionFailed, Problem


class FlashMessage(Struct, frozen=True, kw_only=True):
    """A message, and what was filled in so far where it is to be filled in again."""

    status: int
    tone: Tone
    text: str
    details: list[str] = []
    action: str = ""
    values: Mapping[str, str] = {}


def flash_for(
    localizer: Localizer, case: Case, form: Mapping[str, str], problem: Problem | None
) -> FlashMessage:
    """What came of pressing."""
    return _refusal(localizer, case, form, problem) if problem else _success(localizer, case, form)


def _success(localizer: Localizer, case: Case, form: Mapping[str, str]) -> FlashMessage:
    """The step is taken."""
    workflow = localizer.catalog.of(case)
    action = localizer.action(workflow, form.get("action", ""))
    text = localizer.t("told_done", action=action, state=localizer.state(workflow, case.state))
    return FlashMessage(status=200, tone="good", text=text)


def _refusal(localizer: Localizer, case: Case, form: Mapping[str, str], problem: Problem) -> FlashMessage:
    """Why the step was not taken. What was typed is kept."""
    document = problem.document(localizer.language)
    text = " ".join(str(document[name]) for name in ("title", "detail") if name in document)
    state = localizer.state(localizer.catalog.of(case), case.state)
    if isinstance(problem, PreconditionFailed):
        text = localizer.t("told_moved_on", state=state)
    elif isinstance(problem, Conflict):
        text = localizer.t("told_not_now", state=state)
    action, again = form.get("action", ""), isinstance(problem, InvalidInput)
    return FlashMessage(
        status=problem.status,
        tone="bad",
        text=text,
        details=[_detail(localizer, case, action, error) for error in document.get("errors", [])],
        action=action if again else "",
        values=form if again else {},
    )


def _detail(localizer: Localizer, case: Case, action: str, error: Mapping[str, Any]) -> str:
    """One field's mistake, under the name that the form gives the field."""
    found = localizer.catalog.of(case).actions.get(action)
    name = str(error["path"]).removeprefix("data.")
    field = next((field for field in found.fields if field.name == name), None) if found else None
    label = localizer.of(field) if field else localizer.named(f"told_{name}", name)
    return localizer.t("told_field", field=label, message=error["message"])
