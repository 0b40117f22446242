@tool
## One captured camera: draws the user's world as the camera would (`look`), and the stand-ins with the same camera
## (`data`), in one draw of the RenderingServer. Both at the frame's size, whatever the window's.
##
## Because `look` is a view of its own, frames hold no HUD, no editor gizmos, and never a picture that came back.

const Channels := preload("channels.gd")
const GBuffer := preload("gbuffer.gd")
const Shot := preload("shot.gd")
const StandIns := preload("stand_ins.gd")

const GAME_LAYERS := 0xFFFFF  # the editor's gizmos and grid are above
const MAX_UNDER_WAY := 3
const WARM_UP_SIZE := Vector2i(16, 16)

var camera_name: String
var next_index := 0
var mask := Channels.ALL

var _stand_ins: StandIns
var _size := Vector2i.ZERO
var _look := RenderingServer.viewport_create()
var _look_camera := RenderingServer.camera_create()
var _data := RenderingServer.viewport_create()
var _data_camera := RenderingServer.camera_create()
var _compositor := Compositor.new()
var _gbuffer := GBuffer.new()
var _plain := Environment.new()  # no sky, no light; without one Godot keeps no normals
var _previous_view: Transform3D
var _previous_lens: Vector4
var _previous_frame := -2  # drawn frame of the last capture
var _motions_known := false


func _init(name: String, world: World3D, stand_ins: StandIns) -> void:
	camera_name = name
	_stand_ins = stand_ins
	_compositor.compositor_effects = [_gbuffer]
	RenderingServer.viewport_set_scenario(_look, world.scenario)
	RenderingServer.viewport_attach_camera(_look, _look_camera)
	RenderingServer.viewport_set_scenario(_data, stand_ins.scenario)
	RenderingServer.viewport_attach_camera(_data, _data_camera)
	RenderingServer.camera_set_environment(_data_camera, _plain.get_rid())
	RenderingServer.camera_set_compositor(_data_camera, _compositor.get_rid())
	for viewport in [_look, _data]:
		RenderingServer.viewport_set_disable_2d(viewport, true)
		RenderingServer.viewport_set_update_mode(viewport, RenderingServer.VIEWPORT_UPDATE_DISABLED)
		# In this order they are drawn, after the window: `data` reads what `look` shows.
		RenderingServer.viewport_set_active(viewport, true)
	_gbuffer.look = RenderingServer.viewport_get_texture(_look)


## Whether a frame can be captured now, or the GPU is behind.
func is_ready() -> bool:
	return _gbuffer.under_way() < MAX_UNDER_WAY


## Has both views drawn once, with all that frames may ask for and nothing captured.
func warm_up() -> void:
	_resize(WARM_UP_SIZE)
	_gbuffer.needs_motion_vectors = mask & (1 << Channels.FLOW) != 0
	for viewport in [_look, _data]:
		RenderingServer.viewport_set_update_mode(viewport, RenderingServer.VIEWPORT_UPDATE_ONCE)


## Copies how the user's viewport draws (antialiasing, shadows) to ours.
func draw_like(viewport: Viewport) -> void:
	draw_viewport_like(_look, viewport)


static func draw_viewport_like(rid: RID, viewport: Viewport) -> void:
	RenderingServer.viewport_set_msaa_3d(rid, viewport.msaa_3d as RenderingServer.ViewportMSAA)
	RenderingServer.viewport_set_screen_space_aa(rid, viewport.screen_space_aa as RenderingServer.ViewportScreenSpaceAA)
	RenderingServer.viewport_set_positional_shadow_atlas_size(
		rid, viewport.positional_shadow_atlas_size, viewport.positional_shadow_atlas_16_bits)
	for quadrant in 4:
		var subdivision: int = [0, 1, 2, 4, 8, 16, 32][viewport.get_positional_shadow_atlas_quadrant_subdiv(quadrant)]
		RenderingServer.viewport_set_positional_shadow_atlas_quadrant_subdivision(rid, quadrant, subdivision)
	RenderingServer.viewport_set_use_debanding(rid, viewport.use_debanding)


## Captures what `camera` sees in the frame that is about to be drawn. Call in RenderingServer.frame_pre_draw, after
## the stand-ins were updated. Perspective cameras only.
func capture(camera: Camera3D, size: Vector2i, engine_time_ns: int) -> void:
	_resize(size)
	var view := camera.get_camera_transform()
	_gbuffer.near = camera.near
	_gbuffer.far = camera.far
	follow(_look_camera, camera)
	follow(_data_camera, camera)
	look_like(_look_camera, camera)
	var lens := GBuffer.lens_of(projection_of(camera, size))
	var shot := Shot.new()
	shot.camera = camera_name
	shot.index = next_index
	next_index += 1
	shot.engine_time_ns = engine_time_ns
	shot.capture_time_ns = Shot.wall_clock_ns()
	shot.width = size.x
	shot.height = size.y
	shot.offsets = Channels.layout(size.x, size.y, mask)
	shot.draws = _stand_ins.draws.to_byte_array() if _stand_ins.draws else PackedInt32Array([0, 0, 0, 0]).to_byte_array()
	shot.motions = _motion_rows(view)
	shot.motions_known = _motions_known
	var drawn := Engine.get_frames_drawn()
	_gbuffer.needs_motion_vectors = _stand_ins.any_by_vertices and shot.offsets[Channels.FLOW] >= 0
	shot.velocity_known = _gbuffer.needs_motion_vectors and drawn == _previous_frame + 1
	shot.previous_lens = _previous_lens if _motions_known else lens
	_gbuffer.arm(shot)
	_previous_view = view
	_previous_lens = lens
	_previous_frame = drawn
	_motions_known = true
	for viewport in [_look, _data]:
		RenderingServer.viewport_set_update_mode(viewport, RenderingServer.VIEWPORT_UPDATE_ONCE)


## The next frame's flow is unknown: the camera was cut, or frames were left out.
func cut() -> void:
	_motions_known = false


## Frames whose pixels have arrived, oldest first.
func take() -> Array[Shot]:
	return _gbuffer.take()


func under_way() -> int:
	return _gbuffer.under_way()


## Ends the view. Frames under way are given up, and waited for: Godot must not lose a buffer that is being copied.
func close() -> void:
	_gbuffer.enabled = false
	for viewport in [_look, _data]:
		RenderingServer.viewport_set_update_mode(viewport, RenderingServer.VIEWPORT_UPDATE_DISABLED)
	for patience in 8:
		if _gbuffer.under_way() == 0:
			break
		RenderingServer.force_draw(false)
	RenderingServer.call_on_render_thread(_gbuffer.free_buffers)
	for rid in [_look, _data, _look_camera, _data_camera]:
		RenderingServer.free_rid(rid)


func _resize(size: Vector2i) -> void:
	if size == _size:
		return
	_size = size
	_motions_known = false
	for viewport in [_look, _data]:
		RenderingServer.viewport_set_size(viewport, size.x, size.y)


## Brings a camera of ours to where the user's is, with its lens.
static func follow(rid: RID, camera: Camera3D) -> void:
	RenderingServer.camera_set_transform(rid, camera.get_camera_transform())
	RenderingServer.camera_set_cull_mask(rid, camera.cull_mask & GAME_LAYERS)
	RenderingServer.camera_set_use_vertical_aspect(rid, camera.keep_aspect == Camera3D.KEEP_WIDTH)
	if camera.projection == Camera3D.PROJECTION_FRUSTUM:
		RenderingServer.camera_set_frustum(rid, camera.size, camera.frustum_offset, camera.near, camera.far)
	else:
		RenderingServer.camera_set_perspective(rid, camera.fov, camera.near, camera.far)


## Gives a camera of ours the environment, exposure and effects of the user's.
static func look_like(rid: RID, camera: Camera3D) -> void:
	RenderingServer.camera_set_environment(rid, _rid(camera.environment))
	RenderingServer.camera_set_camera_attributes(rid, _rid(camera.attributes))
	RenderingServer.camera_set_compositor(rid, _rid(camera.compositor))


static func projection_of(camera: Camera3D, size: Vector2i) -> Projection:
	var aspect := float(size.x) / size.y
	var flip := camera.keep_aspect == Camera3D.KEEP_WIDTH
	if camera.projection == Camera3D.PROJECTION_FRUSTUM:
		return Projection.create_frustum_aspect(camera.size, aspect, camera.frustum_offset, camera.near, camera.far, flip)
	return Projection.create_perspective(camera.fov, aspect, camera.near, camera.far, flip)


static func _rid(resource: Resource) -> RID:
	return resource.get_rid() if resource != null else RID()


## For each motion the rows of view space now to view space of the frame before.
func _motion_rows(view: Transform3D) -> PackedByteArray:
	var rows := PackedFloat32Array()
	var before := _previous_view.affine_inverse() if _motions_known else view.affine_inverse()
	for previous_from_now in _stand_ins.motions:
		var m: Transform3D = before * previous_from_now * view
		rows.append_array(PackedFloat32Array([
			m.basis.x.x, m.basis.y.x, m.basis.z.x, m.origin.x,
			m.basis.x.y, m.basis.y.y, m.basis.z.y, m.origin.y,
			m.basis.x.z, m.basis.y.z, m.basis.z.z, m.origin.z,
		]))
	return rows.to_byte_array()
