"""What a person sees when the services are up: where to look and how to sign in."""

from typing import Any

from rich.console import Console

from shared.auth import admin_identity
from shared.service import make_secret_and_keyring
from shared.settings import Settings

_console = Console(highlight=False)


def sign_in_link(settings: Settings) -> str:
    """A link for the administrator; the code is behind `#`, so that no server sees it in a URL."""
    _, keyring = make_secret_and_keyring(settings)
    return f"{settings.origin}/sign-in#{keyring.issue_sign_in_code(admin_identity('sign-in'))}"


async def greet(process: Any) -> None:
    """Say where to look; at the very first start also the administrator's key, once."""
    settings: Settings = process.settings
    names = ", ".join(service.name for service in process.services)
    _console.print(f"\n[bold]管家 Guanjia[/] {settings.origin}  ({names})")
    if len(process.services) > 1:
        _console.print(f"  看板 board    {settings.origin}/")
        _console.print(f"  指标 rates    {settings.origin}/rates")
        link = f"{settings.origin}/sign-in#{process.keyring.issue_sign_in_code(admin_identity('sign-in'))}"
        _console.print(f"  登录 sign in  {link}", soft_wrap=True)
    if process.secret.is_new:
        _, key = process.keyring.issue_key("admin", ["admin"], None, None)
        _console.print(f"  管理员密钥（仅显示一次） admin key, shown once:\n  {key}", soft_wrap=True)
    _console.print("  Ctrl-C 结束 ends it\n")
