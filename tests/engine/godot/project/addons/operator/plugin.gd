## Presses what a user would press in the dock, as the command line says:
##   godot --editor scene.tscn -- --live=tcp://127.0.0.1:5755 --view=2
@tool
extends EditorPlugin

var _frames := 0


func _process(_delta: float) -> void:
	_frames += 1
	if _frames != 30:  # the editor has opened its scene
		return
	var dock: Control = EditorInterface.get_base_control().find_child("Renderlift", true, false)
	EditorInterface.set_main_screen_editor("3D")
	for argument in OS.get_cmdline_user_args():
		var value := argument.get_slice("=", 1)
		if argument.begins_with("--live"):
			dock._endpoint.text = value
			dock._width.value = 320
			dock._live.button_pressed = true
		elif argument.begins_with("--view"):
			dock._view.select(value.to_int())
	(dock.get_parent() as TabContainer).current_tab = dock.get_index()
	print("OPERATOR done")
