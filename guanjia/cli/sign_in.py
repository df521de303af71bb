"""The command `guanjia sign-in`."""

from guanjia.cli.terminal import console
from guanjia.cli.welcome import build_sign_in_link
from shared.service import make_secret_and_keyring
from shared.settings import Settings


def print_sign_in_link() -> None:
    """Print a link that signs an administrator in, good for 15 minutes. | 打印管理员登录链接。"""
    settings = Settings()
    _, keyring = make_secret_and_keyring(settings)
    console.print(build_sign_in_link(settings, keyring), soft_wrap=True)
