"""Pages for one person on one machine: a server on the loopback device, and what it may answer."""
