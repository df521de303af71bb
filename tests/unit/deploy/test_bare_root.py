"""Which of a machine's settings lead to packages that a bare root needs as well."""

from pathlib import Path

from tests.deploy.bare_root import named_paths


def test_folders_of_packages_are_named_by_settings_as_paths_and_as_addresses(tmp_path: Path) -> None:
    for folder in ("wheels", "index/simple"):
        (tmp_path / folder).mkdir(parents=True)
    values = [
        f"{tmp_path}/wheels",
        f"file://{tmp_path}/index/simple\nhttps://packages.example/simple",
        "180",
        "/no/where",
    ]
    assert sorted(named_paths(values)) == [tmp_path / "index", tmp_path / "wheels"]
