"""The row of progress: what is never cut, what gives way, and how it reads."""

import io

import pytest
from rich.console import Console

from genkit.report.progress_row import ProgressRow

GAN = {
    "train/discriminator/loss": 0.5755,
    "train/discriminator/real_logits": 1.25,
    "train/discriminator/adversarial": 0.5,
    "train/generator/loss": 1234.5,
    "train/generator/adversarial": 1.0,
}
VAE = {"train/loss": 40.25, "train/kl": 12.5}


def rendered(row: ProgressRow, width: int) -> str:
    out = io.StringIO()
    Console(width=width, file=out, force_terminal=True, color_system=None).print(row)
    return out.getvalue()


@pytest.mark.parametrize(
    ("losses", "width", "end"),
    [
        (GAN, 60, "D 0.576  …"),
        (GAN, 80, "D 0.576  G 1234  …"),
        (GAN, 120, "discriminator 0.576  generator 1234  real_logits 1.25  …"),
        (VAE, 60, "loss 40.2  …"),
        (VAE, 80, "loss 40.2  kl 12.5"),
        ({}, 60, "left"),
    ],
)
def test_the_losses_that_are_minimised_come_first_as_far_as_there_is_room(losses, width, end):
    line = rendered(ProgressRow(345, 1000, 12.345, losses), width)
    assert line.startswith("step   345/1,000 ━━")
    assert "12.3 steps/s, 0:53 left" in line
    assert line.endswith(end)
    assert len(line) <= width


@pytest.mark.parametrize(
    ("rate", "said"), [(3000.0, "3000.0 steps/s, 5:33 left"), (20.0, "20.0 steps/s, 13:53:20 left"),
                       (0.5, "2.0 s/step, 23 d 3 h left"), (0.0, "")],
)  # fmt: skip
def test_a_line_of_a_log_has_everything(rate, said):
    line = ProgressRow(1_000, 1_001_000, rate, GAN).plain()
    assert line == "  ".join(
        [
            "step     1,000/1,001,000",
            *([said] if said else []),
            "discriminator 0.576",
            "generator 1234",
            "real_logits 1.25",
            "discriminator/adversarial 0.5",
            "generator/adversarial 1",
        ]
    )


def test_in_ascii_the_bar_is_of_hyphens():
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(width=60, file=out, force_terminal=True, color_system=None).print(ProgressRow(1, 2, 1.0, VAE))
    out.flush()
    assert b" ------" in out.buffer.getvalue()
