"""Entropy coding: symbols and their probabilities to bits and back. Knows no model."""
