@tool
## Runs on the render thread, in the view of the stand-ins: packs the channels of a frame and reads them back
## without waiting. Camera and pixels are read in one callback.
extends CompositorEffect

const Axes := preload("axes.gd")
const PackShader := preload("pack_shader.gd")
const Shot := preload("shot.gd")

## The display texture of the view that draws the user's world.
var look: RID
var near := 0.05
var far := 4000.0

var _rd: RenderingDevice
var _shader: RID
var _pipeline: RID
var _sampler: RID
var _nothing: RID  # stands for a texture that is not wanted
var _frame: RID
var _frame_bytes := 0
var _draws: RID
var _draws_bytes := 0
var _motions: RID
var _motions_bytes := 0
var _mutex := Mutex.new()
var _armed: Array[Shot] = []
var _taken: Array[Shot] = []
var _under_way := 0


func _init() -> void:
	effect_callback_type = EFFECT_CALLBACK_TYPE_POST_TRANSPARENT
	access_resolved_color = false
	access_resolved_depth = false
	needs_normal_roughness = true
	_rd = RenderingServer.get_rendering_device()


func arm(shot: Shot) -> void:
	_mutex.lock()
	_armed.append(shot)
	_mutex.unlock()


## Frames whose pixels have arrived, oldest first.
func take() -> Array[Shot]:
	_mutex.lock()
	var shots := _taken
	_taken = []
	_mutex.unlock()
	return shots


## Frames armed, drawn or being copied.
func under_way() -> int:
	_mutex.lock()
	var count := _armed.size() + _under_way
	_mutex.unlock()
	return count


## Call on the render thread, when nothing is under way.
func free_buffers() -> void:
	for rid in [_pipeline, _shader, _sampler, _nothing, _frame, _draws, _motions]:
		if rid.is_valid():
			_rd.free_rid(rid)
	_pipeline = RID()


func _render_callback(_type: int, render_data: RenderData) -> void:
	_mutex.lock()
	var shot: Shot = _armed.pop_front() if _armed else null
	if shot != null:
		_under_way += 1
	_mutex.unlock()
	if shot == null:
		return
	if not _pipeline.is_valid():
		_set_up()
	var scene := render_data.get_render_scene_data()
	var drawn_with := scene.get_cam_projection()
	var projection := Axes.upright(drawn_with)
	shot.world_from_camera = Axes.world_from_camera(scene.get_cam_transform())
	shot.image_from_camera = Axes.image_from_camera(projection, shot.width, shot.height)
	_pack(shot, render_data.get_render_scene_buffers(), projection, _depth_row(drawn_with))
	if _rd.has_method(&"buffer_get_data_async"):
		_rd.call(&"buffer_get_data_async", _frame, _arrived.bind(shot), 0, shot.offsets[-1])
	else:  # Godot 4.3
		_arrived(_rd.buffer_get_data(_frame, 0, shot.offsets[-1]), shot)


func _arrived(pixels: PackedByteArray, shot: Shot) -> void:
	shot.pixels = pixels
	_mutex.lock()
	_under_way -= 1
	_taken.append(shot)
	_mutex.unlock()


func _set_up() -> void:
	var source := RDShaderSource.new()
	source.source_compute = PackShader.code()
	var spirv := _rd.shader_compile_spirv_from_source(source)
	if spirv.compile_error_compute != "":
		push_error("Renderlift: " + spirv.compile_error_compute)
	_shader = _rd.shader_create_from_spirv(spirv)
	_pipeline = _rd.compute_pipeline_create(_shader)
	_sampler = _rd.sampler_create(RDSamplerState.new())
	var format := RDTextureFormat.new()
	format.format = RenderingDevice.DATA_FORMAT_R8G8B8A8_UNORM
	format.usage_bits = RenderingDevice.TEXTURE_USAGE_SAMPLING_BIT
	_nothing = _rd.texture_create(format, RDTextureView.new())


func _pack(shot: Shot, buffers: RenderSceneBuffersRD, projection: Projection, depth_row: Vector2) -> void:
	if shot.offsets[-1] > _frame_bytes:
		if _frame.is_valid():
			_rd.free_rid(_frame)
		_frame_bytes = shot.offsets[-1]
		_frame = _rd.storage_buffer_create(_frame_bytes)
	if shot.draws.size() > _draws_bytes:
		if _draws.is_valid():
			_rd.free_rid(_draws)
		_draws_bytes = 2 * shot.draws.size()
		_draws = _rd.storage_buffer_create(_draws_bytes)
	if shot.motions.size() > _motions_bytes:
		if _motions.is_valid():
			_rd.free_rid(_motions)
		_motions_bytes = 2 * shot.motions.size()
		_motions = _rd.storage_buffer_create(_motions_bytes)
	_rd.buffer_update(_draws, 0, shot.draws.size(), shot.draws)
	_rd.buffer_update(_motions, 0, shot.motions.size(), shot.motions)
	var velocity := buffers.get_velocity_texture() if needs_motion_vectors else _nothing
	var uniforms := UniformSetCacheRD.get_cache(_shader, 0, [
		_texture(0, RenderingServer.texture_get_rd_texture(look)),
		_texture(1, buffers.get_color_texture()),
		_texture(2, buffers.get_depth_texture()),
		_texture(3, buffers.get_texture(&"forward_clustered", &"normal_roughness")),
		_texture(4, velocity if velocity.is_valid() else _nothing),
		_buffer(5, _draws),
		_buffer(6, _motions),
		_buffer(7, _frame),
	])
	var list := _rd.compute_list_begin()
	_rd.compute_list_bind_compute_pipeline(list, _pipeline)
	_rd.compute_list_bind_uniform_set(list, uniforms, 0)
	var parameters := _parameters(shot, projection, depth_row)
	_rd.compute_list_set_push_constant(list, parameters, parameters.size())
	@warning_ignore("integer_division")
	_rd.compute_list_dispatch(list, (shot.width * shot.height + 255) / 256, 1, 1)
	_rd.compute_list_end()


func _parameters(shot: Shot, projection: Projection, depth_row: Vector2) -> PackedByteArray:
	var bytes := PackedInt32Array(
		[shot.width, shot.height, int(shot.motions_known), int(shot.velocity_known)]).to_byte_array()
	var lens := lens_of(projection)
	bytes.append_array(PackedFloat32Array([
		lens.x, lens.y, lens.z, lens.w,
		shot.previous_lens.x, shot.previous_lens.y, shot.previous_lens.z, shot.previous_lens.w,
		depth_row.x, depth_row.y, 0.0, 0.0,
	]).to_byte_array())
	for channel in shot.offsets.size() - 1:
		@warning_ignore("integer_division")
		var word := shot.offsets[channel] / 4 if shot.offsets[channel] >= 0 else -1
		bytes.append_array(PackedInt32Array([word]).to_byte_array())
	return bytes


## What the depth buffer holds at distance d is y / d - x. Taken from the matrix that drew, so that its rounding
## cancels; Godot 4.3 gives the matrix before it is turned to reverse depth.
func _depth_row(drawn_with: Projection) -> Vector2:
	if absf(drawn_with.z.z) < 0.5:
		return Vector2(drawn_with.z.z, drawn_with.w.z)
	return Vector2(near, near * far) / (far - near)


static func lens_of(projection: Projection) -> Vector4:
	return Vector4(projection.x.x, projection.y.y, projection.z.x, projection.z.y)


func _texture(binding: int, texture: RID) -> RDUniform:
	var uniform := RDUniform.new()
	uniform.uniform_type = RenderingDevice.UNIFORM_TYPE_SAMPLER_WITH_TEXTURE
	uniform.binding = binding
	uniform.add_id(_sampler)
	uniform.add_id(texture)
	return uniform


func _buffer(binding: int, buffer: RID) -> RDUniform:
	var uniform := RDUniform.new()
	uniform.uniform_type = RenderingDevice.UNIFORM_TYPE_STORAGE_BUFFER
	uniform.binding = binding
	uniform.add_id(buffer)
	return uniform
