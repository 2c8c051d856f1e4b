"""Models of pairs of images: one is given, the other is made."""
