"""A table of mixed columns through every verb: trained on by four families, sampled to a file, scored, described."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from command_cases import arguments, done, genkit, mostly_slow

from genkit.data.tables.files import read_table

KINDS = "data.columns={note:[low,mid,high]}"
SMALL = ("floor_repeats=0", "bootstrap=0", "baselines=false")
LIKELY = ("vae", "flow")  # whose likelihood costs little
SCORED = ("column_shapes", "pair_trends", "detection", "efficacy", "privacy", "exact_copies")


@pytest.fixture(scope="module")
def words(mixed_table: Path) -> list[str]:
    return ["data=table", f"data.root={mixed_table}", KINDS, "data.target=grade", "data.test=0.3"]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def values(out: Path) -> dict[str, float | None]:
    """Scores by metric."""
    return {record["metric"]: record["value"] for record in json.loads((out / "results.json").read_text())["results"]}


@pytest.mark.parametrize("family", mostly_slow(["vae", "flow", "gan", "diffusion"], "flow"))
def test_every_family_trains_on_a_table_and_gives_rows_of_it(family, words, mixed_table, work):
    done(*arguments(family, *words, "trainer.max_steps=20", "run_dir=run"))
    out = done("sample", "ckpt=run", "n=60", "out=samples")
    assert "planet" in out  # the first rows are printed
    real, made = read_table(mixed_table), read_table(work / "samples" / "samples.csv")
    assert made.names == real.names
    assert len(made) == 60
    for column in made.columns:
        allowed = set(real.column(column.name).texts)
        if column.name not in ("age", "income", "joined"):
            assert set(column.texts) <= allowed, column.name
    done("eval", "samples=samples/samples.csv", *words, *SMALL, "out=of_file")
    by_file = values(work / "of_file")
    assert all(by_file[name] is not None for name in SCORED)
    assert by_file["nll"] is None
    metrics = ["column_shapes", "exact_copies"] + (["nll"] if family in LIKELY else [])
    done("eval", "ckpt=run", "n=60", *SMALL, f"metric=[{','.join(metrics)}]", "out=of_model")
    by_model = values(work / "of_model")
    assert [by_model[name] for name in metrics[:2]] == [by_file[name] for name in metrics[:2]]
    assert all(by_model[name] is not None for name in metrics)


@pytest.mark.slow
def test_labels_are_the_classes_of_the_target(words, work):
    """They are asked for by name, rows of a class say so, and unasked they come in the shares of the training rows."""
    done(*arguments("vae", *words, "model.conditional=true", "trainer.max_steps=4", "run_dir=run"))
    done("sample", "ckpt=run", "n=30", "y=rich", "out=rich")
    assert {row["grade"] for row in rows_of(work / "rich" / "samples.csv")} == {"rich"}
    assert set(np.load(work / "rich" / "samples.npz")["y"].tolist()) == {2}  # old, other, rich
    done("sample", "ckpt=run", "n=400", "out=all")
    found = [row["grade"] for row in rows_of(work / "all" / "samples.csv")]
    done("data", "show", *words, "out=told")
    classes = json.loads((work / "told" / "data.json").read_text())["classes"]
    total = sum(counts[0] for counts in classes.values())
    for name, counts in classes.items():
        assert found.count(name) / 400 == pytest.approx(counts[0] / total, abs=0.02)
    for y, reason in (("poor", "no such label; there are old, other, rich"), ("3", "the model knows the labels 0 … 2")):
        answer = genkit("sample", "ckpt=run", f"y={y}", "out=none")
        assert (answer.code, reason in answer.err) == (2, True), answer.err
    text = Path(words[1].partition("=")[2]).read_text(encoding="utf-8")
    (work / "later.csv").write_text(text.replace("79", "99"), encoding="utf-8")
    answer = genkit("eval", "ckpt=run", "data.root=later.csv", *SMALL)
    assert (answer.code, "score a file of its samples" in answer.err) == (2, True), answer.err


def test_a_table_is_described_by_its_columns(words, work):
    out = done("data", "show", *words, "out=told")
    for line in (
        "grade is to be predicted from the others",
        "rich",
        "joined  date         ",
        "note    ordinal      3 levels: ",
        "empty   categorical  400 missing; no value at all",
    ):
        assert line in out, out
    facts = json.loads((work / "told" / "data.json").read_text())
    age = facts["columns"][0]
    assert (age["name"], age["kind"], age["least"], age["most"]) == ("age", "integer", "18", "79")
    assert 20 < age["missing"] < 60
    assert list(facts["classes"]) == ["old", "other", "rich"]
    assert "nothing to prepare" in done("data", "prepare", *words)


def test_a_table_that_cannot_be_is_refused_in_one_line(words, mixed_table, work):
    """By every verb that reads one, with the exit code of data; of words that cannot be, with that of usage."""
    text = mixed_table.read_text(encoding="utf-8")
    (work / "ragged.csv").write_text(text + "1,2\n", encoding="utf-8")
    (work / "unseen.csv").write_text(text.replace("earth", "mars"), encoding="utf-8")
    for argv, code, reason in (
        (["train", "data=table", "data.root=nowhere.csv"], 3, "nowhere.csv does not exist"),
        (["train", "data=table", "data.root=ragged.csv"], 3, "has 2 and the header 10 cells"),
        (["data", "show", *words, "data.drop=[grade]"], 3, "data.drop= leaves it out"),
        (["data", "prepare", *words, "data.drop=moon"], 3, "no column moon"),
        (["train", *words[:2], "data.columns={city: number}"], 2, "numeric, integer, categorical"),
        (["eval", "samples=unseen.csv", *words], 3, "mars is not one of the levels earth"),
    ):
        answer = genkit(*argv)
        assert (answer.code, reason in answer.err) == (code, True), (argv, answer)
        assert answer.err.count("\n") == 1, answer.err
        assert answer.out == ""
