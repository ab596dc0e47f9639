"""The request of a run: the options of the run as a whole, and the values of those that belong to an analysis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from medvlm_tui.core.intensity_windows import WINDOW_HELP, parse_window
from medvlm_tui.core.specs import Precision
from medvlm_tui.stages.option import Option, Record, at_least, filled, option, table_option, values_in
from medvlm_tui.stages.protocols import PROTOCOLS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DEFAULT_STAGES = ("extract", "probe", "project", "statistics", "verdict", "report")
STUDY, IMAGES, SPLIT, MACHINE, OUTPUT = "what is run", "images", "splits and probes", "encoder and machine", "output"
"""Sections of the help and of the settings screen; those of the analyses have the titles of their stages."""
_PROTOCOLS_HELP = (
    "classification protocol; can be given several times (paper). Linear SVM of the paper (paper), of the poster "
    "(poster), with a wider grid of t (tuned), with every group on one side of the split (grouped); "
    "k nearest neighbours (knn); few training images per class (few_shot)"
)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """Everything that one `--batch` line, RUN.toml or marked screen asks for."""

    models: tuple[str, ...] = option(
        (),
        Option("models", "model ids, `all`, or a group such as `group:medical`", "A,B", section=STUDY),
    )
    datasets: tuple[str, ...] = option((), Option("datasets", "dataset ids, or `all`", "X,Y", section=STUDY))
    data: dict[str, str] = table_option(
        Option("data", "folder or file of a dataset; can be given several times", "NAME=PATH", section=STUDY)
    )
    """Dataset id (or a new name) -> folder or CSV."""
    weights: dict[str, str] = table_option(
        Option("weights", "local checkpoint of a model; can be given several times", "MODEL=PATH", section=STUDY)
    )
    """Model id -> local checkpoint file or folder."""
    tokenizers: dict[str, str] = table_option(
        Option(
            "tokenizers",
            "folder of a model's tokenizer files, where neither its weights nor the hub's cache have them; can "
            "be given several times",
            "MODEL=FOLDER",
            flag="tokenizer",
            section=STUDY,
        )
    )
    """Model id -> folder."""
    prompts: str = option(
        "",
        Option(
            "prompts",
            "TOML file with class prompts and templates of your own (docs/language.md)",
            "FILE.toml",
            default_words="the packaged ones",
            section=STUDY,
            other_results=True,
        ),
    )
    stages: tuple[str, ...] = option(DEFAULT_STAGES, Option("stages", "stages to run", "LIST", section=STUDY))
    demo: bool = option(False, Option("demo", "run every stage on the built-in phantom", section=STUDY))
    protocols: tuple[str, ...] = option(
        ("paper",),
        Option(
            "protocols",
            _PROTOCOLS_HELP,
            choices=PROTOCOLS,
            flag="protocol",
            repeated=True,
            default_words="",
            section=SPLIT,
        ),
    )
    seed: int = option(
        0,
        Option(
            "seed",
            "random seed of splits, UMAP, masks and exchange tests",
            "N",
            check=at_least(0),
            section=SPLIT,
            other_results=True,
        ),
    )
    seeds: int = option(
        1,
        Option(
            "seeds",
            "number of hold-outs per probe, with the seeds SEED, SEED + 1, ...",
            "N",
            check=at_least(1),
            section=SPLIT,
        ),
    )
    label: str = option(
        "",
        Option(
            "label",
            "label view of the dataset",
            "VIEW",
            default_words="the study's labels",
            section=IMAGES,
            other_results=True,
        ),
    )
    part: str = option(
        "",
        Option(
            "part",
            "published part of the dataset",
            "PART",
            default_words="the part of the study",
            section=IMAGES,
            other_results=True,
        ),
    )
    limit: int = option(
        0,
        Option(
            "limit",
            "use at most N images per class, for a quick look",
            "N",
            check=at_least(0),
            default_words="0: all",
            section=IMAGES,
            other_results=True,
        ),
    )
    window: str = option(
        "file",
        Option(
            "window",
            f"intensity window for images of more than 8 bits: {WINDOW_HELP}",
            "WINDOW",
            normal=lambda text: str(parse_window(text)),  # 40/400 and 40.0/400 are one window and one key
            section=IMAGES,
            other_results=True,
        ),
    )
    tags: str = option(
        "",
        Option(
            "tags",
            "CSV with the columns path,tag,value: further groups of images, for figures and separability",
            "CSV",
            section=IMAGES,
        ),
    )
    phantom_per_class: int = option(
        120,
        Option("phantom_per_class", "images per class of the phantom", "N", section=IMAGES, other_results=True),
    )
    feature: str = option(
        "",
        Option(
            "feature",
            "which feature of the model, see `medvlm-tui models ID`",
            "NAME",
            default_words="the model's default",
            section=MACHINE,
            other_results=True,
        ),
    )
    precision: Literal["auto"] | Precision = option(
        "auto",
        Option(
            "precision",
            "number format of the encoder",
            choices=("auto", "fp32", "bf16", "fp16"),
            default_words="auto: by model and device",
            section=MACHINE,
            other_results=True,
        ),
    )
    device: str = option(
        "auto",
        Option(
            "device", "auto (GPUs that nobody else uses), cpu, cuda, or GPUs by number: cuda:0,cuda:2", section=MACHINE
        ),
    )
    batch_size: int = option(
        0,
        Option(
            "batch_size",
            "images per forward pass",
            "auto|N",
            check=at_least(0),
            words={"auto": 0},
            default_words="auto",
            section=MACHINE,
        ),
    )
    """0 lets the program choose."""
    workers: int = option(
        0,
        Option(
            "workers",
            "number of image decoding processes",
            "N",
            check=at_least(0),
            default_words="0: as many as fit this machine",
            section=MACHINE,
        ),
    )
    offline: bool = option(False, Option("offline", "do not use the network", section=MACHINE))
    out: str = option(
        "",
        Option("out", "folder for tables and figures", "DIR", default_words="WORKSPACE/exports/RUN_ID", section=OUTPUT),
    )
    strict: bool = option(
        False, Option("strict", "treat a dataset that differs from the catalog as an error", section=OUTPUT)
    )
    options: Mapping[str, Any] = field(default_factory=dict)
    """Values of the options of single analyses that somebody named; those that are absent have their default (`of`)."""

    def to_record(self) -> dict[str, Any]:
        """Return a JSON-able dict: options of analyses stand beside those of the run."""
        record = asdict(self)
        of_analyses: dict[str, Any] = record.pop("options")
        return {**record, **of_analyses}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> RunRequest:
        """Rebuild from `to_record()`'s dict after a trip through JSON."""
        return cls().changed({key: tuple(value) if isinstance(value, list) else value for key, value in record.items()})

    def of(self, record: type[Record]) -> Record:
        """Return the parameters of an analysis, such as `SaliencyParams`, with what the run asks for."""
        return filled(record, self._value)

    def _value(self, name: str) -> Any:
        return getattr(self, name) if name in OWN else self.options.get(name, MISSING)

    def changed(self, values: Mapping[str, Any]) -> RunRequest:
        """Return the request with other values of options of any kind, by name."""
        own = {name: value for name, value in values.items() if name in OWN}
        rest = {name: value for name, value in values.items() if name not in OWN}
        return replace(self, **own, options={**self.options, **rest})

    def without(self, name: str) -> RunRequest:
        """Return the request that does not name an option of an analysis."""
        return replace(self, options={key: value for key, value in self.options.items() if key != name})

    def having(self, params: DataclassInstance) -> RunRequest:
        """Return the request whose `of(type(params))` is `params`, as far as options set its fields."""
        now = values_in(self.of(type(params)))
        return self.changed({name: value for name, value in values_in(params).items() if value != now[name]})

    def with_absolute_paths(self) -> RunRequest:
        """Return the request for another process, which may stand in another directory."""
        models = tuple(
            f"local:{_absolute(name.removeprefix('local:'))}" if name.startswith("local:") else name
            for name in self.models
        )
        data = {name: _absolute(path) for name, path in self.data.items()}
        weights = {name: _absolute(path) for name, path in self.weights.items()}
        tokenizers = {name: _absolute(path) for name, path in self.tokenizers.items()}
        prompts, out = (_absolute(path) if path else "" for path in (self.prompts, self.out))
        return replace(self, models=models, data=data, weights=weights, tokenizers=tokenizers, prompts=prompts, out=out)

    def further_seeds(self) -> tuple[int, ...]:
        """Return the seeds of the hold-outs after the first."""
        return tuple(range(self.seed + 1, self.seed + self.seeds))


OWN = frozenset(each.name for each in fields(RunRequest)) - {"options"}
"""Options of the run as a whole."""


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
