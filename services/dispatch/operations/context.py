"""What the parts of dispatch may know of the service."""

from typing import Protocol

from services.dispatch.operations.case_actions import CaseActions
from services.dispatch.operations.case_commands import CommandHost
from services.dispatch.operations.change_stream import ChangeStream
from shared.messaging.inbox import Inbox


class DispatchContext(CommandHost, Protocol):
    """The service dispatch: its workflows, the one path of people's actions, the stream of changes."""

    case_actions: CaseActions
    change_stream: ChangeStream
    inbox: Inbox
