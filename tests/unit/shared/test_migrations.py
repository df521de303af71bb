"""What is taken for the newest revision without asking Alembic is what Alembic takes for it."""

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import MetaData, create_engine

from guanjia.process import SERVICES
from shared.database.migrations import find_newest, make_config


@pytest.mark.parametrize("service", SERVICES)
def test_the_newest_revisions_are_the_heads(service: str) -> None:
    with create_engine("sqlite://").connect() as connection:
        scripts = ScriptDirectory.from_config(make_config(service, MetaData(), connection))
        assert find_newest(service) == set(scripts.get_heads())
        for script in scripts.walk_revisions():
            assert Path(script.path).stem == script.revision
