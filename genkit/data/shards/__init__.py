"""Images in a few large files, read by their offset: data that is prepared nowhere, so it may be larger than a disk."""
