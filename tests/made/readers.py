"""Readers that misbehave, for decoding processes: the image `4.png` (`00004.jpg`) is the one that kills."""

from __future__ import annotations

import os
import resource
import signal

import numpy as np
from PIL import Image

from medvlm_tui.core.specs import Sample
from medvlm_tui.engine.datasets.likeness.image_prints import read_print
from medvlm_tui.engine.images.decoding_task import Reduced
from medvlm_tui.engine.images.read_sample import read_sample

POISON = ("4.png", "00004.jpg")


def crashing(sample: Sample, window: str = "") -> Image.Image:
    """End the process as a decoder's segmentation fault does."""
    if sample.path.name in POISON:
        os.kill(os.getpid(), signal.SIGSEGV)
    return read_sample(sample)


def crashing_once(sample: Sample, window: str = "") -> Image.Image:
    mark = sample.path.with_suffix(".mark")
    if sample.path.name in POISON and not mark.exists():
        mark.touch()
        os._exit(3)
    return read_sample(sample)


def aborting(sample: Sample, window: str = "") -> Image.Image:
    """End the process as a C++ library does whose exception nobody catches."""
    if sample.path.name in POISON:
        os.write(2, b"terminate called after throwing an instance of 'made::Exception'\n")
        os.abort()
    return read_sample(sample)


def greedy(sample: Sample, window: str = "") -> Image.Image:
    np.ones(6 << 30, np.uint8)
    return read_sample(sample)


def broken(sample: Sample, window: str = "") -> Image.Image:
    raise RuntimeError("a decoder's own mistake")


def running_in_circles(sample: Sample, window: str = "") -> Image.Image:
    if sample.path.name in POISON:
        used = int(resource.getrusage(resource.RUSAGE_SELF).ru_utime)
        resource.setrlimit(resource.RLIMIT_CPU, (used + 1, resource.getrlimit(resource.RLIMIT_CPU)[1]))
        while True:
            pass
    return read_sample(sample)


def crashing_print(sample: Sample, window: str) -> Reduced:
    """Kill the process at the poisonous image; else what a check reads of an image."""
    if sample.path.name in POISON:
        os.kill(os.getpid(), signal.SIGSEGV)
    return read_print(sample, window)


def greedy_print(sample: Sample, window: str) -> Reduced:
    if sample.path.name in POISON:
        greedy(sample)
    return read_print(sample, window)


def crashing_tags(sample: Sample, keyword: str) -> Reduced:
    from medvlm_tui.engine.images.dicom.tags import read_tags

    if sample.path.name in POISON:
        os.kill(os.getpid(), signal.SIGSEGV)
    return read_tags(sample, keyword)


def own_number(sample: Sample) -> Reduced:
    """Return the number of the process that reads, as an image of its digits."""
    digits = np.frombuffer(f"{os.getpid():>12}".encode(), np.uint8)
    return Reduced(np.repeat(digits[None, :, None], 3, axis=2), {})
