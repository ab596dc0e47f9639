"""Training of phantom_clip, from drawing its phantoms to the files that the package holds.

    python -m medvlm_tui.engine.encoders.phantom_clip.train FOLDER

Equal versions of torch, timm and transformers on equal processors give equal weights; the log says which they were.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from torch.nn import functional

from medvlm_tui.core.versions import versions
from medvlm_tui.engine.datasets.phantom.drawing import draw
from medvlm_tui.engine.encoders.checkpoints.load_report import reporting
from medvlm_tui.engine.encoders.libraries.open_clip_ import build_tower
from medvlm_tui.engine.encoders.phantom_clip import captions
from medvlm_tui.engine.encoders.phantom_clip.captions import Caption, Facts
from medvlm_tui.engine.encoders.text.tokenizers import wordpiece
from medvlm_tui.engine.encoders.text.tokens import TextTokenizer

Bytes = NDArray[np.uint8]
Say = Callable[[str], None]
_SAID_EVERY = 50
_SIZE_STEPS_PX = (-16, -8, 0, 8, 16)
_WIDTH_PX, _HEIGHT_PX = 320, 240


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that the weights depend on besides the versions of the libraries."""

    seed: int = 20
    images: int = 3600
    steps: int = 1200
    batch: int = 32
    learning_rate: float = 2e-3
    """Of the image tower."""
    text_learning_rate: float = 1e-3
    weight_decay: float = 0.05
    side_px: int = 128
    margin_px: int = 8
    """Images are kept this much larger, so that each step takes another crop of them."""
    dim: int = 64
    text_width: int = 64
    text_layers: int = 2
    context: int = 32
    largest_scale: float = 30.0
    threads: int = 1


def vision(recipe: Recipe) -> dict[str, Any]:
    """Return the image tower as open_clip describes one: a residual network of timm's, its smallest."""
    return {
        "timm_model_name": "test_byobnet",
        "timm_pool": "avg",
        "timm_proj": "linear",
        "image_size": recipe.side_px,
    }


class PhantomClip(torch.nn.Module):
    """Image tower, text tower and scale, under the names by which the files of BiomedCLIP hold theirs."""

    def __init__(self, recipe: Recipe, entries: int) -> None:
        from transformers import BertConfig, BertModel

        super().__init__()
        with reporting(untrained=True):
            self.visual = build_tower({"vision_cfg": vision(recipe)}, recipe.dim)
        config = BertConfig(
            vocab_size=entries,
            hidden_size=recipe.text_width,
            num_hidden_layers=recipe.text_layers,
            num_attention_heads=1,
            intermediate_size=2 * recipe.text_width,
            max_position_embeddings=recipe.context,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
        projection = torch.nn.Linear(recipe.text_width, recipe.dim, bias=False)
        self.text = torch.nn.ModuleDict({"transformer": BertModel(config, add_pooling_layer=False), "proj": projection})
        # Texts have to differ before the images do, or neither has anything to learn from the other.
        words = self.text.get_parameter("transformer.embeddings.word_embeddings.weight")
        torch.nn.init.normal_(words, std=0.1)
        self.logit_scale = torch.nn.Parameter(torch.tensor(np.log(1 / 0.07), dtype=torch.float32))

    def logits(self, pixels: torch.Tensor, ids: torch.Tensor, largest: float) -> torch.Tensor:
        """Return (images, texts) of scaled cosines."""
        read = self.text["transformer"](input_ids=ids, attention_mask=(ids != 0).long())
        within = (ids != 0)[:, :, None].float()
        pooled = (read.last_hidden_state * within).sum(dim=1) / within.sum(dim=1)
        texts = functional.normalize(self.text["proj"](pooled), dim=-1)
        images = functional.normalize(self.visual(pixels), dim=-1)
        return self.logit_scale.exp().clamp(max=largest) * images @ texts.T


def phantoms(recipe: Recipe) -> tuple[Bytes, list[Facts]]:
    """Return (n, side, side) grey images and their facts. No seed of the built-in dataset draws one of them."""
    side, images, facts = recipe.side_px + recipe.margin_px, [], []
    for number in range(recipe.images):
        rng = np.random.default_rng([recipe.seed, number, 0, 1])
        kind = captions.KINDS[number % len(captions.KINDS)]
        words = (str(rng.choice(captions.SITE_WORDS)), str(rng.choice(captions.SIDE_WORDS)))
        dx, dy = rng.choice(_SIZE_STEPS_PX, size=2)
        pixels = draw(kind, words, (_WIDTH_PX + int(dx), _HEIGHT_PX + int(dy)), rng).pixels
        images.append(_small(pixels, side))
        facts.append(Facts(kind, words))
    return np.stack(images), facts


def _small(pixels: Bytes, side: int) -> Bytes:
    height, width = pixels.shape
    image = Image.fromarray(pixels).resize((round(side * width / height), side), Image.Resampling.BICUBIC)
    left = (image.width - side) // 2
    return np.asarray(image.crop((left, 0, left + side, side)))


def _crops(images: Bytes, rows: NDArray[np.int64], recipe: Recipe, rng: np.random.Generator) -> torch.Tensor:
    """Return (b, 3, side, side): the rows at random places, a little brighter or darker."""
    side, taken = recipe.side_px, []
    for row, (top, left) in zip(rows, rng.integers(recipe.margin_px + 1, size=(len(rows), 2)), strict=True):
        taken.append(images[row, top : top + side, left : left + side])
    grey = np.stack(taken).astype(np.float32) / 255 * rng.uniform(0.85, 1.15, size=(len(rows), 1, 1))
    scaled = torch.from_numpy(((np.clip(grey, 0, 1) - 0.5) / 0.5).astype(np.float32))
    return scaled[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)


def loss_of(logits: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """Return the contrastive loss in which every true pair counts, not only an image and its own caption."""
    to_text = -(true / true.sum(1, keepdim=True) * logits.log_softmax(1)).sum(1).mean()
    to_image = -(true / true.sum(0, keepdim=True) * logits.log_softmax(0)).sum(0).mean()
    return (to_text + to_image) / 2


def choice_losses(logits: torch.Tensor, texts: list[list[Caption]], facts: list[Facts]) -> torch.Tensor:
    """Return the cross-entropy of each group of captions that differ in one fact; `logits` has all their columns."""
    losses, begin = [], 0
    for group in texts:
        true = torch.from_numpy(captions.truth(group, facts).argmax(axis=1))
        losses.append(functional.cross_entropy(logits[:, begin : begin + len(group)], true))
        begin += len(group)
    return torch.stack(losses)


def train(recipe: Recipe, folder: Path, say: Say) -> None:
    """Write `model.safetensors` and `vocab.txt` below `folder`, and say what happens."""
    torch.set_num_threads(recipe.threads)
    torch.manual_seed(recipe.seed)
    rng, begun = np.random.default_rng(recipe.seed), time.monotonic()
    say(f"SYNTHETIC phantoms and captions; {recipe}")
    say(f"{versions('torch', 'timm', 'transformers', 'open_clip_torch', 'numpy', 'pillow', 'matplotlib')}")
    (folder / "vocab.txt").write_text("\n".join(captions.vocabulary()) + "\n", encoding="ascii")
    tokenizer = wordpiece.load(folder / "vocab.txt")
    images, facts = phantoms(recipe)
    say(f"{time.monotonic() - begun:7.1f} s  {len(images)} phantoms drawn")
    network = PhantomClip(recipe, tokenizer.size)
    network.train().to(memory_format=torch.channels_last)
    optimiser, schedule = _optimiser(network, recipe)
    total = np.zeros(2)
    for step in range(1, recipe.steps + 1):
        rows = rng.choice(len(images), recipe.batch, replace=False)
        contrast, choice = _losses(network, images, rows, [facts[row] for row in rows], tokenizer, recipe, rng)
        optimiser.zero_grad()
        torch.autograd.backward(contrast + choice.sum())
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        total += float(contrast.detach()), float(choice.detach().sum())
        if step % _SAID_EVERY == 0:
            last = [round(value, 3) for value in choice.detach().tolist()]
            mean = total / _SAID_EVERY
            say(f"{time.monotonic() - begun:7.1f} s  step {step:5}  loss {mean[0]:.4f} + {mean[1]:.4f} {last}")
            total[:] = 0.0
    save(network, folder / "model.safetensors", recipe)
    say(f"{time.monotonic() - begun:7.1f} s  saved")


def _optimiser(network: PhantomClip, recipe: Recipe) -> tuple[Any, Any]:
    rates = [recipe.learning_rate, recipe.text_learning_rate]
    parts = [[*network.visual.parameters()], [*network.text.parameters(), network.logit_scale]]
    groups = [{"params": part, "lr": rate} for part, rate in zip(parts, rates, strict=True)]
    optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, recipe.steps, pct_start=0.1)


def _losses(
    network: PhantomClip,
    images: Bytes,
    rows: NDArray[np.int64],
    shown: list[Facts],
    tokenizer: TextTokenizer,
    recipe: Recipe,
    rng: np.random.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the contrastive loss of a batch with captions of its own, and the losses by kind of fact."""
    own: list[Caption] = [captions.caption_of(one, rng) for one in shown]
    choices = captions.choices(rng)
    texts = [one.text for one in (*own, *(each for group in choices for each in group))]
    ids = torch.from_numpy(tokenizer.tokens(texts, recipe.context).ids)
    logits = network.logits(_crops(images, rows, recipe, rng), ids, recipe.largest_scale)
    choice = choice_losses(logits[:, len(own) :], choices, shown)
    return loss_of(logits[:, : len(own)], torch.from_numpy(captions.truth(own, shown))), choice


def save(network: PhantomClip, path: Path, recipe: Recipe) -> None:
    """Write the tensors in half precision, which is half the size, but for the running means and variances."""
    with torch.no_grad():
        network.logit_scale.clamp_(max=float(np.log(recipe.largest_scale)))
    tensors = {
        name: tensor.detach().to(torch.float32 if "running" in name else torch.float16).contiguous()
        for name, tensor in network.state_dict().items()
        if tensor.is_floating_point()
    }
    note = "SYNTHETIC: trained by medvlm-tui on its own drawings, not on images of patients"
    save_file(tensors, path, metadata={"format": "pt", "note": note, "recipe": str(asdict(recipe))})


def main() -> None:
    """Train into the folder that the command line names, with `training.log` beside the weights."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "training.log").open("w", encoding="utf-8") as log:

        def say(line: str) -> None:
            log.write(line + "\n")
            log.flush()

        train(Recipe(), folder, say)


if __name__ == "__main__":
    main()
