"""The checks of what RISE is asked."""

from __future__ import annotations

from medvlm_tui.core.safe_text import clean
from medvlm_tui.errors import UsageError
from medvlm_tui.stages.params.saliency import ESTIMATORS, FILLS, SaliencyParams


def check_params(params: SaliencyParams) -> None:
    """Raise UsageError for what cannot be computed."""
    if params.masks < 1 or params.cells < 1 or not 0 < params.probability <= 1 or params.seed < 0:
        raise UsageError(
            f"RISE with {params.masks} masks of {params.cells} x {params.cells} cells, probability "
            f"{params.probability:g} and seed {params.seed} cannot be computed",
            "choose at least one mask and one cell, a probability in (0, 1], a seed of 0 or more",
        )
    if params.estimator not in ESTIMATORS or params.fill not in FILLS:
        wrong = clean(f"{params.estimator} and {params.fill}")
        raise UsageError(f"{wrong} are no estimator and no fill", "plain or reduced; mean, black or blur")
    if params.estimator == "reduced" and (params.probability != 0.5 or params.masks < 2):
        raise UsageError("the reduced estimator needs pairs of masks: probability 0.5 and 2 masks or more", "use plain")
    if params.stop_error < 0:
        raise UsageError(f"an error of {params.stop_error:g} cannot be reached", "choose 0 (all masks) or more")
    if not params.images and params.images_per_class < 1:
        raise UsageError("no image to explain", "ask for at least one image per class, or name images")


def explained_classes(params: SaliencyParams, classes: list[str]) -> list[int]:
    """Return the indices of the classes to explain for every image; raises UsageError for an unknown one."""
    if params.classes == ("*",):
        return list(range(len(classes)))
    unknown = [name for name in params.classes if name not in classes]
    if unknown:
        raise UsageError(
            f"the probe does not know the class {clean(unknown[0])}", f"it knows {clean(', '.join(classes))}"
        )
    return [classes.index(name) for name in dict.fromkeys(params.classes)]
