## A small level with a moving thing, for previews: two boxes on a floor under a sun.
extends Node3D

var _time_s := 0.0


func _process(delta: float) -> void:
	_time_s += delta
	$Box.rotation.y = _time_s
