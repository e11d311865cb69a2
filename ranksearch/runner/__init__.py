"""Where both ladders meet: preparing a study, running trials and workers, fine-tuning, the notebook handle."""
