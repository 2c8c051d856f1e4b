"""Text: documents to tokens and back, tokens on disk, windows of them."""
