"""One process of the fuzzer: makes damaged files by their seeds, has the program read them, and says what came of it.

    python -m tests.fuzz.child TARGET ORIGINALS WORK

Seeds come as lines; answers are JSON lines: the seed, `read`, `refused` or `bug`, a detail, the most memory so far.
Only MedvlmError is a refusal. Runs under a limit of memory.
"""

from __future__ import annotations

import json
import resource
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from medvlm_tui.errors import MedvlmError
from tests.fuzz.mutations import mutated

MEMORY_BYTES = 4 << 30
_WINDOWS = ("file", "percentiles", "40/400", "soft_tissue")


def _peak_mb() -> int:
    """Return the most memory that this program took; `ru_maxrss` begins with that of the process that started it."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def read_image(path: Path, number: int) -> None:
    """Read pixels, in a decoding process as the program does."""
    from medvlm_tui.core.specs import Sample
    from medvlm_tui.engine.images.decoders import whole_image
    from medvlm_tui.engine.images.reading_version import reading_version
    from tests.fuzz.readers import READERS

    reading_version(path)
    image = whole_image(Sample(path.name, path, ""), READERS[_WINDOWS[number % len(_WINDOWS)]])
    assert image.mode == "RGB"


def read_dicom(path: Path, number: int) -> None:
    """Read pixels and tags of a DICOM file."""
    from medvlm_tui.core.specs import DatasetSpec
    from medvlm_tui.engine.datasets.opening import open_dataset

    spec = DatasetSpec(id="own", name="own", modality="unknown", reader="class_folders", root=path.parent)
    if number % 4 == 0:
        open_dataset(spec, view="tag:Modality")
    read_image(path, number)


def read_list(path: Path, number: int) -> None:
    """Open a list whose images are there, and read the last of them in a decoding process."""
    from medvlm_tui.core.specs import DatasetSpec
    from medvlm_tui.engine.datasets.opening import open_dataset
    from medvlm_tui.engine.images.decoders import whole_image
    from tests.fuzz.originals import LISTED, listed_image
    from tests.fuzz.readers import READERS

    for name in LISTED:
        if not (path.parent / name).exists():
            (path.parent / name).write_bytes(listed_image())
    dataset = open_dataset(DatasetSpec(id="own", name="own", modality="unknown", reader="csv_list"), path)
    assert dataset.samples
    assert whole_image(dataset.samples[-1], READERS["percentiles"]).mode == "RGB"


def read_toml(path: Path, number: int) -> None:
    """Read a run file, or a user's catalog of models."""
    from medvlm_tui.catalog.models import load_catalog
    from medvlm_tui.settings import sources

    if number % 2:
        load_catalog(path)
    else:
        sources.read_run_file(path)


def read_checkpoint(path: Path, number: int) -> None:
    """Digest the tensors of a checkpoint, as planning does."""
    from medvlm_tui.core.digests import FileDigests
    from medvlm_tui.engine.encoders.checkpoints.tensor_digests import digest_of

    digest_of(path, "layer", FileDigests())


def read_model(path: Path, number: int) -> None:
    """Describe a folder of a model by its config.json."""
    from medvlm_tui.engine.encoders.resolve.names import resolve_model

    path.rename(path.parent / "config.json")
    resolve_model(f"local:{path.parent}", {})


TARGETS: dict[str, Callable[[Path, int], None]] = {
    "image": read_image,
    "dicom": read_dicom,
    "list": read_list,
    "toml": read_toml,
    "checkpoint": read_checkpoint,
    "model": read_model,
}


def main() -> None:
    """Serve until stdin ends."""
    target, originals, work = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    files = sorted(path for path in originals.iterdir() if path.is_file())
    contents = [path.read_bytes() for path in files]
    suffixes = sorted({path.suffix for path in files})
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for line in sys.stdin:
        seed = line.strip()
        number = int(seed.rpartition(":")[2])
        path = work / f"x{suffixes[number % len(suffixes)]}"
        path.write_bytes(mutated(contents, seed))
        said = {"seed": seed, **_outcome(TARGETS[target], path, number)}
        said["peak_mb"] = _peak_mb()
        print(json.dumps(said), flush=True)


def _outcome(read: Callable[[Path, int], None], path: Path, number: int) -> dict[str, str]:
    try:
        read(path, number)
    except MedvlmError as error:
        return {"outcome": "refused", "detail": f"{error.message} {error.hint}"}
    except Exception:
        return {"outcome": "bug", "detail": traceback.format_exc()}
    return {"outcome": "read", "detail": ""}


if __name__ == "__main__":
    main()
