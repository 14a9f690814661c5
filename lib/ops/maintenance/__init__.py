"""What keeps the queue in order: recurring tasks, purging, space, growth."""
