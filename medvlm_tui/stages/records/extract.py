"""Stored results of extraction beside the features: the manifest of a sealed table, without the names of its rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from medvlm_tui.core.specs import EncoderKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """Conditions under which the features were computed; a table that came from elsewhere may lack any of it."""

    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = ""
    device_name: str = ""
    devices: int | None = None
    precision: str = ""
    precision_asked: str = ""
    batch_size: int | None = None
    workers: int | None = None
    threads: int | None = None
    parameters: int | None = None
    weights_digest: str = ""
    tensors: Mapping[str, int] | None = None
    """Of the checkpoint: used, skipped, absent."""
    source: str = ""
    revision: str = ""
    computed: int | None = None
    """Images that went through the network; the others were known from other runs."""
    peak_memory_bytes: int | None = None
    seconds: float | None = None
    images_per_second: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractRecord:
    """A sealed feature table: whose features, how many, and how they were computed."""

    encoder: EncoderKey
    shape: tuple[int, int]
    """(rows, dimension)"""
    classes: tuple[str, ...]
    failed: Mapping[str, str]
    """Sample id -> why it has no row."""
    provenance: Provenance

    @classmethod
    def example(cls) -> ExtractRecord:
        """Return a small, complete record: 60 rows of 8 dimensions."""
        return cls(
            encoder=EncoderKey("one", "w", "p", "pooled", "fp32", "1"),
            shape=(60, 8),
            classes=("none", "smooth", "spiculated"),
            failed={"bad.png": "truncated"},
            provenance=Provenance(
                device="cpu",
                device_name="CPU",
                devices=1,
                precision="fp32",
                batch_size=32,
                parameters=86_000_000,
                computed=60,
                seconds=0.192,
                images_per_second=312.5,
            ),
        )
