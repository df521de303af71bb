"""The message after an action was submitted: that it is done, or why it is not and what to do now."""

from collections.abc import Mapping

from msgspec import Struct

from services.dispatch.domain.case import Case
from services.dispatch.pages.localizer import Localizer, Tone
from shared.errors import Conflict, FieldError, InvalidInput, PreconditionFailed, Problem


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
    """The message about the action that `form` asked for; `problem` is why it was refused."""
    return _refusal(localizer, case, form, problem) if problem else _success(localizer, case, form)


def _success(localizer: Localizer, case: Case, form: Mapping[str, str]) -> FlashMessage:
    workflow = localizer.catalog.workflow_of(case)
    action = localizer.action(workflow, form.get("action", ""))
    text = localizer.t("flash_done", action=action, state=localizer.state(workflow, case.state))
    return FlashMessage(status=200, tone="good", text=text)


def _refusal(localizer: Localizer, case: Case, form: Mapping[str, str], problem: Problem) -> FlashMessage:
    """Why the action was refused. What was typed is kept where it is to be corrected."""
    document = problem.document(localizer.language)
    text = " ".join(str(document[name]) for name in ("title", "detail") if name in document)
    state = localizer.state(localizer.catalog.workflow_of(case), case.state)
    if isinstance(problem, PreconditionFailed):
        text = localizer.t("flash_moved_on", state=state)
    elif isinstance(problem, Conflict):
        text = localizer.t("flash_not_now", state=state)
    correctable = isinstance(problem, InvalidInput)
    action = form.get("action", "")
    return FlashMessage(
        status=problem.status,
        tone="bad",
        text=text,
        details=[_detail(localizer, case, action, error) for error in problem.errors],
        action=action if correctable else "",
        values=form if correctable else {},
    )


def _detail(localizer: Localizer, case: Case, action: str, error: FieldError) -> str:
    """One field's mistake, under the name that the form gives the field."""
    definition = localizer.catalog.workflow_of(case).actions.get(action)
    name = error.path.removeprefix("data.")
    fields = {field.name: field for field in definition.fields} if definition else {}
    field = fields.get(name)
    label = localizer.of(field) if field else localizer.named(f"data_{name}", name)
    return localizer.t("flash_field", field=label, message=error.localize(localizer.language)["message"])
