"""The catalogue as people review it: a table, one alert with its cases drawn, what a change does to thresholds."""
