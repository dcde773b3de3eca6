"""The model bundle: one signed archive of model, preprocessing, thresholds and proof."""
