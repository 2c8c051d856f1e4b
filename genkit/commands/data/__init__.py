"""The verbs of `genkit data`."""
