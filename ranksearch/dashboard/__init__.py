"""The live dashboard: our page and optuna-dashboard over the same storage, behind a guard."""
