"""The likelihood of a decoder's output where nobody chooses one (`likelihood: null`)."""

from genkit.data.kinds import Quantised
from genkit.data.spec import DataSpec
from genkit.data.tables.kind import Tabular
from genkit.models.likelihood import Bernoulli, DiscretizedLogistic, Gaussian, Likelihood
from genkit.models.table_likelihood import TableLikelihood


def default_likelihood(*, spec: DataSpec) -> Likelihood:
    """Bernoulli for two levels, discretised logistic for more, block by block for a table, Gaussian for other data."""
    if isinstance(spec.kind, Tabular):
        return TableLikelihood(spec=spec)
    if not isinstance(spec.kind, Quantised):
        return Gaussian(spec=spec)
    return (Bernoulli if spec.kind.levels == 2 else DiscretizedLogistic)(spec=spec)
