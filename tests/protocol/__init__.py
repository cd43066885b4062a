"""The protocol, fed bytes: recorded, cut, shuffled, forged and random."""
