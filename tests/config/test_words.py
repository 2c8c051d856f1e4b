"""What a person types is answered with the next command, in one line without a word of Hydra's."""

import pytest
from script import script_named

from genkit import cli
from genkit.config.hydra.catalog import Catalog
from genkit.config.hydra.synonyms import PLAIN_TERMS, TERMS, VERB_WORDS
from genkit.config.hydra.words import Words
from genkit.config.suggestions import edit_distance, nearest_name

CATALOG = Catalog.of(Words())

# what was typed -> the command in the answer; "" where none can be known, and then a word of the line
ANSWERED = {
    "trian model=vae": "train model=vae",
    "model=vae train": "train model=vae",
    "model=vae": "train model=vae",
    "version": "--version",
    "resume runs/vae": "train resume=runs/vae",
    "info": "doctor",
    "generate ckpt=R n=3": "sample ckpt=R n=3",
    "evaluate ckpt=R": "eval ckpt=R",
    "ls": "list models",
    "list vae": "list models",
    "list modls": "list models",
    "train vae": "train model=vae",
    "train gpu": "train trainer=gpu",
    "train runs/vae": "train resume=runs/vae",
    "train lr=1e-3 batch_size=32": "train optimizer.lr=1e-3 data.batch_size=32",
    "train model=vae,gan": "train --multirun model=vae,gan",
    "train dataset=mnist": "train data=mnist",
    "train data=mnsit optimizer=Adam": "train data=mnist optimizer=adam",
    "train model=vea": "train model=vae",
    "train model=Beta-VAE": "train model=beta_vae",
    "train data=vae": "train model=vae",
    "train --model vae": "train model=vae",
    "train --model vae --epochs 5": "train model=vae trainer.max_steps=1000",
    "train -e 5 --batch-size=32 seed=1": "train trainer.max_steps=1000 data.batch_size=32 seed=1",
    "train trainer.max_epochs=5": "train trainer.max_steps=1000",
    "train steps=100": "train trainer.max_steps=100",
    "train device=cuda": "train trainer=gpu",
    "train device=cpu": "train trainer=cpu",
    "train trainer.precision=fp16": "train trainer.precision=16-mixed",
    "train out=foo": "train run_dir=foo",
    "train --output-dir foo": "train run_dir=foo",
    "train ckpt=R": "train resume=R",
    "train checkpoint=R seed=1": "train resume=R seed=1",
    "train pretrained=R": "train start=R",
    "train --no-ema": "train ema=null",
    "train --config mine/experiment/x.yaml": "train --config-dir mine experiment=x",
    "train model=": "train model=diffusion",
    "train logger=tb": "train logger=tensorboard",
    "train wandb=true": "train logger=wandb",
    "train +seeed=7": "train seed=7",
    "train ++max_epochs=5": "train trainer.max_steps=1000",
    "train +checkpoint_dir=x": "train run_dir=x",
    "train ~ema": "train ema=null",
    "train ~checkpoint": "train",
    "train hydra.run.dir=x": "train run_dir=x",
    "train hydra/sweeper=optuna": "train hydra/sweeper=genkit_optuna",
    "train hydra/launcher=joblib": "train",
    "train model=gan model.penalties[0].gamma=1.0": "train model=gan model.penalties.0.gamma=1.0",
    "train experiment=digits_diffusion model=vae": "train experiment=digits_diffusion",
    "train seed": "train seed=0",
    "train help_me=1 model=vae": "",
    "sample ckpt=R out=grid.png": "sample ckpt=R out=grid",
    "sample runs/vae": "sample ckpt=runs/vae",
    "sample ckpt=R model=vae": "sample ckpt=R",
    "sample ckpt=R num_samples=10": "sample ckpt=R n=10",
    "sample ckpt=R --num-steps 20 --cfg-scale 3": "sample ckpt=R sampler.steps=20 guidance.scale=3",
    "sample ckpt=R trainer.max_steps=3": "sample ckpt=R",
    "sample ckpt=R weights=eam": "sample ckpt=R weights=ema",
    "sample ckpt=R guidance=3": "sample ckpt=R guidance.scale=3",
    "sample ckpt=R ~guidance": "sample ckpt=R",
    "eval ckpt=R metric=FID": "eval ckpt=R metric=fid",
    "eval ckpt=R metrics=fid": "eval ckpt=R metric=fid",
    "eval ckpt=R ~sweep": "eval ckpt=R",
    "eval ckpt=R features=inceptoin": "eval ckpt=R features=inception",
}  # fmt: skip

UNREADABLE = [
    "model=[vae", "model=vae]", "model='vae", 'model="vae', "model={vae", "model=(vae)", "model==vae", "model:vae",
    "model:=vae", "model = vae", "model= vae", "model =vae", "model=", "=vae", "=", "''", "model=vae,", "model=,vae",
    "model=vae;", "–model vae", "—model=vae", "“model=vae”", "model=“vae”", "model=‘vae’", "model＝vae", "--model",
    "--", "seed=[1", "seed={1", "seed='1", "seed==1", "seed=1,2", "seed=range(1,3)", "optimizer.lr=interval(0,1)",
    "+model=", "~", "~nothing", "+++seed=1", "model@x=vae", "model/vae=1", "optimizer.betas=[0.9", "seed=${x",
    "--cfg nothing", "--info=nothing", "--multirun=3", "data.=1", ".lr=1", "model..latent_dim=1",
]  # fmt: skip
OTHERS_WORDS = ("Hydra", "OmegaConf", "Lexer", "Traceback", "internal error", "defaults list", "mismatched", "usage:")


@pytest.fixture
def answer(capsys, tmp_path, monkeypatch):
    """answer("train model=vea") -> (exit code, what stands on standard error); nothing is written."""
    monkeypatch.chdir(tmp_path)

    def call(line: str) -> tuple[int, str]:
        code = cli.main(line.split(" "))
        assert not list(tmp_path.iterdir())
        return code, capsys.readouterr().err

    return call


@pytest.mark.parametrize("typed", ANSWERED)
def test_the_answer_holds_the_next_command(answer, typed):
    code, line = answer(typed)
    assert (code, line.count("\n")) == (2, 1)
    assert line.partition(" try: ")[2].strip() == (f"genkit {ANSWERED[typed]}" if ANSWERED[typed] else "")


@pytest.mark.parametrize("typed", UNREADABLE)
def test_what_cannot_be_read_is_one_line_of_ours(answer, typed):
    code, line = answer(f"train {typed}")
    assert (code, line.count("\n")) == (2, 1)
    assert line.startswith("genkit: error: ")
    assert not any(word in line for word in OTHERS_WORDS), line


@pytest.mark.parametrize("typed", ["train +experiment=digits_vae", "train callbacks=null logger=null",
                                   "train experiment=digits_vae experiment=null", "eval sampler=null"])  # fmt: skip
def test_what_can_mean_one_thing_alone_is_accepted(answer, capsys, typed):
    assert answer(f"{typed} --cfg job") == (0, "")


@pytest.mark.slow
def test_nine_in_ten_mistyped_commands_are_understood(answer):
    """A slice of what `scripts/mistyped.py` does by the hundred."""
    mistyped = script_named("mistyped")
    made = mistyped.cases(seed=20)
    wrong = []
    for _ in range(36):
        case = next(made)
        code, line = answer(" ".join(case.argv))
        assert code == 2
        assert "internal error" not in line
        if not mistyped.is_right(case, code, line):
            wrong.append((case, line))
    assert len(wrong) <= 3, wrong


@pytest.mark.parametrize(("a", "b", "edits"), [("vea", "vae", 1), ("vae", "vae", 0), ("", "ab", 2), ("abcd", "badc", 2),
                                               ("kitten", "sitting", 3)])  # fmt: skip
def test_distance(a, b, edits):
    assert edit_distance(a, b) == edit_distance(b, a) == edits


def test_of_two_names_equally_close_the_one_of_the_same_length_is_meant():
    assert nearest_name("vea", ["ve", "vae"]) == "vae"
    assert nearest_name("FID", CATALOG.options("metric")) == "fid"
    assert nearest_name("betavae", CATALOG.options("model")) == "beta_vae"
    assert nearest_name("autoenc", CATALOG.options("model")) == "autoencoder"


@pytest.mark.parametrize("verb", TERMS)
def test_other_tools_words_mean_what_there_is(verb):
    """Every foreign word leads to a key, a group or an argument of this verb, and is none of its own keys."""
    own = {*CATALOG.own_keys(verb), *CATALOG.defaults(verb)}
    for words, term in TERMS[verb].items():
        for meant in term.key.split("|"):
            top = meant.partition("=")[0].partition(".")[0]
            assert top in own or meant.startswith("--"), meant
        assert not (set(words.split()) - {term.key}) & (own - {"weights", "backbone", "guidance", "samples", "sweep"})


def test_other_tools_verbs_lead_to_ours():
    starts = {cli.verb_and_rest(meaning.split())[0] for meaning in VERB_WORDS.values()}
    assert starts <= {*cli.VERBS, "--version", "help"}
    assert PLAIN_TERMS.keys() <= cli.VERBS.keys()
