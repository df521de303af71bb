"""What a person sees when the services are up: where to look and how to sign in."""

from typing import TYPE_CHECKING

from guanjia.cli.terminal import console
from shared.auth import Keyring, admin_identity
from shared.settings import Settings

if TYPE_CHECKING:
    from guanjia.process import Process


def build_sign_in_link(settings: Settings, keyring: Keyring) -> str:
    """A link for the administrator; the code is behind `#`, so that no server sees it in a URL."""
    return f"{settings.origin}/sign-in#{keyring.issue_sign_in_code(admin_identity('sign-in'))}"


async def greet(process: "Process") -> None:
    """Say where to look; at the very first start also the administrator's key, once."""
    origin = process.settings.origin
    names = ", ".join(service.name for service in process.services)
    console.print(f"\n[bold]管家 Guanjia[/] {origin}  ({names})")
    if len(process.services) > 1:
        console.print(f"  看板 board    {origin}/")
        console.print(f"  指标 rates    {origin}/rates")
        link = build_sign_in_link(process.settings, process.keyring)
        console.print(f"  登录 sign in  {link}", soft_wrap=True)
    if process.secret.is_new:
        _, key = process.keyring.issue_key("admin", ["admin"], None, None)
        console.print(f"  管理员密钥（仅显示一次） admin key, shown once:\n  {key}", soft_wrap=True)
    console.print("  Ctrl-C 结束 ends it\n")
