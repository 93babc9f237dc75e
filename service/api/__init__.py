"""HTTP: the app, its routes, metrics, spool and model watcher."""
