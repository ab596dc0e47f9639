"""CT-CLIP: a CT-ViT of chest CT with quantised tokens, and the linear layer of its contrastive loss."""

from __future__ import annotations

from itertools import product

import torch
from torch.nn import functional

from medvlm_tui.core.specs import ModelSpec, Precision
from medvlm_tui.engine.encoders.checkpoints.tower import building, load_strictly, read_tower
from medvlm_tui.engine.encoders.models.volumes import VolumeEncoder
from medvlm_tui.engine.encoders.weights.record import Weights

_WIDTH, _HEADS, _HEAD_WIDTH, _DEPTH = 512, 8, 32, 4
_PATCH = (10, 20, 20)
_PATCH_VALUES = 10 * 20 * 20
_TOKENS = 24 * 24
_CODES = 8192
_HIDDEN = 1365  # int(4 * 2 / 3 * 512)
_ATTENTION_SCALE = 8.0
_LEAK = 0.1
# Decoder and first frame of the video model that it grew from, and counts that only training needs.
_NOT_READ = ("to_patch_emb_first_frame.", "to_pixels", "vq._codebook.initted", "vq._codebook.cluster_size", "discr")

Shape = tuple[int, int, int, int]


class Norm(torch.nn.Module):
    """A layer norm; its shift is stored, and zero in the published file."""

    def __init__(self) -> None:
        super().__init__()
        self.gamma = torch.nn.Parameter(torch.ones(_WIDTH))
        self.register_buffer("beta", torch.zeros(_WIDTH))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(tokens, (_WIDTH,), self.gamma, self.get_buffer("beta"))


class PositionConv(torch.nn.Module):
    """A depthwise convolution over the token grid that sees no later slice.

    Tokens are taken as (b, t, h, w) in the order they come in, also by the temporal blocks, where they come with t
    last: positions are scrambled there, and the weights were trained so. (transformer_maskgit attention.py PEG)
    """

    def __init__(self) -> None:
        super().__init__()
        self.dsconv = torch.nn.Conv3d(_WIDTH, _WIDTH, 3, groups=_WIDTH)

    def forward(self, tokens: torch.Tensor, shape: Shape) -> torch.Tensor:
        grid = tokens.reshape(*shape, _WIDTH).permute(0, 4, 1, 2, 3)
        moved: torch.Tensor = self.dsconv(functional.pad(grid, (1, 1, 1, 1, 2, 0)))
        return moved.permute(0, 2, 3, 4, 1).reshape(tokens.shape)


class CosineAttention(torch.nn.Module):
    """Queries from the normed tokens, keys and values from the tokens as they are; both at unit length."""

    def __init__(self) -> None:
        super().__init__()
        inner = _HEADS * _HEAD_WIDTH
        self.null_kv = torch.nn.Parameter(torch.zeros(_HEADS, 0, _HEAD_WIDTH))
        self.q_scale = torch.nn.Parameter(torch.ones(_HEAD_WIDTH))
        self.k_scale = torch.nn.Parameter(torch.ones(_HEAD_WIDTH))
        self.norm, self.context_norm = Norm(), Norm()
        self.to_q = torch.nn.Linear(_WIDTH, inner, bias=False)
        self.to_kv = torch.nn.Linear(_WIDTH, 2 * inner, bias=False)
        self.to_out = torch.nn.Linear(inner, _WIDTH, bias=False)

    def forward(self, tokens: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        queries = _heads(self.to_q(self.norm(tokens)))
        keys, values = (_heads(part) for part in self.to_kv(tokens).chunk(2, dim=-1))
        mixed = functional.scaled_dot_product_attention(
            functional.normalize(queries, dim=-1) * self.q_scale,
            functional.normalize(keys, dim=-1) * self.k_scale,
            values,
            attn_mask=bias,
            scale=_ATTENTION_SCALE,
        )
        joined: torch.Tensor = self.to_out(mixed.transpose(1, 2).flatten(2))
        return joined


def _heads(vectors: torch.Tensor) -> torch.Tensor:
    return vectors.reshape(*vectors.shape[:-1], _HEADS, _HEAD_WIDTH).transpose(1, 2)


class GatedLinear(torch.nn.Module):
    """GEGLU: the second half opens the first."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        opened, gate = values.chunk(2, dim=-1)
        return functional.gelu(gate) * opened


class Transformer(torch.nn.Module):
    """Four blocks of position, attention and feed-forward, each added to what it is given."""

    def __init__(self) -> None:
        super().__init__()
        # The names in the file count four parts a block; the third, cross attention, is not used here.
        self.layers = torch.nn.ModuleList(
            torch.nn.ModuleList([PositionConv(), CosineAttention(), torch.nn.Identity(), _feed_forward()])
            for _ in range(_DEPTH)
        )
        self.norm_out = Norm()

    def forward(self, tokens: torch.Tensor, shape: Shape, bias: torch.Tensor | None = None) -> torch.Tensor:
        for block in self.layers:
            position, attention, _, feed_forward = block.children()
            tokens = tokens + position(tokens, shape)
            tokens = tokens + attention(tokens, bias)
            tokens = tokens + feed_forward(tokens)
        normed: torch.Tensor = self.norm_out(tokens)
        return normed


def _feed_forward() -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.LayerNorm(_WIDTH),
        torch.nn.Linear(_WIDTH, 2 * _HIDDEN, bias=False),
        GatedLinear(),
        torch.nn.Identity(),
        torch.nn.Linear(_HIDDEN, _WIDTH, bias=False),
    )


class PositionBias(torch.nn.Module):
    """A bias of attention for each pair of cells in a slice, from their offsets on a logarithmic scale."""

    def __init__(self) -> None:
        super().__init__()
        leaky = torch.nn.LeakyReLU(_LEAK)
        self.net = torch.nn.ModuleList(
            [
                torch.nn.Sequential(torch.nn.Linear(2, _WIDTH), leaky),
                torch.nn.Sequential(torch.nn.Linear(_WIDTH, _WIDTH), leaky),
                torch.nn.Linear(_WIDTH, _HEADS),
            ]
        )

    def forward(self, height: int, width: int) -> torch.Tensor:
        """Return (heads, cells, cells)."""
        weight = next(self.parameters())
        cells = torch.tensor(list(product(range(height), range(width))), dtype=weight.dtype, device=weight.device)
        offsets = cells[:, None] - cells[None]
        values = offsets.sign() * (offsets.abs() + 1).log()
        for layer in self.net:
            values = layer(values)
        return values.permute(2, 0, 1)


class CTViT(torch.nn.Module):
    """Patches of a volume, mixed within their slices and then between them, replaced by the codes most like them."""

    def __init__(self) -> None:
        super().__init__()
        # The names in the file count a step that cuts the patches as number 0.
        norms = (torch.nn.LayerNorm(_PATCH_VALUES), torch.nn.LayerNorm(_WIDTH))
        self.to_patch_emb = torch.nn.Sequential(
            torch.nn.Identity(), norms[0], torch.nn.Linear(_PATCH_VALUES, _WIDTH), norms[1]
        )
        self.spatial_rel_pos_bias = PositionBias()
        self.enc_spatial_transformer = Transformer()
        self.enc_temporal_transformer = Transformer()
        self.codes = torch.nn.Parameter(torch.zeros(1, _CODES, _WIDTH))

    def forward(self, voxels: torch.Tensor) -> torch.Tensor:
        """Return codes (n, t, h, w, 512) of volumes (n, 1, slices, rows, columns)."""
        return functional.embedding(self.code_numbers(voxels), self.codes[0])

    def code_numbers(self, voxels: torch.Tensor) -> torch.Tensor:
        """Return the number of the nearest code for each token, (n, t, h, w)."""
        tokens = self.to_patch_emb(_patches(voxels))
        n, t, h, w = shape = tuple(tokens.shape[:-1])
        bias = self.spatial_rel_pos_bias(h, w)
        tokens = self.enc_spatial_transformer(tokens.reshape(n * t, h * w, _WIDTH), shape, bias)
        tokens = tokens.reshape(n, t, h * w, _WIDTH).transpose(1, 2).reshape(n * h * w, t, _WIDTH)
        tokens = self.enc_temporal_transformer(tokens, shape)
        tokens = tokens.reshape(n, h * w, t, _WIDTH).transpose(1, 2)
        # In fp32 under any precision: in bf16 one code in thirty is another one.
        with torch.autocast(tokens.device.type, enabled=False):
            likeness = (
                functional.normalize(tokens.float(), dim=-1) @ functional.normalize(self.codes[0].float(), dim=-1).T
            )
        return likeness.argmax(dim=-1).reshape(shape)


def _patches(voxels: torch.Tensor) -> torch.Tensor:
    """Return (n, t, h, w, 4000) of volumes whose sides are whole numbers of patches."""
    n, _, slices, rows, columns = voxels.shape
    depth, height, width = _PATCH
    cut = voxels.reshape(n, slices // depth, depth, rows // height, height, columns // width, width)
    return cut.permute(0, 1, 3, 5, 2, 4, 6).flatten(4)


class ChestTower(torch.nn.Module):
    """The encoder, the mean over the slices, and the matrix that leads to the text's space."""

    def __init__(self, normalised: bool) -> None:
        super().__init__()
        self.visual_transformer = CTViT()
        self.to_visual_latent = torch.nn.Linear(_TOKENS * _WIDTH, 512, bias=False)
        self.normalised = normalised

    def forward(self, voxels: torch.Tensor) -> torch.Tensor:
        latent: torch.Tensor = self.to_visual_latent(self.visual_transformer(voxels).mean(dim=1).flatten(1))
        return functional.normalize(latent, dim=-1) if self.normalised else latent


def load(spec: ModelSpec, weights: Weights, feature: str, device: str, precision: Precision) -> VolumeEncoder:
    """Build the image side and load `visual_transformer.*` and `to_visual_latent.*`.

    Features: `latent` at unit length, as the authors return it; `projected`, the same before that.
    (ibrahimethemhamamci/CT-CLIP CT_CLIP/ct_clip/ct_clip.py, transformer_maskgit/ctvit.py)
    """
    assert weights.path is not None
    with building():
        network = ChestTower(normalised=feature == "latent")
    whole = read_tower(weights.path)
    tower = whole.below("visual_transformer.").without(*_NOT_READ)
    load_strictly(network.visual_transformer, tower.renamed(lambda n: "codes" if n == "vq._codebook.embed" else n))
    load_strictly(network.to_visual_latent, whole.below("to_visual_latent."))
    return VolumeEncoder(spec, feature, network, device, precision)
