"""What loading a tower out of a sharded language model costs: bytes asked of the disk, and memory.

A checkpoint in LLaVA-Med's layout is made: the vision tower and the projector in one shard of two, bfloat16, between
tensors of a language model. A fresh process loads `llava_med` with the projector from it. Bytes are what it asks of the
checkpoint's files, heads and index included, over the tower's and projector's bytes in the file. Memory is the peak
resident size while loading less that after the imports, over the tower's and projector's bytes in fp32, in which they
are loaded. A run also digests these tensors once, before it loads them; the digest is remembered while the file stays.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from safetensors.torch import save_file

TOWER = "model.vision_tower.vision_tower.vision_model."
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
CHILD = "--load"


def checkpoint(folder: Path, depth: int) -> int:
    """Write the folder; returns the bytes of tower and projector in it."""
    shapes = {
        "embeddings.class_embedding": (1024,),
        "embeddings.patch_embedding.weight": (1024, 3, 14, 14),
        "embeddings.position_embedding.weight": (577, 1024),
        **{f"{norm}.{part}": (1024,) for norm in ("pre_layrnorm", "post_layernorm") for part in ("weight", "bias")},
    }
    for layer in range(depth):
        place = f"encoder.layers.{layer}."
        for norm in ("layer_norm1", "layer_norm2"):
            shapes |= {f"{place}{norm}.{part}": (1024,) for part in ("weight", "bias")}
        for projection in ("q_proj", "k_proj", "v_proj", "out_proj"):
            shapes |= {
                f"{place}self_attn.{projection}.weight": (1024, 1024),
                f"{place}self_attn.{projection}.bias": (1024,),
            }
        shapes |= {f"{place}mlp.fc1.weight": (4096, 1024), f"{place}mlp.fc1.bias": (4096,)}
        shapes |= {f"{place}mlp.fc2.weight": (1024, 4096), f"{place}mlp.fc2.bias": (1024,)}
    tensors = {TOWER + name: torch.zeros(shape, dtype=torch.bfloat16) for name, shape in shapes.items()}
    for name, shape in {
        "0.weight": (4096, 1024),
        "0.bias": (4096,),
        "2.weight": (4096, 4096),
        "2.bias": (4096,),
    }.items():
        tensors[f"model.mm_projector.{name}"] = torch.zeros(shape, dtype=torch.bfloat16)
    # Neither the last block nor the norm after it is part of the features; they lie in the file all the same.
    unused = (f"{TOWER}encoder.layers.{depth - 1}.", f"{TOWER}post_layernorm.")
    wanted = sum(t.numel() * t.element_size() for name, t in tensors.items() if not name.startswith(unused))
    language = {f"model.layers.{n}.mlp.up_proj.weight": torch.zeros(4096, 4096, dtype=torch.bfloat16) for n in range(6)}
    save_file(tensors | dict(list(language.items())[:3]), folder / SHARDS[1], metadata={"format": "pt"})
    save_file(dict(list(language.items())[3:]), folder / SHARDS[0], metadata={"format": "pt"})
    index = dict.fromkeys(list(language)[3:], SHARDS[0]) | dict.fromkeys([*tensors, *list(language)[:3]], SHARDS[1])
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (folder / "config.json").write_text(json.dumps({"model_type": "llava_mistral", "mm_vision_select_layer": -2}))
    (folder / SHARDS[0]).unlink()
    return wanted


def resident(field: str) -> int:
    """Return a field of /proc/self/status in bytes."""
    text = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in text.splitlines() if line.startswith(field))) * 1024


def load(folder: Path, depth: int) -> None:
    """In the fresh process: load once and print what it took."""
    from medvlm_tui.catalog.models import load_models
    from medvlm_tui.core.digests import FileDigests
    from medvlm_tui.engine.encoders.checkpoints import safetensors_files, tensor_files
    from medvlm_tui.engine.encoders.models import llava
    from medvlm_tui.engine.encoders.registry import load_encoder
    from medvlm_tui.engine.encoders.weights.location import locate

    assert llava is not None
    from dataclasses import replace

    import transformers

    transformers.CLIPVisionModel  # noqa: B018  its module is imported when the name is first used
    spec = load_models()["llava_med"]
    config = {**spec.options["config"], "num_hidden_layers": depth}
    spec = replace(spec, options={**spec.options, "config": config})
    weights = locate(spec, str(folder), FileDigests())
    asked = [0]
    read_exactly, read_header = tensor_files._read_exactly, safetensors_files.read_header

    def counting(descriptor: int, view: memoryview, offset: int, path: Path) -> None:
        asked[0] += len(view)
        read_exactly(descriptor, view, offset, path)

    def counting_header(path: Path) -> object:
        asked[0] += 8 + int.from_bytes(path.open("rb").read(8), "little")
        return read_header(path)

    tensor_files._read_exactly = counting
    tensor_files.read_header = counting_header
    asked[0] += sum(file.stat().st_size for file in weights.files if file.suffix == ".json")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    encoder = load_encoder(spec, weights, "projected", "cpu", "fp32")
    peak = resident("VmHWM") - before
    print(json.dumps({"asked": asked[0], "peak": peak, "parameters": encoder.parameters}))


def main() -> None:
    """Measure and print."""
    if CHILD in sys.argv:
        load(Path(sys.argv[2]), int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tower of 6 blocks instead of 24, one round")
    options = parser.parse_args()
    depth, rounds = (6, 1) if options.quick else (24, 3)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        wanted = checkpoint(Path(folder), depth)
        print(f"tower and projector: {wanted / 1e6:.1f} MB in the file, the other shard is not there")
        for number in range(rounds):
            line = [sys.executable, __file__, CHILD, folder, str(depth)]
            done = subprocess.run(line, capture_output=True, text=True, check=True)
            found.append(json.loads(done.stdout.splitlines()[-1]))
            last = found[-1]
            print(f"round {number + 1}: {last['asked'] / 1e6:.1f} MB asked for, peak {last['peak'] / 1e6:.0f} MB more")
    bytes_ratio = statistics.median(one["asked"] for one in found) / wanted
    memory_ratio = statistics.median(one["peak"] / (one["parameters"] * 4) for one in found)
    machine = {"cores": os.cpu_count(), "platform": platform.platform(), "torch": torch.__version__}
    figures = {
        "bytes_over_tower": {"value": round(bytes_ratio, 4), "target": 1.05, "better": "lower"},
        "memory_over_tower": {"value": round(memory_ratio, 3), "target": 1.6, "better": "lower"},
    }
    print(json.dumps({"benchmark": "encoders", "machine": machine, "figures": figures}))


if __name__ == "__main__":
    main()
