"""The version stands in one place of the package, and the files of a release agree with it."""

import re
import tomllib
from pathlib import Path

from medvlm_tui import __version__
from medvlm_tui.version import VERSION

ROOT = Path(__file__).parents[2]


def test_the_package_takes_its_version_from_one_module() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "medvlm_tui.version.VERSION"}
    assert __version__ == VERSION
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    named = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "medvlm_tui").rglob("*.py"))
        if f'"{VERSION}"' in path.read_text()
    ]
    assert named == ["medvlm_tui/version.py"]


def test_changelog_and_citation_are_of_this_version_and_day() -> None:
    releases = re.findall(r"^## (\S+)(?: - (\d{4}-\d{2}-\d{2}))?$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    (version, day) = next(release for release in releases if release[0] != "Unreleased")
    citation = (ROOT / "CITATION.cff").read_text()
    assert version == VERSION
    assert f"\nversion: {VERSION}\n" in citation
    assert f"\ndate-released: {day}\n" in citation
