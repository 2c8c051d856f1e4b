"""Tables: rows of named columns of several kinds, and their encoding as vectors."""
