"""The memory at work: activations, gates, recall and the ice breaker."""
