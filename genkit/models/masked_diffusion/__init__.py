"""Masked diffusion: tokens that are hidden one after the other, and found again in any order."""
