## A small level with a moving thing, for previews: two boxes on a floor under a sun.
extends Node3D

var _time_s := 0.0
var _shown := 0  # frames since a picture is there


func _process(delta: float) -> void:
	_time_s += delta
	if $Renderlift.picture() != null:
		_shown += 1
	if _shown == 10:
		print("PICTURE ", $Renderlift.status())
	$Box.rotation.y = _time_s
