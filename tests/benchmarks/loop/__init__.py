"""What the closed loop promises, measured on generated worlds whose truth is known; each module is a command."""
