"""Raw dataset and preprocessed data."""
