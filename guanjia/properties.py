"""The properties that a process serves: those that are configured, and those that commands made in the data
folder; each file is checked against what the services know, beyond what the file says by itself."""

from collections.abc import Mapping
from pathlib import Path

from services.kpi.domain.targets import find_unknown_targets
from shared.properties.loader import PropertyInvalid, load_properties
from shared.properties.property import Property
from shared.settings import Settings


def generated_properties_dir(settings: Settings) -> Path:
    """The folder of the properties that commands made, beside those that are configured."""
    return settings.data_dir / "properties"


def load_all_properties(settings: Settings) -> Mapping[str, Property]:
    """Every property by id; of two with the same id the configured one. Raises PropertyInvalid."""
    return load_checked(generated_properties_dir(settings)) | load_checked(settings.properties_dir)


def load_checked(folder: Path) -> dict[str, Property]:
    """Every property under `folder`, by id. Raises PropertyInvalid, also for a target that is no rate's."""
    properties = load_properties(folder)
    for prop in properties.values():
        for path, message in find_unknown_targets(prop):
            raise PropertyInvalid(folder / prop.id / "property.toml", path, message)
    return properties
