"""How good a model is on leads whose outcome is known."""
