## Sends what cameras see to the Renderlift bridge, and shows the photoreal frames that come back.
##
## Add one to a scene and start `renderlift serve`, before or after. Properties can be set from the command line:
##   godot --path game --fixed-fps 24 -- --renderlift-mode=capture --renderlift-frames=240
@icon("icon.svg")
class_name Renderlift
extends Node

signal finished  ## Capture: `frames` frames of every camera have arrived, or the bridge refused.

const Channels := preload("channels.gd")
const OverlayControl := preload("overlay_control.gd")
const Session := preload("session.gd")
const UnrealCV := preload("unrealcv.gd")

const STEPS_TO_SETTLE := 30
const TELL_AFTER_MS := 2000  # a bridge may need that long to answer

enum Show { OFF, ON, WIPE }

## Where the bridge listens.
@export var endpoint := Session.DEFAULT_ENDPOINT
## For a bridge on another machine: the game's own .key_secret file, as zmq.auth.create_certificates makes it.
@export_global_file("*.key_secret") var own_key_file := ""
## And the bridge's .key file.
@export_global_file("*.key") var bridge_key_file := ""
## preview: the newest frame wins and the game never waits. capture: every frame of the game arrives; needs
## `--fixed-fps`, and the game waits whenever the bridge has no room.
@export_enum("preview", "capture") var mode := "preview"
## The cameras to send. Empty: whichever camera is current.
@export var cameras: Array[NodePath] = []
## Of frames. 0 x 0: the window's; in preview shrunk by a whole number to at most 640 wide.
@export var size := Vector2i.ZERO
## Preview: captures a second, at most. Capture: the game's fixed step, as given to --fixed-fps.
@export_range(1.0, 120.0) var fps := 24.0
@export_flags("rgb", "depth", "normal", "class_id", "instance_id", "flow", "albedo", "material")
var channels := Channels.ALL
## Capture: give the same again to go on after the game was killed.
@export var session := ""
## Capture: how many frames, then `finished`. 0 = until the game ends.
@export var frames := 0
## Whether the game quits when `frames` frames have arrived.
@export var quit_when_finished := false
## Answers UnrealCV's clients on this port of this machine; 0 = does not. Preview only.
@export_range(0, 65535) var unrealcv_port := 0
## What the window shows.
@export var show := Show.OFF
## Cycles what the window shows.
@export var key: Key = KEY_F9

var _session := Session.new()
var _unrealcv := UnrealCV.new()
var _overlay := OverlayControl.new()
var _layer := CanvasLayer.new()
var _engine_time_s := 0.0
var _drawn := 0
var _steps := 0
var _due_ms := 0.0
var _tell_at_ms := 0
var _told := ""
var _opened := false
var _finishing := false


## How the connection does; empty while closed. Keys as in the C++ core's `Stats`, and `problem`.
func status() -> Dictionary:
	var told := _session.stats()
	if _session.problem != "":
		told["problem"] = _session.problem
	return told


## The newest photoreal picture of a camera ("main" if none are named), or null.
func picture(camera := "") -> Texture2D:
	var name := camera if camera != "" else _names()[0]
	return _session.pictures[name].texture if _session.pictures.has(name) else null


## Tells that the camera jumped: the next frame's flow is unknown.
func cut() -> void:
	for view in _session.views:
		view.cut()


func _ready() -> void:
	for argument in OS.get_cmdline_user_args():
		if argument.begins_with("--renderlift-"):
			_set_from(argument.trim_prefix("--renderlift-"))
	if mode == "capture":
		Engine.physics_jitter_fix = 0.0  # else the first steps are not 1/fps
	process_priority = 1000  # after the game has moved its things
	_layer.layer = -1
	_layer.add_child(_overlay)
	add_child(_layer)
	RenderingServer.frame_pre_draw.connect(_before_draw)


func _exit_tree() -> void:
	if RenderingServer.frame_pre_draw.is_connected(_before_draw):
		RenderingServer.frame_pre_draw.disconnect(_before_draw)
	_session.close(5000 if mode == "capture" else 200)
	_opened = false


func _notification(what: int) -> void:
	if what == NOTIFICATION_WM_CLOSE_REQUEST:
		_session.cancel()


func _unhandled_key_input(event: InputEvent) -> void:
	if event.is_pressed() and not event.is_echo() and event.keycode == key:
		show = ((show + 1) % Show.size()) as Show


func _process(delta: float) -> void:
	_engine_time_s += delta
	if not _opened:
		if mode == "capture" and not _is_steady(delta):
			return
		_open()
	if unrealcv_port > 0 and _session.publisher != null:
		_unrealcv.place(_session.publisher, _names(), _cameras(), _frame_size())
	_session.after_draw()
	_tell()
	_overlay.picture = _session.pictures.get(_names()[0], {})
	_overlay.visible = show != Show.OFF
	if show == Show.WIPE:
		_overlay.wipe = get_viewport().get_mouse_position().x / maxf(1.0, get_viewport().get_visible_rect().size.x)
	else:
		_overlay.wipe = 0.0
	_overlay.queue_redraw()
	if frames > 0 and _drawn >= frames and not _finishing and mode == "capture":
		_finish()


## Says once in Godot's output why there is no connection.
func _tell() -> void:
	if Time.get_ticks_msec() < _tell_at_ms:
		return
	_tell_at_ms = Time.get_ticks_msec() + TELL_AFTER_MS
	var stats := _session.stats()
	if stats.get("connected", true) or stats.problem == _told:
		return
	_told = stats.problem
	push_warning("Renderlift: %s\n%s" % [stats.problem, stats.fix])


## Capture waits for steps of 1/fps.
func _is_steady(delta: float) -> bool:
	_steps += 1
	if absf(delta / Engine.time_scale * fps - 1.0) < 1e-3:
		return true
	if _steps == STEPS_TO_SETTLE:
		_session.problem = (
			"Capture needs steps of 1/%s s, the last one was of %.4f s.\nStart Godot with --fixed-fps %d."
			% [fps, delta / Engine.time_scale, fps])
		push_error("Renderlift: " + _session.problem)
	return false


func _open() -> void:
	_tell_at_ms = Time.get_ticks_msec() + TELL_AFTER_MS
	var root := get_tree().root if not Engine.is_editor_hint() else get_tree().edited_scene_root
	var world := get_viewport().find_world_3d()
	var options := {
		endpoint = endpoint, own_key_file = own_key_file, bridge_key_file = bridge_key_file,
		capture = mode == "capture", mask = channels, cameras = _names(), session = session}
	var opened := _session.open(root, world, options)
	if opened and unrealcv_port > 0:
		var scene := get_tree().current_scene
		opened = _session.answer_unrealcv(unrealcv_port, str(scene.name if scene != null else root.name))
	if not opened:
		push_error("Renderlift: " + _session.problem)
	_opened = true


func _before_draw() -> void:
	if not _opened or _session.publisher == null or _finishing:
		return
	var time_ns := roundi(_engine_time_s * 1e9)
	if mode == "capture":
		if frames > 0 and _drawn >= frames:
			return
		_drawn += 1
	else:
		var now_ms := Time.get_ticks_usec() * 0.001
		if now_ms < _due_ms:
			return
		_due_ms = maxf(_due_ms + 1000.0 / fps, now_ms)
	var seen := _cameras()
	var sizes: Array[Vector2i] = []
	sizes.resize(seen.size())
	sizes.fill(_frame_size())
	_session.before_draw(seen, sizes, time_ns)


func _finish() -> void:
	_finishing = true
	var clean := _session.close(30000)
	if not clean:
		push_error("Renderlift: not every frame was acknowledged")
	finished.emit()
	if quit_when_finished:
		get_tree().quit(0 if clean else 1)


func _frame_size() -> Vector2i:
	return size if size.x > 0 else Session.frame_size(get_viewport().get_visible_rect().size, mode == "capture")


func _cameras() -> Array[Camera3D]:
	var found: Array[Camera3D] = []
	if cameras.is_empty():
		found.append(get_viewport().get_camera_3d())
	for path in cameras:
		found.append(get_node_or_null(path) as Camera3D)
	return found


func _names() -> PackedStringArray:
	var names := PackedStringArray()
	for path in cameras:
		names.append(str(path.get_name(path.get_name_count() - 1)).left(64))
	return names if names else PackedStringArray(["main"])


func _set_from(argument: String) -> void:
	var name := argument.get_slice("=", 0).replace("-", "_")
	var text := argument.substr(argument.find("=") + 1)
	if name == "unrealcv":
		unrealcv_port = text.to_int()
	elif name == "size":
		size = Vector2i(text.get_slice("x", 0).to_int(), text.get_slice("x", 1).to_int())
	elif name == "show":
		show = ["off", "on", "wipe"].find(text) as Show
	elif name in self:
		set(name, type_convert(text, typeof(get(name))))
	else:
		push_error("Renderlift: there is no --renderlift-" + name)
