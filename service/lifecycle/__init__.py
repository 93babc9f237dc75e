"""The jobs: each is `python -m service.lifecycle.<job>`."""
