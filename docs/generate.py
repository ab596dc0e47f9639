"""Write the generated parts of README.md and docs/models.md from the code; with --check, fail when they are stale.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from completions import scripts

from medvlm_tui.catalog.datasets import load_datasets
from medvlm_tui.catalog.models import load_models
from medvlm_tui.cli import batch_parser
from medvlm_tui.commands.completion import SHELLS, script
from medvlm_tui.engine.encoders.config_fields import Fields
from medvlm_tui.engine.encoders.resolve.image_processors import CLASSES, processing
from medvlm_tui.errors import MedvlmError
from medvlm_tui.tui.app import MedvlmApp
from medvlm_tui.tui.keys.actions import declared_actions
from medvlm_tui.tui.keys.help import merged
from medvlm_tui.tui.keys.palette import actions_of
from medvlm_tui.tui.places import PLACES

ROOT = Path(__file__).parents[1]
COMPLETIONS = ROOT / "medvlm_tui" / "commands" / "completions"
FILES = (ROOT / "README.md", ROOT / "docs" / "models.md")
PART = re.compile(r"(<!-- generated: ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    lines = [list(header), *(list(row) for row in rows)]
    text = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([text[0], "|" + "---|" * len(lines[0]), *text[1:]]) + "\n"


def batch_options() -> str:
    """Every option of --batch with its help."""
    rows = []
    for action in batch_parser()._actions:
        if not action.option_strings or action.dest in ("batch", "help"):
            continue
        name = action.option_strings[-1]
        value = action.metavar or ("|".join(action.choices) if action.choices else action.dest.upper())
        takes = "" if action.nargs == 0 else f" {value}"
        rows.append((f"`{name}{takes}`", action.help or ""))
    return table(("option", "meaning"), rows)


def models() -> str:
    """The catalog of encoders."""
    rows = (
        (
            f"`{spec.id}`",
            spec.name,
            spec.group.replace("_", "-"),
            spec.default_feature,
            str(spec.dim()),
            spec.input,
            spec.licence + (", gated" if spec.gated else ""),
        )
        for spec in load_models().values()
    )
    return table(("id", "model", "group", "feature", "dim", "input", "licence"), rows)


def encoders() -> str:
    """Every encoder: what it returns, under which terms, how it is proven, what is assumed."""
    rows = (
        (
            spec.name,
            f"`{spec.id}`",
            ", ".join(f"{name} {dim}" for name, dim in spec.features.items()),
            spec.input,
            spec.licence,
            "gated" if spec.gated else "",
            spec.proof,
            spec.assumption,
        )
        for spec in load_models().values()
    )
    return table(("model", "id", "features (default first)", "input", "licence", "gate", "proven by", "assumed"), rows)


def sources() -> str:
    """Where the weights of every encoder are found, and what is known of its training."""
    rows = (
        (
            f"`{spec.id}`",
            spec.homepage,
            spec.text_encoder,
            spec.pretraining_data,
            ", ".join(spec.modalities),
            ", ".join(spec.trained_on),
            f"`{spec.counterpart}`" if spec.counterpart else "",
        )
        for spec in load_models().values()
    )
    header = ("id", "weights", "text encoder", "pretraining data", "modalities seen", "data sets seen", "counterpart")
    return table(header, rows)


_TOKENIZERS = {
    "wordpiece": "WordPiece, lower case", "clip": "CLIP's, as open_clip applies it", "byte_level": "byte-level BPE",
    "clip_fast": "CLIP's, as transformers applies it", "json": "its own tokenizer.json", "siglip": "SentencePiece",
    "ranks": "none: learned prompts", "vectors": "none: a language model's vectors",
}  # fmt: skip


def texts() -> str:
    """Every text tower: its tokenizer and where that comes from, its context, the image features beside it."""
    rows = (
        (
            f"`{spec.id}`",
            _TOKENIZERS[spec.text.tokenizer.kind],
            spec.text.tokenizer.source.removeprefix("hub:"),
            str(spec.text.context),
            str(spec.text.dim),
            ", ".join(spec.text.joins),
            spec.text.probability,
        )
        for spec in load_models().values()
        if spec.text is not None
    )
    return table(("id", "tokenizer", "from", "context", "dim", "image features", "probability"), rows)


def datasets() -> str:
    """The catalog of datasets."""
    rows = (
        (
            f"`{s.id}`",
            s.name,
            s.modality,
            ", ".join(s.classes),
            f"{s.published_n:,}" if s.published_n else "",
            s.licence,
        )
        for s in load_datasets().values()
    )
    return table(("id", "dataset", "modality", "classes", "n in the study", "licence"), rows)


def screen_keys() -> str:
    """Every key of every screen."""
    rows = []
    for place in PLACES:
        for action in merged(one for one in actions_of(place) if not one.id.startswith("place.")):
            keys = " ".join(f"`{key}`" for key in action.keys)
            rows.append((place.name, keys, action.what, f"`{action.id}`"))
    for action in merged(declared_actions(MedvlmApp.__dict__["BINDINGS"])):
        rows.append(("everywhere", " ".join(f"`{key}`" for key in action.keys), action.what, f"`{action.id}`"))
    return table(("screen", "keys", "what they do", "name in `[keys]` of the settings"), rows)


# Every switch of transformers' image processors that changes pixels, at values that differ from the classes' own.
_SWITCHES: tuple[Mapping[str, Any], ...] = (
    {"do_resize": False},
    {"size": {"shortest_edge": 256}},
    {"size": {"height": 256, "width": 256}},
    {"size": 256},
    {"size": {"height": 256, "width": 192}},
    {"size": {"shortest_edge": 256, "longest_edge": 512}},
    {"size": {"max_height": 256, "max_width": 256}},
    *({"resample": number} for number in range(6)),
    {"do_center_crop": False},
    {"do_center_crop": True, "crop_size": 192},
    {"do_center_crop": True, "crop_size": {"height": 192, "width": 224}},
    {"do_rescale": False},
    {"rescale_factor": 0.0078125},
    {"do_normalize": False},
    {"image_mean": 0.5, "image_std": 0.25},
    {"do_convert_rgb": False},
    {"do_pad": True},
    {"do_flip_channel_order": True},
)


def switches() -> str:
    """What every switch of an image processor becomes, for each class: of all but the first row what it changes."""
    usual = {name: _served(name, {}) for name in CLASSES}
    rows = [("(the class's own)", *(", ".join(parts.values()) for parts in usual.values()))]
    for fields in _SWITCHES:
        switch = ", ".join(f"`{name}`: {json.dumps(value)}" for name, value in fields.items())
        rows.append((switch, *(_changed(_served(name, fields), usual[name]) for name in CLASSES)))
    return table(("switch", *(f"{name}ImageProcessor" for name in CLASSES)), rows)


def _changed(parts: Mapping[str, str], usual: Mapping[str, str]) -> str:
    if not parts:
        return "refused"
    return ", ".join(text for name, text in parts.items() if text != usual[name]) or "no change"


def _served(name: str, fields: Mapping[str, Any]) -> dict[str, str]:
    """Return what is done to an image, step by step; nothing for what is refused."""
    stored = Fields("", {**fields, "image_processor_type": f"{name}ImageProcessor"})
    try:
        found = processing("clip", stored, 224).preprocess
    except MedvlmError:
        return {}
    resize = {"none": "not resized", "squash": "square", "short_side": "short side"}[found.resize]
    return {
        "resize": resize if found.resize == "none" else f"{resize} {found.resize_px}",
        "filter": found.interpolation,
        "crop": f"crop {found.size_px}",
        "values": f"mean {found.mean[0]:.4g}, std {found.std[0]:.4g}",
    }


PARTS: dict[str, Callable[[], str]] = {
    "batch options": batch_options,
    "screen keys": screen_keys,
    "models": models,
    "datasets": datasets,
    "encoders": encoders,
    "sources": sources,
    "switches": switches,
    "texts": texts,
}


def generated(text: str) -> str:
    """Return `text` with every generated part made anew."""
    return PART.sub(lambda part: part[1] + "\n" + PARTS[part[2]]() + "\n" + part[3], text)


def main() -> int:
    """Write the files, or compare them."""
    stale = [path for path in FILES if generated(path.read_text()) != path.read_text()]
    for path in stale:
        if "--check" in sys.argv:
            print(f"{path.relative_to(ROOT)} is stale: run `.venv/bin/python docs/generate.py`", file=sys.stderr)
        else:
            path.write_text(generated(path.read_text()))
    return int((write_completions() or bool(stale)) and "--check" in sys.argv)


def write_completions() -> bool:
    """Write the shells' scripts, or compare them; returns whether one was stale."""
    stale = [shell for shell, text in scripts(SHELLS).items() if text != script(shell)]
    for shell in stale:
        if "--check" in sys.argv:
            print(f"the completion for {shell} is stale: run `.venv/bin/python docs/generate.py`", file=sys.stderr)
        else:
            (COMPLETIONS / f"medvlm-tui.{shell}").write_text(scripts(SHELLS)[shell])
    return bool(stale)


if __name__ == "__main__":
    sys.exit(main())
