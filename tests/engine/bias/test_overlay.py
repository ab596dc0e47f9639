"""Overlays: equal ink, only where they say; geometry of boxes and masks against the preprocessing itself."""

import numpy as np
import pytest
from PIL import Image

from medvlm_tui.core.specs import PreprocessSpec
from medvlm_tui.engine.bias.overlay import OverlaySpec, draw_overlay, ink_of
from medvlm_tui.engine.images.geometry import view_of
from medvlm_tui.engine.images.preprocess import Preprocess
from medvlm_tui.errors import UsageError
from medvlm_tui.stages.params.bias import OVERLAYS, POSITIONS

GREY = Image.new("RGB", (320, 240), (60, 60, 60))


@pytest.mark.parametrize("kind", OVERLAYS)
def test_every_kind_has_the_ink_of_the_word(kind):
    word = ink_of(OverlaySpec("AXILLA"), 240).sum()
    assert ink_of(OverlaySpec("AXILLA", kind), 240).sum() == pytest.approx(word, rel=0.005)
    drawn = draw_overlay(GREY, OverlaySpec("AXILLA", kind))
    added = (np.asarray(drawn.image).astype(float)[..., 0] - 60).sum() / (255 - 60)
    assert added == pytest.approx(word, rel=0.03)


@pytest.mark.parametrize("position", POSITIONS)
def test_only_the_box_changes_and_every_crop_keeps_it(position):
    drawn = draw_overlay(GREY, OverlaySpec("LEFT", position=position))
    left, top, right, bottom = drawn.box
    changed = (np.asarray(drawn.image) != 60).any(axis=2)
    assert changed[top:bottom, left:right].any()
    changed[top:bottom, left:right] = False
    assert not changed.any()
    crop = view_of(PreprocessSpec(224, 256), GREY.size).box(drawn.box)
    assert min(crop) > 0
    assert max(crop) < 224


def test_no_contrast_changes_nothing():
    np.testing.assert_array_equal(draw_overlay(GREY, OverlaySpec("LEFT", contrast=0)).image, GREY)


@pytest.mark.parametrize(
    "spec", [OverlaySpec("X", position="nowhere"), OverlaySpec(""), OverlaySpec("A" * 60), OverlaySpec("X", height=0.9)]
)
def test_what_cannot_be_drawn_is_refused(spec):
    with pytest.raises(UsageError):
        draw_overlay(GREY, spec)


@pytest.mark.parametrize("mode", ["short_side", "squash", "long_side_pad", "pad_square"])
@pytest.mark.parametrize("size", [(320, 240), (240, 331), (200, 200)])
def test_masks_follow_the_preprocessing(mode, size):
    """A white blob preprocessed, against its mask carried through the geometry."""
    resize = 64 if mode == "long_side_pad" else 72
    spec = PreprocessSpec(64, resize, mode, "bilinear")
    blob = np.zeros((size[1], size[0]), dtype=bool)
    blob[size[1] // 3 : size[1] // 2, size[0] // 2 : 2 * size[0] // 3] = True
    image = Image.fromarray(np.repeat((blob * 255).astype(np.uint8)[..., None], 3, axis=2))
    seen = Preprocess(spec)(image)[0].numpy() > 0.5
    view = view_of(spec, size)
    carried = view.mask(blob)
    assert (seen & carried).sum() / (seen | carried).sum() > 0.85
    left, top, right, bottom = view.box((size[0] // 2, size[1] // 3, 2 * size[0] // 3, size[1] // 2))
    rows, columns = np.nonzero(seen)
    np.testing.assert_allclose(
        [left, top, right, bottom], [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], atol=1
    )
