"""Place of a model's tokenizer files on this machine, or advice on getting them. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medvlm_tui.core.digests import FileDigests, of_record
from medvlm_tui.core.specs import ModelSpec
from medvlm_tui.core.text_specs import TextSpec, TokenizerKind
from medvlm_tui.engine.encoders.checkpoints.tensor_digests import digest_of
from medvlm_tui.engine.encoders.weights import hub

KIND_FILES: Mapping[TokenizerKind, tuple[str, ...]] = {
    "wordpiece": ("vocab.txt",),
    "byte_level": ("vocab.json", "merges.txt"),
    "json": ("tokenizer.json",),
    "siglip": ("tokenizer.json",),
    "clip": (),
    "clip_fast": (),
    "vectors": (),
    "ranks": ("open_clip_model.safetensors",),
}
_BESIDE = ("tokenizer_config.json",)
_HUB = "hub:"
WORDS_OF_RANKS = r"(^|\.)token_embedding\.weight$"


@dataclass(frozen=True, slots=True)
class TokenizerFiles:
    """The result of looking for a model's tokenizer."""

    files: Mapping[str, Path] = field(default_factory=dict)
    """Name -> path; none for a tokenizer that a library brings."""
    digest: str = ""
    """Of the files and of how they are applied; empty without digests."""
    hint: str = ""
    """Advice on getting them where they are not here; empty where they are."""

    @property
    def present(self) -> bool:
        """Return whether all files are here."""
        return not self.hint


def wanted(text: TextSpec) -> tuple[str, ...]:
    """Return the names of the files that a tokenizer is read from."""
    return text.tokenizer.files or KIND_FILES[text.tokenizer.kind]


def repository(text: TextSpec) -> str:
    """Return the hub repository that holds a tokenizer's files, empty where none does."""
    source = text.tokenizer.source
    return source.removeprefix(_HUB) if source.startswith(_HUB) else ""


def locate_tokenizer(
    spec: ModelSpec, text: TextSpec, folder: str, weights: Path | None, digests: FileDigests | None
) -> TokenizerFiles:
    """Return the files of a model's tokenizer: in the folder that the user named, else beside the weights, else in the
    hub's cache."""
    names = wanted(text)
    for place in _places(text, folder, weights):
        if all((place / name).is_file() for name in names):
            found = {name: place / name for name in (*names, *_BESIDE) if (place / name).is_file()}
            used = found if names else {}
            return TokenizerFiles(used, "" if digests is None else _digest(text, used, digests))
    return TokenizerFiles(hint=_hint(spec, text, folder, names))


def _places(text: TextSpec, folder: str, weights: Path | None) -> Iterator[Path]:
    """Yield the folders to look in; a repository may have been copied as a folder of its own name."""
    own = [Path(folder).expanduser()] if folder else []
    tops = own or ([weights.parent] if weights is not None else [])
    for top in tops:
        top = top.parent if top.is_file() else top
        yield top
        yield top / "tokenizer"
        if name := repository(text).rpartition("/")[2]:
            yield top / name
    if (name := repository(text)) and not folder and (cached := hub.snapshot(name)) is not None:
        yield cached
    if not wanted(text) and not tops:
        yield Path()


def _digest(text: TextSpec, files: Mapping[str, Path], digests: FileDigests) -> str:
    parts = []
    for name, path in sorted(files.items()):
        words = text.tokenizer.kind == "ranks"
        parts.append([name, digest_of(path, WORDS_OF_RANKS, digests) if words else digests.of(path)])
    return of_record([text.tokenizer.kind, text.tokenizer.cleaning, text.context, parts])


def _hint(spec: ModelSpec, text: TextSpec, folder: str, names: tuple[str, ...]) -> str:
    listed = " and ".join(names)
    if folder:
        return f"{folder} holds no {listed}, which are the tokenizer of {spec.id}"
    put = f"put {listed} beside the weights, or name their folder: --tokenizer {spec.id}=FOLDER"
    if name := repository(text):
        return f"its tokenizer is not here: `hf download {name} {' '.join(names)}`, or {put}"
    if text.tokenizer.source:
        return f"its tokenizer is not here: get {listed} from {text.tokenizer.source}; {put}"
    return f"its tokenizer is not here: {put}"
