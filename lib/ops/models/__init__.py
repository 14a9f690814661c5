"""Adding models as their provider publishes them, and refreshing their schemas."""
