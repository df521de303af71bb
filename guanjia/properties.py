"""The properties that a process serves: those that are configured, and those that commands made in the data
folder."""

from collections.abc import Mapping
from pathlib import Path

from shared.properties.loader import load_properties
from shared.properties.property import Property
from shared.settings import Settings


def generated_properties_dir(settings: Settings) -> Path:
    """The folder of the properties that commands made, beside those that are configured."""
    return settings.data_dir / "properties"


def load_all_properties(settings: Settings) -> Mapping[str, Property]:
    """Every property by id; of two with the same id the configured one. Raises PropertyInvalid."""
    return load_properties(generated_properties_dir(settings)) | load_properties(settings.properties_dir)
