"""Imports and searches with which every job begins, done once: the server that jobs are forked from imports this."""

import hydra.main
from hydra._internal import hydra as _application
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins

import genkit.config.hydra.launch
import genkit.report.curve

__all__ = ["_application", "genkit", "hydra"]

Plugins.instance()
OverridesParser.create().parse_override("seed=1")
