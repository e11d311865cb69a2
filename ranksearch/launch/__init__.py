"""Where the workers of a search are placed: on this machine, or on a Ray cluster."""
