"""Critical difference diagram: models by mean rank, bars over those that Nemenyi's test does not tell apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from medvlm_tui.report.figures.canvas import COLOURS, label, new_figure, save_chart, style
from medvlm_tui.report.results.run_results import Compared
from medvlm_tui.stages.records.comparison import RankingsRecord, RanksRecord

_LINE_IN, _BAR_IN, _HEAD_IN = 0.19, 0.09, 0.95
_GROUPS = {"medical": COLOURS[0], "modality_specific": COLOURS[2], "general": COLOURS[1]}
_GROUP_NAMES = {"medical": "medical", "modality_specific": "modality-specific", "general": "general"}
_INK = "#222222"


def draw_critical_difference(
    path: Path, compared: Compared[RankingsRecord], metric: str, names: Mapping[str, str], groups: Mapping[str, str]
) -> None:
    """Write the diagram (Demsar 2006) of one metric's ranks; `names` and `groups` by model id.

    The better half of the models stands at the left; a line leads from each name to its mean rank. Raises ValueError
    without ranks.
    """
    ranks = compared.record.rankings[metric].ranks
    if ranks is None:
        raise ValueError("no ranks to draw")
    mean = dict(zip(ranks.models, ranks.mean_ranks, strict=True))
    order = sorted(mean, key=lambda model: mean[model])
    half = (len(order) + 1) // 2
    bars_in = _BAR_IN * (len(ranks.cliques) + 1)
    with style():
        figure = new_figure(7.2, _HEAD_IN + bars_in + _LINE_IN * (half + 2))
        axes = figure.add_subplot()
        k = len(order)
        axes.set(xlim=(1 - 0.62 * (k - 1), k + 0.62 * (k - 1)), ylim=(-bars_in - _LINE_IN * (half + 1.5), 0.45))
        axes.axis("off")
        _axis(axes, k, ranks.critical_difference)
        _bars(axes, [(mean[clique[0]], mean[clique[-1]]) for clique in ranks.cliques], k)
        for side, models in ((-1, order[:half]), (1, order[half:][::-1])):
            for row, model in enumerate(models):
                y = -bars_in - _LINE_IN * (row + 0.6)
                _leader(axes, (mean[model], y), side, k, label(names[model], 30), groups.get(model, ""))
        figure.suptitle(_title(compared, metric, ranks), x=0.01, ha="left", fontsize=9)
        _legend(axes, [groups.get(model, "") for model in order])
        save_chart(figure, path, _parameters(compared, metric, ranks))


def _axis(axes: Axes, k: int, critical: float) -> None:
    """Draw ranks 1 to k and, above, how far apart two models have to be."""
    axes.plot([1, k], [0, 0], color=_INK, lw=0.8)
    step = max(1, round(k / 10))
    for rank in [*range(1, k - step // 2, step), k]:
        axes.plot([rank, rank], [0, 0.05], color=_INK, lw=0.8)
        axes.text(rank, 0.07, f"{rank}", ha="center", va="bottom", fontsize=7)
    end = min(1 + critical, k + 0.6 * (k - 1))
    axes.plot([1, end], [0.3, 0.3], color=_INK, lw=1.2)
    for x in (1, end):
        axes.plot([x, x], [0.27, 0.33], color=_INK, lw=1.2)
    axes.text((1 + end) / 2, 0.33, f"critical difference {critical:.2f}", ha="center", va="bottom", fontsize=7)


def _bars(axes: Axes, spans: Sequence[tuple[float, float]], k: int) -> None:
    for index, (low, high) in enumerate(spans):
        y = -_BAR_IN * (index + 1)
        axes.plot([low - 0.004 * k, high + 0.004 * k], [y, y], color=_INK, lw=2.6, solid_capstyle="butt")


def _leader(axes: Axes, at: tuple[float, float], side: int, k: int, name: str, group: str) -> None:
    """Draw a model's name at the left (-1) or right (1), joined to its rank; `at` is (rank, height of the name)."""
    colour, (rank, y) = _GROUPS.get(group, _INK), at
    x = 1 - 0.03 * k if side < 0 else k + 0.03 * k
    axes.plot([rank, rank, x], [0, y, y], color=colour, lw=0.7)
    text = f"{name}  {rank:.2f}" if side < 0 else f"{rank:.2f}  {name}"
    axes.text(x + side * 0.012 * k, y, text, ha="right" if side < 0 else "left", va="center", fontsize=7, color=colour)


def _legend(axes: Axes, groups: Sequence[str]) -> None:
    present = [group for group in _GROUPS if group in groups]
    if len(present) > 1:
        handles = [axes.plot([], [], color=_GROUPS[group], lw=2, label=_GROUP_NAMES[group])[0] for group in present]
        axes.legend(handles=handles, loc="lower center", ncols=len(handles), fontsize=7)


def _title(compared: Compared[RankingsRecord], metric: str, ranks: RanksRecord) -> str:
    shown = {"accuracy": "accuracy", "f1": "F1"}.get(metric, label(metric))
    apart, pairs = len(ranks.separable), len(ranks.pairs)
    return (
        f"Mean ranks by {shown} · protocol {label(compared.protocol)} · "
        f"{len(ranks.models)} models on {ranks.datasets} datasets\n"
        f"Friedman chi2 {ranks.chi2:.1f}, p {ranks.p_value:.2g} ({ranks.method}) · "
        f"{apart} of {pairs} pairs told apart (Nemenyi, level {ranks.alpha:g})"
    )


def _parameters(compared: Compared[RankingsRecord], metric: str, ranks: RanksRecord) -> dict[str, object]:
    shown = ("models", "mean_ranks", "datasets", "chi2", "p_value", "method", "critical_difference", "alpha", "cliques")
    ranking = compared.record.rankings[metric]
    return {
        "protocol": compared.protocol,
        "metric": metric,
        "on": list(ranking.datasets),
        "left_out": list(ranking.left_out),
        "key": compared.key,
        **{name: getattr(ranks, name) for name in shown},
    }
