"""The bias lab's bench: its images, and the words that it draws into them."""

from __future__ import annotations

from dataclasses import dataclass, fields

from medvlm_tui.engine.bench.bench import Bench, Draw, Features, Ints, drawn, open_bench
from medvlm_tui.engine.bias.overlay import OverlaySpec, draw_overlay
from medvlm_tui.engine.step.job import CellJob, StepContext
from medvlm_tui.errors import UsageError
from medvlm_tui.stages.params.bias import BiasParams

__all__ = ["Box", "Features", "Ints", "Lab", "drawn", "prepare"]
Box = tuple[int, int, int, int]


@dataclass(slots=True, kw_only=True)
class Lab(Bench):
    """A bench with the words of the lab."""

    params: BiasParams

    @property
    def even_level(self) -> float:
        """The share of images with their own class's word at which all words are equally common in every class, so
        that words tell nothing of the class."""
        return 1 / len(self.params.words)

    @property
    def levels(self) -> tuple[float, ...]:
        """Every level of correlation in training, in rising order: those asked for and the even one."""
        asked = [level for level in self.params.levels if abs(level - self.even_level) > 1e-9]
        return tuple(sorted({*asked, self.even_level}))

    def spec(self, word: int, kind: str = "text") -> OverlaySpec:
        """Return how a word, or a control with its ink, is drawn."""
        p = self.params
        return OverlaySpec(p.words[word], kind, p.position, p.height, p.contrast, seed=p.seed)

    def overlay(self, word: int, kind: str = "text") -> Draw:
        """Return what draws a word, or a control of its ink."""
        spec = self.spec(word, kind)
        return lambda sample: draw_overlay(self.read(sample), spec).image


def prepare(job: CellJob, context: StepContext, params: BiasParams) -> Lab:
    """Read the job's inputs and load its encoder; raises UsageError for parameters the lab cannot work with."""
    if len(params.words) < 2 or min(params.train_per_class, params.test_per_class) < 2:
        raise UsageError("the bias lab needs two words and two images per class", "give more of both")
    bench = open_bench(job, context, params.train_per_class, params.test_per_class, params.seed)
    return Lab(**{each.name: getattr(bench, each.name) for each in fields(bench)}, params=params)
