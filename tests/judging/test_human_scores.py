"""Scores of simulated people: what is known of them comes out, whatever the sides."""

import random

import pytest

from genkit.errors import DataError
from genkit.judging.answers import Answer
from genkit.judging.plan import Design, plan
from genkit.judging.scores import human_scores
from genkit.judging.study import Key

N = 30
MARK = "mark"
REFERENCE = {"name": "digits", "split": "test", "n": 100, "hash": "0" * 64}


def key_of(task, names, **more):
    numbers = list(range(N * len(names) + 10))
    random.Random(0).shuffle(numbers)
    sources = {name: numbers[i * N : (i + 1) * N] for i, name in enumerate(names)}
    facts = {"seed": 0, "trials": 60, "repeats": 0.1, "checks": 0.1, "real": "real" if "real" in names else None}
    design = Design(task=task, sources=sources, noise=numbers[N * len(names) :], **(facts | more))
    return Key(design, REFERENCE, {name: {} for name in names}, "salt")


def answers_of(key, rater, choose):
    """What a rater says whose choice is a function of the names of the sources ("noise" for noise)."""
    names = {i: name for name, numbers in key.design.sources.items() for i in numbers}
    found = []
    for i, trial in enumerate(plan(key.design, rater)):
        shown = [names.get(n, "noise") for n in (trial.left, trial.right) if n is not None]
        found.append(Answer(MARK, rater, i, trial.left, trial.right, choose(trial, *shown), 1.0))
    return found


def scored(key, raters, repeats=200):
    answers = [answer for name, choose in raters.items() for answer in answers_of(key, name, choose)]
    found = human_scores(key, MARK, answers, repeats, 0)
    return {(record.metric, record.source): record for record in found.records}, found


def random_rater(seed, words):
    draw = random.Random(seed)
    return lambda trial, *shown: "fake" if shown == ("noise",) else careful(draw, words, shown)


def careful(draw, words, shown):
    """At random, but never the noise."""
    if "noise" in shown:
        return words[1 - shown.index("noise")]
    return draw.choice(words)


def test_random_raters_err_in_half_of_the_cases():
    key = key_of("real_or_fake", ["real", "vae"])
    raters = {f"r{i}": random_rater(i, ["real", "fake"]) for i in range(20)}
    records, _ = scored(key, raters)
    error = records["human_error_rate", "vae"]
    assert error.ci95[0] < 0.5 < error.ci95[1]
    assert error.value == pytest.approx(0.5, abs=0.05)
    assert records["d_prime", "vae"].value == pytest.approx(0.0, abs=0.2)
    assert records["krippendorff_alpha", "all raters"].value == pytest.approx(0.0, abs=0.1)
    assert records["order_effect", "all raters"].findings["p"] > 0.01


def test_people_who_see_it_all_never_err():
    key = key_of("real_or_fake", ["real", "vae"])
    see = lambda trial, source: "real" if source == "real" else "fake"  # noqa: E731
    records, found = scored(key, {"ann": see, "bob": see})
    assert records["human_error_rate", "vae"].value == 0.0
    assert records["fooling_rate", "vae"].value == 0.0
    assert records["fooling_rate", "real"].value == 1.0
    assert records["d_prime", "vae"].value > 3
    assert records["krippendorff_alpha", "all raters"].value == 1.0
    assert records["self_consistency", "all raters"].value == 1.0
    assert found.left_out == []


def test_who_does_not_look_is_left_out():
    key = key_of("real_or_fake", ["real", "vae"])
    see = lambda trial, source: "real" if source == "real" else "fake"  # noqa: E731
    always = lambda trial, source: "real"  # noqa: E731
    records, found = scored(key, {"ann": see, "bob": see, "lazy": always})
    assert found.left_out == ["lazy"]
    assert records["human_error_rate", "vae"].value == 0.0
    assert [row["left_out"] for row in found.raters] == [False, False, True]
    with pytest.raises(DataError, match="attention checks"):
        scored(key, {"lazy": always})


def preferring(order, draw):
    """Prefer sources of higher strength, by the Bradley–Terry probabilities; never noise."""

    def choose(trial, left, right):
        chance = 1 / (1 + 2.718281828 ** (order[right] - order[left]))
        return "left" if draw.random() < chance else "right"

    return choose


STRENGTHS = {"vae": 0.5, "gan": 0.0, "flow": -0.5, "noise": -50.0}


def test_strengths_are_found():
    key = key_of("2afc", ["vae", "gan", "flow"], trials=90)
    raters = {f"r{i}": preferring(STRENGTHS, random.Random(i)) for i in range(15)}
    records, _ = scored(key, raters, repeats=400)
    for name in ("vae", "gan", "flow"):
        low, high = records["bradley_terry", name].ci95
        assert low < STRENGTHS[name] < high
    assert records["probability_best", "vae"].value > 0.95
    assert records["win_rate", "vae"].value > records["win_rate", "gan"].value > records["win_rate", "flow"].value
    assert records["order_effect", "all raters"].findings["p"] > 0.01


def test_exchanging_sides_changes_nothing_but_the_order_effect():
    """Every pair shown the other way round, and answered with the same image."""
    key = key_of("2afc", ["vae", "gan", "flow"], trials=30, repeats=0, checks=0)
    other = {"left": "right", "right": "left"}
    straight = answers_of(key, "ann", preferring(STRENGTHS, random.Random(1)))
    one = human_scores(key, MARK, straight, 50, 0).records
    mirrored = plan_swapped(key, straight, other)
    two = human_scores(mirrored[0], MARK, mirrored[1], 50, 0).records
    for a, b in zip(one, two, strict=True):
        assert (a.metric, a.source) == (b.metric, b.source)
        if a.value is not None:
            assert a.value == pytest.approx(-b.value if a.metric == "order_effect" else b.value, abs=1e-9)


def plan_swapped(key, answers, other):
    """The same answers with the sides exchanged, in a study whose plan is exchanged too."""
    import genkit.judging.rated as rated
    from genkit.judging.plan import Trial

    real_plan = plan
    swapped = [Answer(a.study, a.rater, a.trial, a.right, a.left, other[a.answer], 1.0) for a in answers]
    rated.plan = lambda design, rater: [Trial(t.right, t.left, t.kind) for t in real_plan(design, rater)]
    return key, swapped


@pytest.fixture(autouse=True)
def plan_as_it_was():
    import genkit.judging.rated as rated

    before = rated.plan
    yield
    rated.plan = before


def test_models_that_were_never_compared_are_named():
    key = key_of("2afc", ["vae", "gan", "flow", "pixel"], trials=60, repeats=0, checks=0)
    names = {i: name for name, numbers in key.design.sources.items() for i in numbers}
    all_answers = answers_of(key, "ann", lambda trial, left, right: "left")
    together = [{"vae", "gan"}, {"flow", "pixel"}]
    some = [a for a in all_answers if {names[a.left], names[a.right]} in together]
    with pytest.raises(DataError, match=r"vae, gan \| flow, pixel"):
        human_scores(key, MARK, some, 50, 0)


def test_ties_are_taken():
    key = key_of("2afc", ["real", "vae"], checks=0)
    records, _ = scored(key, {"ann": lambda *_: "tie", "bob": lambda *_: "tie"})
    assert records["bradley_terry", "vae"].value == pytest.approx(0, abs=1e-6)
    assert records["win_rate", "vae"].value == 0.5


def test_answers_that_are_not_of_the_study():
    key = key_of("real_or_fake", ["real", "vae"])
    good = answers_of(key, "ann", lambda trial, source: "real" if source == "real" else "fake")
    with pytest.raises(DataError, match="another study"):
        human_scores(key, "other", good, 0, 0)
    a = good[3]
    for changed in (Answer(MARK, "ann", 3, a.left + 1, None, "real", 1.0), Answer(MARK, "ann", 999, 1, None, "real", 1),
                    Answer(MARK, "ann", 3, a.left, None, "left", 1.0)):  # fmt: skip
        with pytest.raises(DataError, match="trial"):
            human_scores(key, MARK, [changed], 0, 0)
    with pytest.raises(DataError, match="no answers to score"):
        human_scores(key, MARK, [], 0, 0)


def test_one_rater_has_no_interval():
    key = key_of("real_or_fake", ["real", "vae"])
    records, _ = scored(key, {"ann": random_rater(0, ["real", "fake"])})
    assert records["human_error_rate", "vae"].ci95 is None
    assert any("one rater" in note for note in records["human_error_rate", "vae"].notes)
