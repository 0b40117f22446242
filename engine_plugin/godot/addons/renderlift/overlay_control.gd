## The overlay of a running game, below its HUD.
extends Control

const Overlay := preload("overlay.gd")

var picture: Dictionary = {}
var wipe := 0.0


func _init() -> void:
	mouse_filter = Control.MOUSE_FILTER_IGNORE
	set_anchors_preset(Control.PRESET_FULL_RECT)


func _draw() -> void:
	Overlay.paint(self, Rect2(Vector2.ZERO, size), picture, wipe, ThemeDB.fallback_font, 14)
