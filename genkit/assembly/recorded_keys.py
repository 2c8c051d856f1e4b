"""Keys that a run remembers under a name of their own, and keys that no run remembers."""

from __future__ import annotations

START, EMBEDDED = "start", "embedded"  # where weights come from: of start=, and of models inside the model
PLANNED = "planned"  # what the budget and the size of a batch became: see genkit.assembly.recorded_plan
TYPED_ALONE = ("resume", "allow", "run_dir", "debug")  # keys of one command
