"""The closed loop on real history: leads in time order through the loop's own parts, under a simulated clock."""
