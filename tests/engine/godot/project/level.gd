## A small level with a moving thing, for previews: a box on a floor under a sun. Says when it is first drawn.
extends Node3D

var _time_s := 0.0
var _shown := 0  # frames since a picture is there


func _enter_tree() -> void:
	if "--without-renderlift" in OS.get_cmdline_user_args():
		$Renderlift.free()
	RenderingServer.frame_post_draw.connect(func() -> void: print("DRAWN"), CONNECT_ONE_SHOT)


func _process(delta: float) -> void:
	_time_s += delta
	if has_node(^"Renderlift") and $Renderlift.picture() != null:
		_shown += 1
	if _shown == 10:
		print("PICTURE ", $Renderlift.status())
	$Box.rotation.y = _time_s
