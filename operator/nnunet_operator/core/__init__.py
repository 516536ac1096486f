"""The pure core: what was observed of a training's children -> which to start and stop, new status, events."""
