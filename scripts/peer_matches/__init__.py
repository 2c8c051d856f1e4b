"""What `scripts/peers.py` plays: matches, what each kind of them is measured by, and who plays."""
