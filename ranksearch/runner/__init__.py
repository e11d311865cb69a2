"""A study at work: made once, its stages, trials and finalists shared out among processes that hold nothing."""
