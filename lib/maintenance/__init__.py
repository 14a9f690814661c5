"""What keeps the queue in order: tasks, purging, space, growth, models."""
