"""The settings of a process: environment variables `GUANJIA_…`, `.env`, or files in GUANJIA_SECRETS_DIR."""

import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT = Path(__file__).resolve().parent.parent
PACKAGED_WORKFLOWS = PROJECT / "services" / "dispatch" / "workflows"
"""The workflow files that come with the software."""


class Settings(BaseSettings):
    """Where things are and how to reach them. Empty URLs mean the embedded defaults."""

    model_config = SettingsConfigDict(
        env_prefix="GUANJIA_",
        env_file=".env",
        secrets_dir=os.environ.get("GUANJIA_SECRETS_DIR"),
        extra="ignore",
    )

    database_url: str = Field(
        default="", description="PostgreSQL URL; empty: SQLite files in the data folder"
    )
    amqp_url: str = Field(default="", description="RabbitMQ URL; empty: the in-process bus")
    data_dir: Path = Field(
        default=PROJECT / "data", description="folder for SQLite files and the generated secret"
    )
    properties_dir: Path = Field(default=PROJECT / "properties", description="a folder per property")
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, description="port to listen on")
    bootstrap_key: str = Field(
        default="", description="an API key with the role admin, taken at start", repr=False
    )
    log_level: str = Field(default="INFO", description="DEBUG, INFO, WARNING or ERROR")
    rate_limit: str = Field(default="6000/second", description="events a source may post, as in `100/second`")
    public_url: str = Field(default="", description="the one origin as residents and staff reach it")

    @property
    def origin(self) -> str:
        """The origin that links are made with."""
        return self.public_url.rstrip("/") or f"http://{self.host}:{self.port}"

    @property
    def workflow_folders(self) -> tuple[Path, Path]:
        """Where workflow files lie: those that come with the software, and the installation's own.

        It stands here because every service reads the kinds in them, and services do not know each other.
        """
        return PACKAGED_WORKFLOWS, self.properties_dir / "workflows"
