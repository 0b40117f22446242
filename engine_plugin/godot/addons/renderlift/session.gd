@tool
## A connection to the bridge, and the views that feed it. The node `Renderlift` drives it in a game, the dock in the
## editor: `before_draw` in RenderingServer.frame_pre_draw, `after_draw` once a frame.
extends RefCounted

const Channels := preload("channels.gd")
const CompatibilityView := preload("compatibility_view.gd")
const StandIns := preload("stand_ins.gd")
const View := preload("view.gd")

const DEFAULT_ENDPOINT := "tcp://127.0.0.1:5755"
const PREVIEW_WIDTH := 640  # preview frames are at most this wide unless a size is asked for
const WAIT_STEP_MS := 50  # capture: how long one wait for the bridge may hold the window's events

var publisher: Object  # RenderliftPublisher; null while closed
var views: Array = []  # one per camera
var capturing := false
## What keeps frames from being captured at all; empty = nothing.
var problem := ""
## Camera name to {texture, index, latency_ms, arrived_ms}.
var pictures: Dictionary = {}

var _stand_ins: StandIns
var _names_sent := 0
var _resume_at: Dictionary = {}  # camera name to the first index the bridge still needs
var _begun := false
var _ended := false
var _answers_unrealcv := false  # its clients may ask for the names of objects before they ask for a frame


## Whether Godot's renderer gives more than rgb.
static func has_all_channels() -> bool:
	return RenderingServer.get_rendering_device() != null and rendering_method() == "forward_plus"


static func rendering_method() -> String:
	if RenderingServer.has_method(&"get_current_rendering_method"):
		return RenderingServer.call(&"get_current_rendering_method")
	return ProjectSettings.get_setting("rendering/renderer/rendering_method")


## The frame's size for a viewport of `size`: preview shrinks it by a whole number.
static func frame_size(size: Vector2i, capture: bool) -> Vector2i:
	@warning_ignore("integer_division")
	var shrink := 1 if capture else maxi(1, (size.x + PREVIEW_WIDTH - 1) / PREVIEW_WIDTH)
	return Vector2i(maxi(1, size.x / shrink), maxi(1, size.y / shrink))


## Starts to dial the bridge and to watch everything below `root` in `world`. False: see `problem`.
## `options`: endpoint, own_key_file, bridge_key_file, capture, mask (of channels), cameras (names), session.
func open(root: Node, world: World3D, options: Dictionary) -> bool:
	if not ClassDB.class_exists(&"RenderliftPublisher"):
		problem = "The Renderlift extension is not loaded.\nBuild it (engine_plugin/godot/build.sh) and start Godot again."
		return false
	capturing = options.capture
	var mask: int = options.mask | Channels.RGB_ONLY
	if not has_all_channels():
		mask = Channels.RGB_ONLY
	publisher = ClassDB.instantiate(&"RenderliftPublisher")
	problem = publisher.open(
		options.endpoint, Engine.get_version_info().string, capturing, "\n".join(Channels.names_of(mask)),
		"\n".join(options.cameras), options.session, ProjectSettings.globalize_path(options.own_key_file),
		ProjectSettings.globalize_path(options.bridge_key_file))
	if problem != "":
		publisher = null
		return false
	if has_all_channels():
		_stand_ins = StandIns.new(root, world, mask != Channels.RGB_ONLY)
	for name in options.cameras:
		var view: Variant = View.new(name, world, _stand_ins) if _stand_ins else CompatibilityView.new(name, world)
		view.mask = mask
		views.append(view)
	if _stand_ins:
		_warm_up()
	if capturing and options.session != "":
		_resume()
	_begun = true
	return true


## Draws the views once while the stand-ins are not there yet. Godot then makes room for normals and motion vectors in
## every shader that it has, and does so while none of ours waits for a pipeline: it waits for its worker threads then
## with a lock that pipelines want as well, and where there are few of them it may wait for ever.
func _warm_up() -> void:
	for view in views:
		view.warm_up()
	RenderingServer.force_draw(false)


## Arms every view that may capture the frame about to be drawn. `cameras` and `sizes` go with `views`.
func before_draw(cameras: Array[Camera3D], sizes: Array[Vector2i], engine_time_ns: int) -> void:
	if publisher == null or _ended or not _begun:
		return
	var wanted := range(views.size()).filter(func(i: int) -> bool: return _wants(views[i], cameras[i]))
	if wanted.is_empty() and (_names_sent > 0 or not _answers_unrealcv):
		return
	if _stand_ins:
		_stand_ins.update()
		_send_names()
	for i: int in wanted:
		views[i].draw_like(cameras[i].get_viewport())
		views[i].capture(cameras[i], sizes[i], engine_time_ns)


## Hands over frames whose pixels have arrived, and takes pictures that came back.
func after_draw() -> void:
	if publisher == null:
		return
	for view in views:
		for shot in view.take():
			_publish(shot)
	_take_pictures()


## Answers UnrealCV's clients on `port` from now on. False: see `problem`.
func answer_unrealcv(port: int, scene: String) -> bool:
	if capturing:
		problem = "UnrealCV's clients are answered in preview, not in capture.\nLeave out one of mode and unrealcv_port."
	else:
		problem = publisher.answer_unrealcv(port, scene)
	_answers_unrealcv = problem == ""
	return _answers_unrealcv


func stats() -> Dictionary:
	return JSON.parse_string(publisher.stats()) if publisher != null else {}


## Ends a wait of capture mode; frames after it are not taken.
func cancel() -> void:
	_ended = true
	if publisher != null:
		publisher.cancel()


## Frames under way are handed over first (capture), then goodbye is said. True if all that was sent has arrived.
func close(patience_ms := 200) -> bool:
	if publisher == null:
		return true
	if capturing and not _ended:
		for patience in 8:
			if views.all(func(view: Variant) -> bool: return view.under_way() == 0):
				break
			RenderingServer.force_draw(false)
			after_draw()
	_ended = true
	for view in views:
		view.close()
	views.clear()
	if _stand_ins:
		_stand_ins.close()
		_stand_ins = null
	var clean: bool = publisher.close(patience_ms)
	publisher = null
	return clean


func _wants(view: Variant, camera: Camera3D) -> bool:
	if camera == null or not camera.is_inside_tree():
		return false
	if camera.projection == Camera3D.PROJECTION_ORTHOGONAL:
		problem = "%s is orthogonal; only perspective cameras can be sent." % camera.name
		return false
	if not capturing:
		return view.is_ready() and publisher.wants_frame(view.camera_name)
	if view.next_index < _resume_at.get(view.camera_name, 0) - 1:  # had before the restart
		view.next_index += 1
		return false
	while not view.is_ready():  # the GPU is behind: capture leaves nothing out
		RenderingServer.force_sync()
		after_draw()
		if view.under_way() >= View.MAX_UNDER_WAY:
			OS.delay_msec(1)
			break
	return true


func _publish(shot: RefCounted) -> void:
	if shot.index < _resume_at.get(shot.camera, 0):
		return
	while true:
		var timeout_ms := WAIT_STEP_MS if capturing else 0
		var state: int = publisher.publish(
			shot.camera, shot.index, shot.engine_time_ns, shot.capture_time_ns, shot.width, shot.height,
			shot.offsets.slice(0, -1), shot.pixels, shot.world_from_camera, shot.image_from_camera, timeout_ms)
		if state == -1:
			problem = publisher.problem()
		if state != 2 or _ended:
			return
		DisplayServer.process_events()


func _send_names() -> void:
	if _stand_ins.labels.version == _names_sent:
		return
	_names_sent = _stand_ins.labels.version
	var lines := PackedStringArray()
	for row in _stand_ins.labels.rows():
		lines.append("\t".join(["id", "name", "class_name", "path"].map(
			func(key: String) -> String: return str(row[key]).replace("\t", " ").replace("\n", " "))))
	problem = publisher.set_names("\n".join(lines))


func _resume() -> void:
	for view in views:
		var index := -1
		while index < 0 and not _ended:
			index = publisher.resume_index(view.camera_name, 500)
			DisplayServer.process_events()
		_resume_at[view.camera_name] = index


func _take_pictures() -> void:
	while true:
		var told: String = publisher.poll_picture()
		if told == "":
			return
		var info: Dictionary = JSON.parse_string(told)
		var image := Image.create_from_data(
			int(info.width), int(info.height), false, Image.FORMAT_RGB8, publisher.picture())
		var picture: Dictionary = pictures.get_or_add(info.camera, {"texture": ImageTexture.new()})
		var texture: ImageTexture = picture.texture
		if texture.get_size() == Vector2(image.get_size()):
			texture.update(image)
		else:
			texture.set_image(image)
		picture.index = int(info.index)
		picture.latency_ms = info.latency_ms
		picture.arrived_ms = Time.get_ticks_msec() - int(info.age_ms)
