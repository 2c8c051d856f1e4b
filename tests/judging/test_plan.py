"""Plans of raters: shares, sides, repeats and checks, and nothing in them that tells an image's source."""

from collections import Counter

import pytest

from genkit.judging.plan import Design, plan

N = 20


def design(task, names, **more):
    numbers = [[i * N + j for j in range(N)] for i in range(len(names))]
    facts = {"seed": 0, "trials": 40, "repeats": 0.1, "checks": 0.05, "real": "real" if "real" in names else None}
    sources = dict(zip(names, numbers, strict=True))
    noise = list(range(1000, 1005))
    return Design(task=task, sources=sources, noise=noise, **(facts | more))


def source_of(design, number):
    return next(name for name, numbers in design.sources.items() if number in numbers)


DESIGNS = {
    "one model": design("real_or_fake", ["real", "vae"]),
    "three models": design("real_or_fake", ["real", "vae", "gan", "flow"], trials=33),
    "pair": design("2afc", ["real", "vae"]),
    "four": design("2afc", ["vae", "gan", "flow", "diffusion"], trials=60),
}


@pytest.mark.parametrize("name", DESIGNS)
def test_the_order_is_a_function_of_seed_and_rater(name):
    one = DESIGNS[name]
    assert plan(one, "ann") == plan(one, "ann")
    assert plan(one, "ann") != plan(one, "bob")
    assert plan(one, "ann") != plan(Design(**{**vars(one), "seed": 1}), "ann")


@pytest.mark.parametrize("name", DESIGNS)
def test_numbers_of_trials(name):
    one = DESIGNS[name]
    kinds = Counter(trial.kind for trial in plan(one, "ann"))
    assert kinds["first"] == one.trials
    assert kinds["repeat"] == round(0.1 * one.trials)
    assert kinds["check"] == -(-one.trials // 20)


@pytest.mark.parametrize("name", ["one model", "three models"])
def test_half_are_real_and_models_have_equal_shares(name):
    one = DESIGNS[name]
    shown = Counter(source_of(one, t.left) for t in plan(one, "ann") if t.kind == "first")
    assert shown["real"] == one.trials - one.trials // 2
    fakes = [n for source, n in shown.items() if source != "real"]
    assert sum(fakes) == one.trials // 2
    assert max(fakes) - min(fakes) <= 1


@pytest.mark.parametrize("name", ["pair", "four"])
def test_pairs_have_equal_shares_and_sides(name):
    one = DESIGNS[name]
    first = [t for t in plan(one, "ann") if t.kind == "first"]
    sides = Counter((source_of(one, t.left), source_of(one, t.right)) for t in first)
    for a, b in one.pairs:
        assert abs(sides[a, b] - sides[b, a]) <= 1
        assert abs(sides[a, b] + sides[b, a] - one.trials / len(one.pairs)) < 1
    assert all(t.left % N == t.right % N for t in first)  # images of one place, so of one class


@pytest.mark.parametrize("name", DESIGNS)
def test_repeats_come_later_with_their_sides_exchanged(name):
    trials = plan(DESIGNS[name], "ann")
    for place, trial in enumerate(trials):
        if trial.kind == "repeat":
            before = [t for t in trials[:place] if t.kind == "first"]
            earlier = (trial.left, None) if trial.right is None else (trial.right, trial.left)
            assert earlier in [(t.left, t.right) for t in before]


@pytest.mark.parametrize("name", DESIGNS)
def test_checks_show_noise(name):
    one = DESIGNS[name]
    checks = [t for t in plan(one, "ann") if t.kind == "check"]
    assert all({t.left, t.right} & set(one.noise) for t in checks)


def test_the_place_of_a_trial_tells_nothing():
    """Over many raters a real image stands in the first quarter as often as in any other."""
    one, quarters = DESIGNS["one model"], Counter()
    for rater in range(200):
        first = [t for t in plan(one, str(rater)) if t.kind == "first"]
        quarters.update(4 * i // len(first) for i, t in enumerate(first) if t.left < N)
    assert all(abs(n / 1000 - 1) < 0.1 for n in quarters.values())
