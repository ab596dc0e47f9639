"""Device that solves the probe's SVMs: the CPU, or a GPU where the problem is large enough for one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from medvlm_tui.engine.probe.solver import svm
from medvlm_tui.engine.step.device_memory import is_out_of_memory, release_memory

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
    not_definite: int = 0
    """Problems whose second moments had no Cholesky factor on the GPU and were solved on the CPU."""

    @property
    def note(self) -> str:
        """Return in words what did not go as planned; empty when all did."""
        reasons = {
            f"did not fit into the memory of {self.device}": self.short_of_memory,
            f"had no Cholesky factor on {self.device}": self.not_definite,
        }
        return "; ".join(f"{n} SVM problems {reason}: solved on the CPU" for reason, n in reasons.items() if n)

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
            from medvlm_tui.engine.probe.solver import svm_torch
            from medvlm_tui.engine.step.device_session import open_device

            try:
                open_device(self.device)
                found = svm_torch.solve_path(features, codes, n_classes, costs, self.check, start, self.device)
            except RuntimeError as error:
                if is_out_of_memory(error):
                    self.short_of_memory += 1
                elif type(error).__name__ in ("LinAlgError", "_LinAlgError"):
                    self.not_definite += 1
                else:
                    raise
            else:
                self.used.add(self.device)
                return found
            finally:
                release_memory()  # other processes want the GPU too
        self.used.add("cpu")
        return svm.solve_path(features, codes, n_classes, costs, self.check, start)
