"""How leads are removed from everything that holds them: the places, the search, and what this machine alone keeps."""
