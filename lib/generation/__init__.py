"""What an image generation is: its prediction at the provider, its output, its storage."""
