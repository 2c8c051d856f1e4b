"""Wrong command lines: one line, the key, the nearest right name, the code, and nothing run or written."""

import pytest

REFUSED = {
    "verb": (["trian"], "did you mean train?"),
    "flag": (["train", "--multrun"], "did you mean --multirun?"),
    "flag without value": (["train", "--cfg"], "--cfg needs a value"),
    "pickle": (["train", "--experimental-rerun", "x"], "pickle"),
    "option": (
        ["train", "model=difusion"],
        "model=difusion: there is no such option of model; did you mean diffusion? try: genkit train model=diffusion",
    ),
    "option in a sweep": (["train", "-m", "model=gan,difusion"], "model=difusion: "),
    "option in a list": (["eval", "metric=[fid,kdi]"], "metric=kdi: "),
    "suite": (["eval", "metric=suite/imag"], "did you mean suite/image?"),
    "group": (["train", "modle=gan"], "modle: unknown key; did you mean model?"),
    "key": (["train", "seeed=1"], "seeed: unknown key; did you mean seed?"),
    "nested key": (["train", "model.latent_dm=1"], "model.latent_dm: unknown key; did you mean model.latent_dim?"),
    "key of a chosen option": (["train", "optimizer=sgd", "optimizer.betas=1"], "optimizer has lr, momentum"),
    "leaf only": (["train", "max_steps=1"], "did you mean trainer.max_steps?"),
    "option not chosen": (["train", "sampler.steps=1"], "choose an option first: sampler=heun|once"),
    "bare word": (["train", "digits"], "did you mean data=digits?"),
    "grammar": (["train", "seed=a=b"], "seed: cannot read the value a=b"),
    "sweep without -m": (["train", "model=gan,plain"], "add -m"),
    "two models": (["train", "model=[gan,plain]"], "model takes one option"),
    "missing": (["sample"], "there is no finished run below outputs/train: train one"),
    "group taken out": (["train", "~data"], "data: the configuration has lost this group"),
    "config dir": (["train", "--config-dir", "nowhere"], "there is no folder nowhere"),
    "empty": (["train", "seed="], "seed=: the value is missing; try: genkit train seed=0"),
    "type": (["train", "seed=1.5"], "seed: 1.5 is not an integer ≥ 0"),
    "bool": (["train", "seed=true"], "seed: true is not an integer ≥ 0"),
    "range": (["sample", "ckpt=x", "n=0"], "n: 0 is not an integer ≥ 1"),
    "minus one": (["eval", "n=-1"], "n: -1 is not an integer ≥ 1"),
    "literal": (["sample", "ckpt=x", "weights=eam"], "did you mean ema?"),
    "list kind": (["list", "modls"], "did you mean models?"),
    "verify": (["verify"], "there is no finished run below outputs/train"),
    "export": (["export", "cpkt=1"], "did you mean ckpt?"),
}


@pytest.mark.parametrize(("argv", "text"), REFUSED.values(), ids=REFUSED)
def test_one_line_and_code_2(genkit, tmp_path, argv, text):
    code, ran, err = genkit(*argv)
    assert code == 2
    assert not ran
    assert err.startswith("genkit: error: ")
    assert err.count("\n") == 1
    assert text in err
    assert not list((tmp_path / "work").iterdir())


def test_hydra_errors_of_a_users_file_are_one_line(genkit, conf):
    (conf / "model" / "broken.yaml").write_text("a: [1\nb: }")
    code, _, err = genkit("train", "model=broken")
    assert (code, err.count("\n")) == (2, 1)
    assert "broken.yaml" in err


def test_a_failing_job_is_its_line_and_code(genkit):
    assert genkit("train", "seed=2")[::2] == (3, "genkit: error: two lines\n")
    code, _, err = genkit("train", "seed=3")
    assert (code, err) == (1, "genkit: internal error: RuntimeError: boom (debug=true shows the traceback)\n")


def test_debug_shows_the_traceback(genkit):
    assert "Traceback" in genkit("train", "seed=3", "debug=true")[2]


def test_a_sweep_goes_on_after_a_failure_and_ends_with_its_code(genkit, tmp_path):
    code, ran, err = genkit("train", "-m", "seed=1,2,3,4", "run_dir=a, b", "hydra/launcher=basic")
    assert code == 3
    assert [config["seed"] for config in ran] == [1, 2, 3, 4]
    assert [config["run_dir"] for config in ran] == [f"a, b/{number}-seed={number + 1}" for number in range(4)]
    assert "2 of 4 jobs failed" in err
    assert "job 1  exit 3  seed=2" in err
    assert "job 2  exit 1  seed=3" in err
    assert sorted(path.name for path in (tmp_path / "work" / "a, b").iterdir()) == [".lock", "sweep.csv", "sweep.json"]


def test_signals_pass_through_a_job(genkit, monkeypatch):
    from genkit import cli

    monkeypatch.setitem(cli.VERBS, "train", cli.VERBS["train"]._replace(target=f"{__name__}:interrupted"))
    assert genkit("train")[0] == 130
    monkeypatch.setitem(cli.VERBS, "train", cli.VERBS["train"]._replace(target=f"{__name__}:terminated"))
    assert genkit("train", "-m", "seed=1,2", "hydra/launcher=basic")[0] == 143


def interrupted(config):
    raise KeyboardInterrupt


def terminated(config):
    raise SystemExit(143)
