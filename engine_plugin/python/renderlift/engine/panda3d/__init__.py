"""Panda3D: capture of any scene graph, photoreal frames in its window, and our scenes drawn as a game would."""
