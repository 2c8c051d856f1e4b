"""Class paths that have changed: what a checkpoint, a run or a user's file calls a class by an earlier name.

A class of genkit that moves to another module, or is renamed, gets one row here, old path -> new path, and keeps it:
files that hold the old path are always read. Rows may chain (A -> B, later B -> C). Both sides are names of genkit's
own, so the allow-list of `genkit.config.resolve`, which is asked for the new name, is as narrow as without them.

Old names are replaced once, where a file or a command line is read, and nothing behind that point sees one. Hashes of
configurations that are stored (in run.json, in results.json) are the exception: they are of `first` names, which no
later move changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

TARGET = "_target_"

MOVED: dict[str, str] = {
    "genkit.data.digits.Digits": "genkit.data.sources.digits.Digits",
    "genkit.data.mnist.MNIST": "genkit.data.sources.mnist.MNIST",
    "genkit.data.stacked_mnist.StackedMNIST": "genkit.data.sources.stacked_mnist.StackedMNIST",
    "genkit.data.toy.Toy": "genkit.data.sources.toy.Toy",
    "genkit.diffusion.grid.KarrasGrid": "genkit.diffusion.time_grid.KarrasGrid",
    "genkit.diffusion.grid.LogSNRGrid": "genkit.diffusion.time_grid.LogSNRGrid",
    "genkit.diffusion.grid.UniformGrid": "genkit.diffusion.time_grid.UniformGrid",
    "genkit.diffusion.times.LogNormalLevels": "genkit.diffusion.time_distribution.LogNormalLevels",
    "genkit.diffusion.times.LogitNormalTimes": "genkit.diffusion.time_distribution.LogitNormalTimes",
    "genkit.diffusion.times.UniformTimes": "genkit.diffusion.time_distribution.UniformTimes",
    "genkit.metrics.assignment.Wasserstein": "genkit.metrics.wasserstein.Wasserstein",
    "genkit.metrics.binning.DifferentBins": "genkit.metrics.ndb.DifferentBins",
    "genkit.metrics.custom.CustomFeatures": "genkit.features.custom.CustomFeatures",
    "genkit.metrics.dinov2.DINOv2Features": "genkit.features.dinov2.DINOv2Features",
    "genkit.metrics.distance_ratio.DistanceRatio": "genkit.metrics.nndr.DistanceRatio",
    "genkit.metrics.embedding.EmbeddingDiscrepancy": "genkit.metrics.cmmd.EmbeddingDiscrepancy",
    "genkit.metrics.features.ClassifierFeatures": "genkit.features.classifier.ClassifierFeatures",
    "genkit.metrics.features.RawFeatures": "genkit.features.raw.RawFeatures",
    "genkit.metrics.inception.InceptionFeatures": "genkit.features.inception.InceptionFeatures",
    "genkit.metrics.likelihood.ELBO": "genkit.metrics.likelihood.LowerBound",
    "genkit.metrics.manifold.Density": "genkit.metrics.manifold.NeighbourDensity",
    "genkit.metrics.mode.HighQuality": "genkit.metrics.modes.HighQuality",
    "genkit.metrics.mode.ModeCoverage": "genkit.metrics.modes.ModeCoverage",
    "genkit.metrics.mode.ModeImbalance": "genkit.metrics.modes.ModeImbalance",
    "genkit.metrics.pca.PrincipalComponents": "genkit.features.pca.PrincipalComponents",
    "genkit.metrics.similarity.StructuralSimilarity": "genkit.metrics.ssim.StructuralSimilarity",
    "genkit.metrics.stacked.StackedFeatures": "genkit.features.stacked.StackedFeatures",
    "genkit.metrics.transport.SlicedWasserstein": "genkit.metrics.sliced_wasserstein.SlicedWasserstein",
    "genkit.metrics.two_sample.LogisticTest": "genkit.metrics.c2st.LogisticTest",
    "genkit.metrics.two_sample.NeighbourTest": "genkit.metrics.c2st.NeighbourTest",
    "genkit.models.adversarial.HingeLoss": "genkit.models.gan.adversarial_loss.HingeLoss",
    "genkit.models.adversarial.LeastSquaresLoss": "genkit.models.gan.adversarial_loss.LeastSquaresLoss",
    "genkit.models.adversarial.NonSaturatingLoss": "genkit.models.gan.adversarial_loss.NonSaturatingLoss",
    "genkit.models.adversarial.RelativisticLoss": "genkit.models.gan.adversarial_loss.RelativisticLoss",
    "genkit.models.adversarial.WassersteinLoss": "genkit.models.gan.adversarial_loss.WassersteinLoss",
    "genkit.models.aggregate.InfoVAE": "genkit.models.vae.aggregate_posterior.InfoVAE",
    "genkit.models.aggregate.InverseMultiquadric": "genkit.models.vae.aggregate_posterior.InverseMultiquadric",
    "genkit.models.aggregate.RBF": "genkit.models.vae.aggregate_posterior.RBF",
    "genkit.models.aggregate.TotalCorrelation": "genkit.models.vae.aggregate_posterior.TotalCorrelation",
    "genkit.models.augment.AnnealedNoise": "genkit.models.gan.augmentation.AnnealedNoise",
    "genkit.models.augment.DiffAugment": "genkit.models.gan.augmentation.DiffAugment",
    "genkit.models.augment.InstanceNoise": "genkit.models.gan.augmentation.InstanceNoise",
    "genkit.models.autoencoder.Autoencoder": "genkit.models.autoencoder.autoencoder.Autoencoder",
    "genkit.models.autoencoder.kernel_density.FixedBandwidth": "genkit.models.kernel_density.FixedBandwidth",
    "genkit.models.autoencoder.kernel_density.KernelDensity": "genkit.models.kernel_density.KernelDensity",
    "genkit.models.autoencoder.kernel_density.Scott": "genkit.models.kernel_density.Scott",
    "genkit.models.autoencoder.kernel_density.Silverman": "genkit.models.kernel_density.Silverman",
    "genkit.models.autoencoder.latent_density.GaussianDensity": "genkit.models.latent_density.GaussianDensity",
    "genkit.models.autoencoder.latent_density.GaussianMixture": "genkit.models.latent_density.GaussianMixture",
    "genkit.models.autoencoder_penalty.Contraction": "genkit.models.autoencoder.penalty.Contraction",
    "genkit.models.autoencoder_penalty.DecoderGradient": "genkit.models.autoencoder.penalty.DecoderGradient",
    "genkit.models.autoencoder_penalty.KLSparsity": "genkit.models.autoencoder.penalty.KLSparsity",
    "genkit.models.autoencoder_penalty.LatentNorm": "genkit.models.autoencoder.penalty.LatentNorm",
    "genkit.models.autoencoder_penalty.Penalty": "genkit.models.autoencoder.penalty.AutoencoderPenalty",
    "genkit.models.autoencoder_penalty.Sparsity": "genkit.models.autoencoder.penalty.Sparsity",
    "genkit.models.autoencoder_penalty.WeightNorm": "genkit.models.autoencoder.penalty.WeightNorm",
    "genkit.models.code_prior.TransformerPrior": "genkit.models.quantized.code_prior.TransformerPrior",
    "genkit.models.code_prior.UniformPrior": "genkit.models.quantized.code_prior.UniformPrior",
    "genkit.models.corruption.GaussianNoise": "genkit.models.autoencoder.corruption.GaussianNoise",
    "genkit.models.corruption.Masking": "genkit.models.autoencoder.corruption.Masking",
    "genkit.models.corruption.SaltAndPepper": "genkit.models.autoencoder.corruption.SaltAndPepper",
    "genkit.models.discriminator.AuxiliaryClassifier": "genkit.models.gan.discriminator.AuxiliaryClassifier",
    "genkit.models.discriminator.Concatenation": "genkit.models.gan.discriminator.Concatenation",
    "genkit.models.discriminator.Projection": "genkit.models.gan.discriminator.Projection",
    "genkit.models.gan.GAN": "genkit.models.gan.gan.GAN",
    "genkit.models.gan.ImageGAN": "genkit.models.gan.gan.ImageGAN",
    "genkit.models.latent.Gaussian": "genkit.models.autoencoder.latent_density.GaussianDensity",
    "genkit.models.latent.GaussianMixture": "genkit.models.autoencoder.latent_density.GaussianMixture",
    "genkit.models.latent_code.LatentCode": "genkit.models.gan.latent_code.LatentCode",
    "genkit.models.latent_kernel.FixedBandwidth": "genkit.models.autoencoder.kernel_density.FixedBandwidth",
    "genkit.models.latent_kernel.KernelDensity": "genkit.models.autoencoder.kernel_density.KernelDensity",
    "genkit.models.latent_kernel.Scott": "genkit.models.autoencoder.kernel_density.Scott",
    "genkit.models.latent_kernel.Silverman": "genkit.models.autoencoder.kernel_density.Silverman",
    "genkit.models.objective.Capacity": "genkit.models.vae.objective.Capacity",
    "genkit.models.objective.ELBO": "genkit.models.vae.objective.ELBO",
    "genkit.models.objective.ImportanceWeighted": "genkit.models.vae.objective.ImportanceWeighted",
    "genkit.models.penalty.GradientPenalty": "genkit.models.gan.gradient_penalty.GradientPenalty",
    "genkit.models.penalty.R1": "genkit.models.gan.gradient_penalty.R1",
    "genkit.models.penalty.R2": "genkit.models.gan.gradient_penalty.R2",
    "genkit.models.penalty.WeightClipping": "genkit.models.gan.gradient_penalty.WeightClipping",
    "genkit.models.prior.StandardNormal": "genkit.models.vae.prior.StandardNormal",
    "genkit.models.prior.VampPrior": "genkit.models.vae.prior.VampPrior",
    "genkit.models.quantized.QuantizedVAE": "genkit.models.quantized.quantized_vae.QuantizedVAE",
    "genkit.models.quantizer.FiniteScalarQuantizer": "genkit.models.quantized.quantizer.FiniteScalarQuantizer",
    "genkit.models.quantizer.VectorQuantizer": "genkit.models.quantized.quantizer.VectorQuantizer",
    "genkit.models.vae.VAE": "genkit.models.vae.vae.VAE",
    "genkit.training.early_stopping.EarlyStopping": "genkit.training.callbacks.early_stopping.EarlyStopping",
}


def current(target: Any) -> Any:
    """The present name of what a `_target_` names; what never moved, or is no name at all, is returned as it is."""
    while isinstance(target, str) and target in MOVED:
        target = MOVED[target]
    return target


def first(target: Any) -> Any:
    """The earliest name of a class, by the topmost rows where several classes became one."""
    for old, new in MOVED.items():
        if new == target:
            return first(old)
    return target


def with_current_names(value: Any) -> Any:
    """A copy of plain values in which every `_target_` is the present name."""
    return each_node(value, lambda node: {**node, TARGET: current(node[TARGET])})


def with_first_names(value: Any) -> Any:
    """A copy of plain values in which every `_target_` is the earliest name."""
    return each_node(value, lambda node: {**node, TARGET: first(node[TARGET])})


def each_node(value: Any, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """A copy of plain values in which `change` has replaced every mapping with a `_target_`, the innermost first."""
    if isinstance(value, dict):
        node = {key: each_node(item, change) for key, item in value.items()}
        return change(node) if TARGET in node else node
    return [each_node(item, change) for item in value] if isinstance(value, list) else value
