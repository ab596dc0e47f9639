"""The first half minute of a GPU's test: whether this card, its driver and this torch serve the program rightly.

`medvlm-tui doctor --gpu` runs it for users, and `benchmarks/gpu.py` begins with it. It works on the CPU too, where it
compares the CPU with itself.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import torch

from medvlm_tui.core.specs import Precision
from medvlm_tui.engine.encoders.network import NetworkEncoder
from medvlm_tui.engine.gpu_check.networks import noise_images, random_encoder
from medvlm_tui.engine.images.preprocess import Preprocess
from medvlm_tui.engine.saliency.masks import MaskStream
from medvlm_tui.engine.step.device_memory import memory_of, release_memory, with_back_off
from medvlm_tui.engine.step.device_session import open_device

# TF32 keeps 11 bits of each factor: errors of 1e-3 of the result's spread, against 1e-6 in IEEE fp32.
_IEEE_ERROR = 5e-5
_LEAST_COSINE = 0.9995
_FP32_ERROR = 1e-4
_MASK_ERROR = 1e-6
_LEFT_BYTES = 400 << 20
_FIRST_TOUCH_S = 120.0
_FIRST_TOUCH = """
import sys
from medvlm_tui.engine.extract import peak_memory
from medvlm_tui.engine.step import device_session
device_session.prepare_environment()
peak_memory.start_counting(sys.argv[1])
device_session.open_device(sys.argv[1])
peak_memory.start_counting(sys.argv[1])
print(peak_memory.peak_bytes(sys.argv[1]))
"""

Outcome = Literal["ok", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one test of the card."""

    name: str
    outcome: Outcome
    detail: str
    figures: Mapping[str, float] = field(default_factory=dict)


def quick_checks(device: str, precision: Precision) -> Iterator[Check]:
    """Yield each test's finding; one that raises has failed with what it said, and the others still run."""
    tests: dict[str, Callable[[], Check]] = {
        "first touch": lambda: first_touch(device),
        "fp32 products": lambda: ieee_products(device),
        "scaled bytes": lambda: scaled_bytes(device),
        "masks": lambda: same_masks(device),
        "features": lambda: same_features(device, precision),
        "full memory": lambda: full_memory(device),
    }
    for name, test in tests.items():
        try:
            yield test()
        except Exception as error:
            yield Check(name, "failed", f"{type(error).__name__}: {str(error).splitlines()[0][:200]}")
        finally:
            release_memory()


def first_touch(device: str) -> Check:
    """Open the device in a fresh process, as a worker does."""
    command = [sys.executable, "-c", _FIRST_TOUCH, device]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_FIRST_TOUCH_S, check=False)
    said = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()[-1:]
    detail = "a fresh process opens it" if done.returncode == 0 else "".join(said)
    return Check("first touch", "ok" if done.returncode == 0 else "failed", detail)


def ieee_products(device: str) -> Check:
    """Compare a matrix product and a convolution in fp32 with float64 on the CPU."""
    open_device(device)
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(512, 512, generator=random), torch.randn(512, 512, generator=random)
    image, kernel = torch.randn(2, 64, 32, 32, generator=random), torch.randn(64, 64, 3, 3, generator=random)
    product = (a.to(device) @ b.to(device)).cpu()
    convolved = torch.nn.functional.conv2d(image.to(device), kernel.to(device)).cpu()
    errors = {
        "product": _relative_error(product, a.double() @ b.double()),
        "convolution": _relative_error(convolved, torch.nn.functional.conv2d(image.double(), kernel.double())),
    }
    worst = max(errors.values())
    said = f"largest error {worst:.1e} of the result's spread, TF32 would be 1e-3"
    return Check("fp32 products", "ok" if worst < _IEEE_ERROR else "failed", said, errors)


def scaled_bytes(device: str) -> Check:
    """Compare the scaling of image bytes on the device with the CPU's, bit for bit."""
    encoder = random_encoder("cnn", "cpu", "fp32")
    raw = torch.randint(0, 256, (4, 64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    scale = Preprocess(encoder.spec.preprocess).batch
    differing = int((scale(raw.to(device)).cpu() != scale(raw)).sum())
    said = f"{differing} of {raw.numel()} values differ from the CPU's"
    return Check("scaled bytes", "failed" if differing else "ok", said, {"differing": differing})


def same_masks(device: str) -> Check:
    """Compare RISE's masks on the device with the CPU's."""
    stream = MaskStream(7, 0.5, 0, 224, 224, True)
    apart = float((stream.masks(0, 64, device).cpu() - stream.masks(0, 64, "cpu")).abs().max())
    said = f"largest difference from the CPU's {apart:.1e}"
    return Check("masks", "ok" if apart <= _MASK_ERROR else "failed", said, {"max_abs": apart})


def same_features(device: str, precision: Precision) -> Check:
    """Compare features of a CNN and a transformer with the CPU's in fp32, in fp32 and in the run's precision."""
    figures: dict[str, float] = {}
    for kind in ("cnn", "vit"):
        reference = random_encoder(kind, "cpu", "fp32")
        pixels = torch.stack([reference.preprocess(image) for image in noise_images(8)])
        wanted = reference.encode(pixels)
        encoder = random_encoder(kind, device, "fp32")
        figures |= _comparison(f"{kind} fp32", encoder, pixels, wanted)
        if precision != "fp32":
            figures |= _comparison(f"{kind} {precision}", encoder.at(precision), pixels, wanted)
    bad = [name for name, value in figures.items() if not _fine(name, value)]
    cosines = [value for name, value in figures.items() if name.endswith("cosine")]
    said = f"least cosine with the CPU's {min(cosines):.6f}" + (f"; too far apart: {', '.join(bad)}" if bad else "")
    return Check("features", "failed" if bad else "ok", said, figures)


def _comparison(name: str, encoder: NetworkEncoder, pixels: torch.Tensor, wanted: torch.Tensor) -> dict[str, float]:
    found, again = encoder.encode(pixels), encoder.encode(pixels)
    alone = torch.cat([encoder.encode(pixels[row : row + 1]) for row in range(len(pixels))])
    cosine = torch.nn.functional.cosine_similarity(found.double(), wanted.double(), dim=1).min()
    spread = float(wanted.std())
    return {
        f"{name} cosine": float(cosine),
        f"{name} error": float((found - wanted).abs().max()) / spread,
        f"{name} repeated": float((found - again).abs().max()) / spread,
        f"{name} one by one": float((found - alone).abs().max()) / spread,
    }


def _fine(name: str, value: float) -> bool:
    if name.endswith("cosine"):
        return value >= _LEAST_COSINE
    if name.endswith("repeated"):
        return value == 0.0
    return not name.endswith("fp32 error") or value < _FP32_ERROR


def full_memory(device: str) -> Check:
    """Encode a batch that is too large for what is left of the memory: the back-off has to find one that fits."""
    memory = memory_of(device)
    if not device.startswith("cuda") or memory is None:
        return Check("full memory", "skipped", "the CPU's memory is not filled")
    encoder = random_encoder("vit", device, "fp32")
    pixels = torch.randn(512, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    wanted = torch.cat([encoder.encode(pixels[row : row + 16]) for row in range(0, len(pixels), 16)])
    release_memory()
    free = memory_of(device)
    hog = torch.empty(max(0, (free or memory)[0] - _LEFT_BYTES), dtype=torch.uint8, device=device)
    parts, size = with_back_off(
        lambda part: encoder.encode(pixels[part[0] : part[-1] + 1]), range(len(pixels)), len(pixels)
    )
    del hog
    apart = float((torch.cat(parts) - wanted).abs().max()) / float(wanted.std())
    said = f"with {_LEFT_BYTES >> 20} MiB left a batch of 512 goes through in parts of {size}"
    fine = apart < _FP32_ERROR
    return Check("full memory", "ok" if fine else "failed", said, {"batch": float(size), "error": apart})


def _relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.double() - wanted).abs().max() / wanted.std())
