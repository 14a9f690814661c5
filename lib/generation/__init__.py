"""Image generation: the prediction at the provider, its output, and storing it."""
