"""One verb of the command line each, and the notebook's handle."""
