# genkit with the CPU build of torch.
#
#   docker build --build-arg PIP_EXTRA_INDEX_URL=INDEX -t genkit .
#   docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" genkit train experiment=digits_vae
#
# INDEX is the package index of torch's CPU builds that pytorch.org names. On x86-64 PyPI has the CUDA build alone, which
# the constraint below makes pip refuse.
FROM python:3.11-slim

ARG PIP_EXTRA_INDEX_URL
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1

WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY genkit ./genkit
COPY conf ./conf
RUN sed 's/^torch==.*/&+cpu/' constraints.txt > /tmp/constraints.txt \
    && pip install --constraint /tmp/constraints.txt . \
    && genkit --help

ENV HOME=/tmp
WORKDIR /work
ENTRYPOINT ["genkit"]
CMD ["--help"]
