@tool
## One captured camera in the Compatibility and Mobile renderers: rgb alone, for Godot gives no depth, normals or
## velocity there. The pixels are read without help from the GPU's queue, so each frame waits for its drawing.

const Axes := preload("axes.gd")
const Channels := preload("channels.gd")
const Shot := preload("shot.gd")
const View := preload("view.gd")

var camera_name: String
var next_index := 0
var mask := Channels.RGB_ONLY

var _look := RenderingServer.viewport_create()
var _camera := RenderingServer.camera_create()
var _size := Vector2i.ZERO
var _armed: Shot


func _init(name: String, world: World3D) -> void:
	camera_name = name
	RenderingServer.viewport_set_scenario(_look, world.scenario)
	RenderingServer.viewport_attach_camera(_look, _camera)
	RenderingServer.viewport_set_disable_2d(_look, true)
	RenderingServer.viewport_set_update_mode(_look, RenderingServer.VIEWPORT_UPDATE_DISABLED)
	RenderingServer.viewport_set_active(_look, true)


func is_ready() -> bool:
	return _armed == null


func draw_like(viewport: Viewport) -> void:
	View.draw_viewport_like(_look, viewport)


func capture(camera: Camera3D, size: Vector2i, engine_time_ns: int) -> void:
	if size != _size:
		_size = size
		RenderingServer.viewport_set_size(_look, size.x, size.y)
	View.follow(_camera, camera)
	View.look_like(_camera, camera)
	var shot := Shot.new()
	shot.camera = camera_name
	shot.index = next_index
	next_index += 1
	shot.engine_time_ns = engine_time_ns
	shot.capture_time_ns = Shot.wall_clock_ns()
	shot.width = size.x
	shot.height = size.y
	shot.offsets = Channels.layout(size.x, size.y, mask)
	shot.world_from_camera = Axes.world_from_camera(camera.get_camera_transform())
	shot.image_from_camera = Axes.image_from_camera(View.projection_of(camera, size), size.x, size.y)
	_armed = shot
	RenderingServer.viewport_set_update_mode(_look, RenderingServer.VIEWPORT_UPDATE_ONCE)


func cut() -> void:
	pass  # no flow here


func take() -> Array[Shot]:
	if _armed == null or RenderingServer.viewport_get_update_mode(_look) != RenderingServer.VIEWPORT_UPDATE_DISABLED:
		return []
	var image := RenderingServer.texture_2d_get(RenderingServer.viewport_get_texture(_look))
	image.convert(Image.FORMAT_RGB8)
	_armed.pixels = image.get_data()
	_armed.pixels.resize(_armed.offsets[-1])
	var shots: Array[Shot] = [_armed]
	_armed = null
	return shots


func under_way() -> int:
	return 1 if _armed != null else 0


func close() -> void:
	for rid in [_look, _camera]:
		RenderingServer.free_rid(rid)
