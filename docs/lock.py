"""Write constraints.txt: the installed versions of everything that the program and its extras require.

    .venv/bin/python docs/lock.py

The default tests pass with these versions. `pip install --constraint constraints.txt .` installs them and no others.
"""

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILE = Path(__file__).parent.parent / "constraints.txt"
HEAD = """\
# Versions with which the tests passed on Python {python}. Made by docs/lock.py.
# pip install --constraint constraints.txt '.[demo]'
"""


def versions(name: str, extras: tuple[str, ...]) -> dict[str, str]:
    """Return the version of each installed distribution that this one requires, by its normalised name."""
    found: dict[str, str] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    queue = [(name, extras)]
    while queue:
        distribution = queue.pop()
        if distribution in seen:
            continue
        seen.add(distribution)
        for requirement in required(*distribution):
            try:
                version = metadata.version(requirement.name).partition("+")[0]
            except metadata.PackageNotFoundError:
                continue  # a requirement of another platform, or an extra that is not installed here
            found[canonicalize_name(requirement.name)] = version
            queue.append((requirement.name, tuple(sorted(requirement.extras))))
    return found


def required(name: str, extras: tuple[str, ...]) -> Iterator[Requirement]:
    """Yield what an installed distribution requires on this machine with these extras."""
    for text in metadata.requires(name) or []:
        requirement = Requirement(text)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield requirement


def main() -> None:
    extras = tuple(metadata.metadata("medvlm-tui").get_all("Provides-Extra") or ())
    pinned = versions("medvlm-tui", extras)
    pinned.pop("medvlm-tui", None)
    lines = [f"{name}=={version}" for name, version in sorted(pinned.items())]
    head = HEAD.format(python=".".join(map(str, sys.version_info[:2])))
    FILE.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{FILE.name}: {len(lines)} versions")


if __name__ == "__main__":
    main()
