"""A first deploy as events: what each step needs and makes, read from the stacks, and whether the order can work."""
