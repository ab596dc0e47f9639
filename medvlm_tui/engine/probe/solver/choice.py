"""Where the probe's SVMs are solved: on the CPU, or on a GPU where the problem is large enough for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from medvlm_tui.engine.probe.solver import svm
from medvlm_tui.engine.step.devices import is_out_of_memory

# Features times classes below which a GPU's start (seconds of importing and opening it) is not worth it.
WORTH_A_GPU = 10_000_000


@dataclass(slots=True)
class Solver:
    """The way to a solution, and what it was."""

    check: Callable[[], None]
    """Called between steps; may raise Cancelled."""
    device: str = "cpu"
    used: set[str] = field(default_factory=set)
    """The devices that solved something."""
    short_of_memory: int = 0
    """Problems that did not fit into the GPU's memory and were solved on the CPU."""

    @property
    def note(self) -> str:
        """Say what did not go as planned; empty when all did."""
        if not self.short_of_memory:
            return ""
        return f"{self.short_of_memory} SVM problems did not fit into the memory of {self.device}: solved on the CPU"

    def path(
        self,
        features: svm.Floats,
        codes: svm.Ints,
        n_classes: int,
        costs: Sequence[float],
        start: tuple[svm.Floats, svm.Floats] | None = None,
    ) -> svm.SvmPath:
        """Solve as `svm.solve_path` does."""
        if self.device != "cpu" and features.size * n_classes >= WORTH_A_GPU:
            # torch is seconds to import, and no part of a probe on the CPU.
            import torch

            from medvlm_tui.engine.probe.solver import svm_torch

            try:
                found = svm_torch.solve_path(features, codes, n_classes, costs, self.check, start, self.device)
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                self.short_of_memory += 1
            else:
                self.used.add(self.device)
                return found
            finally:
                torch.cuda.empty_cache()  # other processes want the GPU too
        self.used.add("cpu")
        return svm.solve_path(features, codes, n_classes, costs, self.check, start)
