"""constraints.txt pins what pyproject.toml requires, within its bounds."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().split() if "==" in line)


@pytest.mark.parametrize("text", PROJECT["dependencies"], ids=lambda text: Requirement(text).name)
def test_the_lock_holds_a_version_of_each_requirement_that_it_allows(text: str) -> None:
    requirement = Requirement(text)
    version = PINNED.get(canonicalize_name(requirement.name))
    assert version is not None, f"{requirement.name} is not in constraints.txt: run docs/lock.py"
    assert requirement.specifier.contains(version), f"{requirement} does not allow the pinned {version}"
