"""The words of other tools: their words -> genkit's, per verb. Edit distance finds typos; it cannot find these.

A word is looked up without case and separators (`--num-epochs`, `numEpochs`). It means a key ("trainer.max_steps"), a
group, a whole argument ("logger=tensorboard"), or alternatives of which the first one that takes the value is meant
("model|backbone"). Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from genkit.config.hydra.catalog import USES
from genkit.config.suggestions import bare


class Term(NamedTuple):
    """The meaning of a foreign word.

    Attributes:
        key: A key or group, alternatives apart by "|", or a whole argument with "=".
        note: What differs, for the end of the message.
        values: Values that are called otherwise -> the whole argument that is meant.
        counts_other: The value counts something else, so that genkit's own one is kept.
    """

    key: str
    note: str = ""
    values: Mapping[str, str] = MappingProxyType({})
    counts_other: bool = False


NO = ("false", "0", "no", "off", "none", "null", "cpu", "-1")
TRAINER = dict.fromkeys(NO, "trainer=cpu")
DEVICE = {"gpu": "device=cuda", "true": "device=cuda", "mps": "device=mps", "auto": "device=auto"}
DEVICE |= {value: "device=cpu" for value in NO if value != "0"} | {str(i): f"device=cuda:{i}" for i in range(8)}
HALF, BRAIN, FULL = "trainer.precision=16-mixed", "trainer.precision=bf16-mixed", "trainer.precision=32-true"
PRECISION = {"16": HALF, "fp16": HALF, "float16": HALF, "half": HALF, "true": HALF, "bf16": BRAIN, "bfloat16": BRAIN}
PRECISION |= {"32": FULL, "fp32": FULL, "float32": FULL, "false": FULL, "no": FULL}
# values of genkit's own keys that other tools call otherwise -> the whole argument
VALUES = {
    "device": DEVICE | {"auto": "device=auto"},
    "trainer.precision": PRECISION,
    "trainer.accelerator": {"cuda": "trainer=gpu", "nvidia": "trainer=gpu"},
}
# What other tools, and papers, call the options of a group; several make a list.
PRDC = "precision,recall,density,coverage"
OPTIONS = {
    "metric": {
        **dict.fromkeys(("is", "isc", "inceptionscore", "iscore"), "inception_score"),
        **dict.fromkeys(("fd", "frechet", "frechetdistance", "frechetinceptiondistance"), "fid"),
        **dict.fromkeys(("prdc", "prdensitycoverage"), PRDC),
        **dict.fromkeys(("pr", "prc", "precisionrecall", "improvedprecision", "ipr"), "precision,recall"),
        **dict.fromkeys(("dc", "densitycoverage"), "density,coverage"),
        **dict.fromkeys(("bpd", "bitsdim", "bits"), "bits_per_dim"),
        **dict.fromkeys(("loglikelihood", "likelihood", "logprob", "ll", "nats"), "nll"),
        **dict.fromkeys(("swd", "sw", "sw2", "sliced"), "sliced_wasserstein"),
        **dict.fromkeys(("emd", "ot", "w2", "earthmover"), "wasserstein"),
        **dict.fromkeys(("auth", "authpct", "memorization", "memorisation", "copying"), "nndr,authenticity,c_t"),
        **dict.fromkeys(("fidinf", "unbiasedfid"), "fid_infinity"),
        **dict.fromkeys(("modes", "modecount"), "mode_coverage"),
        **dict.fromkeys(("1nn", "knn", "1nna", "twosample"), "c2st"),
    },
    "logger": {
        **dict.fromkeys(("tb", "board", "events", "tensorboardlogger", "csv", "true"), "tensorboard"),
        **dict.fromkeys(("wb", "weightsandbiases", "weightsbiases", "wandblogger"), "wandb"),
        **dict.fromkeys(("mlflowlogger", "ml"), "mlflow"),
    },
}
SETS = {"metric": {"all", "everything", "default", "any", "metrics"}}  # words for a whole set of options

STEPS = "genkit counts optimizer steps, not epochs"
VISIBLE = "which GPU it is stays with the environment: CUDA_VISIBLE_DEVICES=1 genkit train …"
START = "resume= continues a run, start= begins a new one from its weights"

# what other tools call a file of settings, which is an experiment here
CONFIG_WORDS = {"config", "cfg", "configfile", "conf", "yaml", "c", "hparams", "settings", "params", "f"}
OWN_FILE = (
    "a configuration of your own is an experiment: put it into FOLDER/experiment/NAME.yaml and write "
    "--config-dir FOLDER experiment=NAME"
)

CKPT = (
    "checkpoint ckpt_path checkpoint_path model_path model_dir load load_from from from_pretrained pretrained resume "
    "weights_path run run_dir run_path path restore init ckpt_dir checkpoint_dir resume_from model_file network_pkl"
)
OUT = (
    "output output_dir outdir out_dir o save_dir savedir save_path dest directory folder results_dir output_path "
    "logdir log_dir name filename file save output_folder"
)
BATCH = "bs b batch batch_size batchsize mini_batch minibatch batch_gpu per_device_eval_batch_size chunk chunk_size"
DEVICES = "gpu cuda gpus gpu_id use_gpu use_cuda accelerator device_id cpu"
SEEDS = "random_seed manual_seed rng_seed random_state s seeds"

TRAIN: dict[str, Term] = {
    "epochs max_epochs num_epochs n_epochs epoch nepochs n_epoch num_train_epochs total_epochs training_epochs e ep":
        Term("trainer.max_steps", STEPS, counts_other=True),
    "steps iterations iters iter niter n_iter num_iter num_steps n_steps train_steps max_iters max_iter num_iterations "
    "n_iterations total_steps training_steps train_iters total_iters max_train_steps num_train_steps train_num_steps "
    "n_updates": Term("trainer.max_steps"),
    "time_limit time_budget max_time max_hours max_minutes train_time wall_time walltime timeout duration time":
        Term("budget"),
    "lr learning_rate base_lr base_learning_rate eta step_size alpha lrate": Term("optimizer.lr"),
    "wd l2 l2_reg": Term("optimizer.weight_decay"),
    "optim opt optimiser optimizer_type solver": Term("optimizer"),
    BATCH + " train_batch_size per_device_train_batch_size batch_per_gpu bsz": Term("data.batch_size"),
    DEVICES.replace(" gpus ", " ") + " device": Term("trainer=gpu", "", TRAINER),
    "gpus devices num_gpus n_gpus ngpus ngpu num_devices nproc_per_node num_processes world_size":
        Term("trainer.devices"),
    "nodes nnodes n_nodes num_machines": Term("trainer.num_nodes"),
    "cuda_visible_devices": Term("trainer=gpu", VISIBLE),
    "threads num_threads n_jobs nproc cpus num_cpus n_threads": Term("trainer.threads"),
    "workers num_workers n_workers dataloader_num_workers j":
        Term("trainer.threads", "data needs no worker processes", counts_other=True),
    OUT + " out work_dir workdir default_root_dir ckpt_dir checkpoint_dir model_dir run_name exp_name experiment_name "
    "run save_folder logs exp_dir root_dir tag": Term("run_dir"),
    "resume_from resume_from_checkpoint continue continue_from ckpt ckpt_path checkpoint_path resume_path restart "
    "resume_run auto_resume": Term("resume"),
    "load load_from pretrained from_pretrained init init_from weights restore restore_from finetune finetune_from "
    "pretrained_path load_weights warm_start initial_weights start_from base_model transfer":
        Term("start|resume", START),
    "dataset data_set ds datasets dataset_name data_name": Term("data"),
    "data_dir data_path dataset_path data_root datapath dataroot dataset_dir datadir root path train_dir train_data":
        Term("data.root"),
    "network net arch architecture encoder decoder unet nn": Term("model|backbone"),
    "model_name model_type family type method algorithm algo m kind generator task": Term("model"),
    "metrics eval_metric eval_metrics score": Term("metric"),
    "precision fp16 amp half bf16 mixed_precision dtype use_amp use_fp16 autocast float16":
        Term("trainer.precision", "", PRECISION),
    "tensorboard tb use_tensorboard logging": Term("logger=tensorboard"),
    "wandb use_wandb": Term("logger=wandb"),
    "wandb_project": Term("logger.project"),
    "mlflow use_mlflow": Term("logger=mlflow"),
    "log log_to report_to tracker logger_type": Term("logger"),
    "scheduler lr_scheduler sched schedule_lr lr_scheduler_type lr_policy": Term("lr_schedule"),
    "warmup num_warmup_steps warmup_iters lr_warmup lr_warmup_steps": Term("lr_schedule.warmup_steps"),
    "grad_clip clip max_grad_norm clip_grad gradient_clip_val clip_norm grad_norm clip_grad_norm gradient_clipping":
        Term("trainer.gradient_clip"),
    "accumulate_grad_batches grad_accum gradient_accumulation_steps accum grad_accumulation accumulation_steps "
    "grad_acc gradient_accumulation": Term("trainer.accumulate"),
    "latent z zdim z_dim latent_size nz dim_z latents n_latent latent_dims embedding_dim bottleneck code_dim":
        Term("model.latent_dim"),
    "ema_decay ema_rate ema_beta polyak": Term("ema.decay"),
    "save_every save_interval checkpoint_every save_freq save_steps save_every_n_steps ckpt_every snap "
    "checkpoint_interval save_period": Term("checkpoint.every_n_steps"),
    "save_total_limit save_top_k keep_last max_to_keep": Term("checkpoint.keep"),
    "log_every log_interval print_freq logging_steps log_freq print_every log_steps": Term("trainer.log_every_n_steps"),
    "eval_every val_interval eval_interval val_every val_check_interval eval_steps eval_freq validate_every "
    "check_val_every_n_epoch": Term("trainer.val_every_n_steps"),
    "sample_every sample_interval sample_freq save_image_freq": Term("samples.every_n_steps"),
    "num_samples n_samples sample_size": Term("samples.n"),
    SEEDS: Term("seed"),
    "early_stopping early_stop patience es": Term("callbacks=early_stopping"),
    "class_cond class_conditional cond condition conditioned labels use_labels conditional": Term("model.conditional"),
    "guidance_scale cfg_scale guidance": Term("model.guidance_scale"),
    "noise_schedule beta_schedule": Term("schedule"),
    "monitor_metric": Term("checkpoint.monitor"),
    "exp recipe preset": Term("experiment"),
    "verbose": Term("debug=true"),
    "multirun_mode sweep grid": Term("--multirun"),
}  # fmt: skip

SOLVERS = "solver scheduler method sampling_method ode_solver"
DRAWING: dict[str, Term] = {
    CKPT: Term("ckpt"),
    OUT + " sample_dir samples_dir image_dir images_dir run_name": Term("out"),
    BATCH: Term("batch_size"),
    DEVICES: Term("device", "", DEVICE),
    "num_steps n_steps num_inference_steps inference_steps sampling_steps nfe timesteps sample_steps ddim_steps "
    "timestep_respacing diffusion_steps": Term("sampler.steps"),
    "cfg cfg_scale guidance_scale scale guidance w guidance_weight unconditional_guidance_scale guide cond_scale "
    "guidance_strength": Term("guidance.scale"),
    "temp t tau": Term("temperature"),
    "trunc truncation_psi psi trunc_psi": Term("truncation"),
    SOLVERS: Term("sampler"),
    "use_ema ema": Term("weights=ema", "", dict.fromkeys(NO, "weights=raw")),
    "data_dir data_path dataset_path data_root dataroot root dataset_dir": Term("data.root"),
    SEEDS: Term("seed"),
    "verbose": Term("debug=true"),
}  # fmt: skip
COUNT = (
    "num_samples n_samples num nsamples number count amount num_images n_images sample_size size total n_sample nimg"
)

SAMPLE: dict[str, Term] = DRAWING | {
    COUNT + " samples images": Term("n"),
    "label labels class class_id cls classes class_idx target class_label condition c": Term("y"),
    "interpolate interpolation_only latent_walk": Term("show=interpolation"),
    "reconstruct reconstruction reconstructions recon": Term("show=reconstruction"),
    "plot picture mode": Term("show"),
}

USE: dict[str, Term] = DRAWING | {
    COUNT: Term("n"),
    "dataset data_set ds data_name": Term("data"),
    "file files image images folder path input_path in source samples x": Term("input"),
}

TRANSLATE: dict[str, Term] = {words: term for words, term in USE.items() if words not in (CKPT, SOLVERS)} | {
    CKPT.replace(" from ", " "): Term("ckpt"),
    "solver scheduler sampling_method ode_solver": Term("sampler"),
    "method algorithm translator": Term("translation"),
    "t0 noise_strength denoising_strength edit_strength": Term("strength"),
    "source_ckpt from_ckpt ckpt_a model_a": Term("from"),
    "label labels class class_id cls classes class_idx target class_label": Term("y"),
}

AUGMENT: dict[str, Term] = DRAWING | {
    COUNT: Term("n"),
    "threshold confidence min_confidence filter_threshold": Term("filter"),
    "n_seeds num_seeds classifiers": Term("repeats"),
}

SAMPLED = ("sampler", "guidance", "temperature", "truncation")  # keys of how a model samples
JUDGE: dict[str, Term] = {words: term for words, term in USE.items() if term.key.partition(".")[0] not in SAMPLED}
DECOMPRESS: dict[str, Term] = {
    CKPT: Term("ckpt"),
    OUT + " out_dir": Term("out"),
    DEVICES: Term("device", "", DEVICE),
    "file path input_path in source archive": Term("input"),
    "verbose": Term("debug=true"),
}

EVAL: dict[str, Term] = DRAWING | {
    COUNT: Term("n"),
    "metrics score scores measure measures eval_metric m metric_name": Term("metric"),
    "real ref real_data gt real_path reference_path ref_path ref_stats real_dir true ground_truth target ref_batch "
    "real_images": Term("reference"),
    "fake generated images sample_path gen generated_path fake_path samples_path sample_dir samples_dir input fake_dir "
    "predictions synthetic sample_batch sample": Term("samples"),
    "dataset data_set ds data_name": Term("data"),
    "feature feature_extractor extractor embedding net inception feature_net": Term("features"),
    "n_bootstrap bootstraps resamples": Term("bootstrap"),
    "baseline": Term("baselines"),
    "verify_floor floors floor": Term("floor_repeats"),
    "nearest nearest_neighbours neighbors": Term("neighbours"),
    "answers votes ratings raters": Term("human"),
}

HUMAN: dict[str, Term] = DRAWING | {
    COUNT.replace(" number", ""): Term("n"),
    "fake generated images sample_path generated_path fake_path samples_path sample_dir samples_dir input sample":
        Term("samples"),
    "real_data real_path reference_path ref ref_path real_dir ground_truth real_images": Term("reference"),
    "dataset data_set ds data_name": Term("data"),
    "mode kind test protocol": Term("task"),
    "attention attention_checks catch catch_trials": Term("checks"),
    "text prompt": Term("question"),
    "browser open launch": Term("open_browser=true"),
    "export html file offline static": Term("page=true"),
    "participants annotators workers users": Term("raters"),
}  # fmt: skip

DATA: dict[str, Term] = {
    "dataset data_set ds dataset_name data_name source": Term("data"),
    "data_dir data_path dataset_path data_root datapath dataroot dataset_dir datadir root path input folder dir":
        Term("data.root"),
    "verbose": Term("debug=true"),
}  # fmt: skip
SHOW_DATA: dict[str, Term] = DATA | {
    OUT + " out_dir": Term("out"),
    SEEDS: Term("seed"),
    "threshold near_duplicates ratio similar": Term("near"),
}

SHARD_DATA: dict[str, Term] = DATA | {
    OUT + " out_dir": Term("out"),
    "shard_size maxsize max_size shard_mb size_mb mb size_limit": Term("megabytes"),
}
LOG: dict[str, Term] = {
    CKPT: Term("ckpt"),
    "target tool tracker report_to log_to backend out output": Term("logger"),
    "project wandb_project": Term("logger.project"),
    "tracking_uri uri": Term("logger.uri"),
    "verbose": Term("debug=true"),
}
TERMS = {
    "log": LOG,
    "data shard": SHARD_DATA,
    "data prepare": DATA,
    "data show": SHOW_DATA,
    "train": TRAIN,
    "check": TRAIN,
    "sample": SAMPLE,
    "eval": EVAL,
    "decompress": DECOMPRESS,
    "augment": AUGMENT,
    "judge": HUMAN,
    **dict.fromkeys(USES, USE),
    "translate": TRANSLATE,
    **dict.fromkeys(("compress", "detect", "explore"), JUDGE),
}

CHECKPOINT = {CKPT: Term("ckpt")}
PLAIN_TERMS = {
    "export": CHECKPOINT | {OUT: Term("out")},
    "verify": CHECKPOINT | {"steps": Term("replay")},
    "data clear": {"days age older_than": Term("older"), "prefix id hash": Term("name")},
    "compare": {"metrics score": Term("metric"), OUT: Term("out")},
    "watch": {"browser open_browser": Term("open")},
    "diagnose": {"results eval metrics": Term("scores"), "samples num_samples count": Term("n")},
    "report": {"results eval metrics": Term("scores"), OUT: Term("out")},
}

# another tool's verb -> the beginning of the command that is meant
VERB_WORDS = {
    "version v": "--version",
    "fit run training learn start pretrain trainer": "train",
    "finetune resume continue restart": "train resume=",
    "generate gen draw samples sampling infer inference predict generation synthesize plot interpolate "
    "reconstruct": "sample",
    "translation img2img image2image edit convert_domain stylize sdedit": "translate",
    "zip encode pack archive": "compress",
    "unzip decode unpack extract inflate": "decompress",
    "human hype turing rate vote annotate survey 2afc": "judge",
    "anomaly anomalies outliers outlier ood novelty": "detect",
    "evaluate evaluation test score scores metrics metric measure benchmark validate val fid": "eval",
    "ls models show options zoo": "list models",
    "datasets": "list data",
    "prepare preprocess build_dataset prepare_data import": "data prepare",
    "inspect explore describe dataset_info stats statistics": "data show",
    "cache cached prepared": "data list",
    "clear clean rm remove delete purge prune": "data clear",
    "shards pack webdataset make_shards": "data shard",
    "rank leaderboard diff table": "compare",
    "follow live dashboard monitor serve": "watch",
    "page html summary summarize": "report",
    "logs track tracking tensorboard tb wandb mlflow sync upload": "log",
    "dry_run dryrun try trial estimate debug": "check",
    "convert save publish package onnx": "export",
    "diagnosis problems faults": "diagnose",
    "env info environment health status selftest": "doctor",
    "completions complete autocomplete": "completion",
    "config cfg configure": "train --cfg job",
    "usage man h": "help",
    "sweep tune multirun": "train --multirun",
}


def _by_word(table: Mapping[str, Term]) -> dict[str, Term]:
    return {bare(word): term for words, term in table.items() for word in words.split()}


def terms_of(verb: str) -> dict[str, Term]:
    """Foreign word, without case and separators -> what it means for a verb."""
    return _by_word(TERMS.get(verb) or PLAIN_TERMS.get(verb, {}))


def verb_of(word: str) -> str | None:
    """The beginning of the command that another tool's verb stands for."""
    return next((meant for words, meant in VERB_WORDS.items() if bare(word) in map(bare, words.split())), None)
