"""The dense network with its data on this machine, and what one trial does to it and measures."""
