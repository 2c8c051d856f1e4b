"""`genkit compare` on what `genkit eval` wrote."""

from pathlib import Path

import pytest
from command_cases import done, genkit, refused

SMALL = ("n=70", "bootstrap=3", "floor_repeats=2")


@pytest.mark.slow
def test_two_evaluations_side_by_side(vae: Path, diffusion: Path) -> None:
    done("eval", f"ckpt={vae}", "metric=[fid,coverage]", "out=a", *SMALL)
    done("eval", f"ckpt={diffusion}", "metric=[fid,coverage]", "out=b", "baselines=[marginals,copies]", *SMALL)
    answer = genkit("compare", "a", "b/results.json", "out=table")
    assert answer.code == 0
    written = ["compare.csv", "compare.html", "compare.md", "compare.png"]
    assert sorted(path.name for path in Path("table").iterdir()) == written
    text = Path("table/compare.md").read_text()
    for name in (
        "vae",
        "diffusion",
        "pixel Gaussian",
        "pixel marginals",
        "training copies",
        "real data",
        "fid[digits]",
    ):
        assert name in text
        assert name in answer.out
    done("compare", "a", "b", "metric=coverage")
    assert "fid" not in next(Path("outputs/compare").iterdir()).joinpath("compare.md").read_text().splitlines()[0]


def test_what_cannot_be_compared_is_one_line_and_leaves_nothing(vae: Path) -> None:
    done("eval", f"ckpt={vae}", "metric=fid", "out=a", "baselines=false", *SMALL)
    done("eval", f"ckpt={vae}", "metric=fid", "out=b", "baselines=false", "n=60", "bootstrap=3", "floor_repeats=2")
    assert "has n 70" in refused(2, "compare", "a", "b", "out=table")
    assert "usage" in refused(2, "compare")
    assert "did you mean" in refused(2, "compare", "a", "metrics=fid")
    assert "genkit eval" in refused(3, "compare", "nowhere")
    damaged = Path("damaged", "results.json")
    damaged.parent.mkdir()
    damaged.write_text('{"schema": "genkit.eval/1", "results": [{}]}')
    assert "damaged/results.json" in refused(3, "compare", "damaged", "out=table")
    assert not Path("table").exists()


def test_values_under_other_parameters_are_not_compared(vae: Path) -> None:
    options = ("baselines=false", "n=70", "bootstrap=3", "floor_repeats=0")
    done("eval", f"ckpt={vae}", "metric=[precision,coverage]", "out=a", *options)
    done("eval", f"ckpt={vae}", "metric=[precision,coverage]", "metric.precision.k=9", "out=b", *options)
    line = refused(2, "compare", "a", "b", "out=table")
    assert "precision: vae a (a/results.json) has k 3, vae b (b/results.json) has 9" in line
    assert "metric=coverage" in line
    done("compare", "a", "b", "metric=coverage")
