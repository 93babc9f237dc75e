"""Which permissions each identity needs and which its roles hold: facts, needs, grants, and what is missing."""
