"""The colours of the screens: dark, calm, with hues that colour-blind eyes tell apart."""

from __future__ import annotations

from textual.theme import Theme

from medvlm_tui.tui.states import GREEN, ORANGE, RED, SKY

MEDVLM = Theme(
    name="medvlm",
    primary=SKY,
    secondary=ORANGE,
    accent=SKY,
    success=GREEN,
    warning=ORANGE,
    error=RED,
    foreground="#d7dde5",
    background="#0f1318",
    surface="#141a21",
    panel="#1c242d",
    dark=True,
)
