@tool
## A second world that holds one stand-in for each thing of the user's world, with a material that writes data.
##
## Stand-ins are RenderingServer instances in a scenario of their own: the user's nodes, layers, lights and shadows are
## untouched, and the user's cameras never see them. `update` brings them to where their nodes are; call it right
## before a frame is drawn.

const Labels := preload("labels.gd")
const PackShader := preload("pack_shader.gd")
const SurfaceShader := preload("surface_shader.gd")

const RESCAN_FRAMES := 30  # materials, meshes and skeletons that were exchanged are noticed after so many updates


class StandIn:
	var node: GeometryInstance3D
	var instance: RID
	var base: RID
	var draw: int
	var label: Vector2i
	var by_vertices: bool  # skinned, blend shapes or MultiMesh: moves in ways that one matrix does not tell
	var blend_shapes: int
	var visible := true
	var transform: Transform3D
	var fresh := true
	var solid := true
	var sources: Array[Material] = []  # of the surfaces
	var parts: Array[RID] = []  # a GridMap's further instances


var scenario: RID
var labels: Labels
## Per draw {instance id, class id, motion, 0}, and three rows of a 3 x 4 matrix per motion; see pack_shader.gd.
var draws := PackedInt32Array()
var motions: Array[Transform3D] = []  # world now to world at the last update; [0] is the static one
var any_by_vertices := false

var _root: Node
var _world: World3D
var _stand_ins: Dictionary = {}  # node's get_instance_id()
var _free_draws: Array[int] = []
var _next_draw := 0
var _arrivals: Array[Node] = []
var _materials: Dictionary = {}  # by source material and code
var _shaders: Dictionary = {}  # by code
var _updates := 0
var _moved: Array[int] = []


## Everything below `root` that lives in `world`; nothing if only rgb is wanted.
func _init(root: Node, world: World3D, wanted: bool) -> void:
	_root = root
	_world = world
	labels = Labels.new(root)
	scenario = RenderingServer.scenario_create()
	if not wanted:
		return
	for node in root.find_children("*", "GeometryInstance3D", true, false):
		_arrivals.append(node)
	if root is GeometryInstance3D:
		_arrivals.append(root)
	root.get_tree().node_added.connect(_on_added)
	root.get_tree().node_removed.connect(_on_removed)


func close() -> void:
	if is_instance_valid(_root) and _root.is_inside_tree() and _root.get_tree().node_added.is_connected(_on_added):
		_root.get_tree().node_added.disconnect(_on_added)
		_root.get_tree().node_removed.disconnect(_on_removed)
	for stand_in: StandIn in _stand_ins.values():
		_free_instances(stand_in)
	_stand_ins.clear()
	RenderingServer.free_rid(scenario)


## Brings the stand-ins to where their nodes are now. Matrices in `motions` lead from now back to the last update.
func update() -> void:
	for node in _arrivals:
		if is_instance_valid(node) and node.is_inside_tree():
			_add(node)
	_arrivals.clear()
	for draw in _moved:
		draws[4 * draw + 2] = PackShader.MOTION_STATIC
	_moved.clear()
	motions = [Transform3D.IDENTITY]
	any_by_vertices = false
	_updates += 1
	for stand_in: StandIn in _stand_ins.values():
		_follow(stand_in)


func _follow(stand_in: StandIn) -> void:
	var node := stand_in.node
	var visible := node.is_visible_in_tree() and stand_in.solid
	if visible != stand_in.visible:
		stand_in.visible = visible
		RenderingServer.instance_set_visible(stand_in.instance, visible)
		stand_in.fresh = true
	if (_updates + stand_in.draw) % RESCAN_FRAMES == 0 or node.get_base() != stand_in.base:
		_dress(stand_in)
	if not visible:
		return
	var now := node.global_transform
	if node.is_physics_interpolated_and_enabled() and node.has_method(&"get_global_transform_interpolated"):
		now = node.call(&"get_global_transform_interpolated")  # from Godot 4.4 on
	if now != stand_in.transform or stand_in.fresh:
		RenderingServer.instance_set_transform(stand_in.instance, now)
		_move(stand_in, PackShader.MOTION_UNKNOWN if stand_in.fresh else _motion(stand_in.transform * now.affine_inverse()))
		stand_in.transform = now
		stand_in.fresh = false
	if stand_in.by_vertices:
		any_by_vertices = true
		for shape in stand_in.blend_shapes:
			RenderingServer.instance_set_blend_shape_weight(stand_in.instance, shape, node.get_blend_shape_value(shape))
		if draws[4 * stand_in.draw + 2] != PackShader.MOTION_UNKNOWN:
			_move(stand_in, PackShader.MOTION_OF_VERTICES)
	for source in stand_in.sources:
		if source is ShaderMaterial:
			SurfaceShader.copy_values(source, _stand_in_of(source))


func _motion(previous_from_now: Transform3D) -> int:
	motions.append(previous_from_now)
	return motions.size() - 1


func _move(stand_in: StandIn, motion: int) -> void:
	draws[4 * stand_in.draw + 2] = motion
	_moved.append(stand_in.draw)


func _on_added(node: Node) -> void:
	if node is GeometryInstance3D and (node == _root or _root.is_ancestor_of(node)):
		_arrivals.append(node)


func _on_removed(node: Node) -> void:
	var key := node.get_instance_id()
	if not _stand_ins.has(key):
		return
	var stand_in: StandIn = _stand_ins[key]
	_free_instances(stand_in)
	_free_draws.append(stand_in.draw)
	_stand_ins.erase(key)


func _free_instances(stand_in: StandIn) -> void:
	RenderingServer.free_rid(stand_in.instance)


func _add(node: GeometryInstance3D) -> void:
	if _stand_ins.has(node.get_instance_id()) or node.get_world_3d() != _world or not _is_surface(node):
		return
	var draw: int = _free_draws.pop_back() if _free_draws else _next_draw
	if draw > SurfaceShader.MAX_DRAW:
		return  # more nodes than a half float can tell apart: these are in rgb only
	_next_draw = maxi(_next_draw, draw + 1)
	var stand_in := StandIn.new()
	stand_in.node = node
	stand_in.draw = draw
	stand_in.label = labels.of(node)
	stand_in.instance = RenderingServer.instance_create()
	RenderingServer.instance_set_scenario(stand_in.instance, scenario)
	RenderingServer.instance_geometry_set_cast_shadows_setting(
		stand_in.instance, RenderingServer.SHADOW_CASTING_SETTING_OFF)
	_stand_ins[node.get_instance_id()] = stand_in
	if draws.size() < 4 * _next_draw:
		draws.resize(4 * _next_draw)
	draws[4 * draw] = stand_in.label.x
	draws[4 * draw + 1] = stand_in.label.y
	draws[4 * draw + 2] = PackShader.MOTION_UNKNOWN
	_dress(stand_in)


## Particles, text and sprites are pictures rather than things: in rgb only.
static func _is_surface(node: GeometryInstance3D) -> bool:
	return not (node is GPUParticles3D or node is CPUParticles3D or node is Label3D or node is SpriteBase3D)


## Gives a stand-in its node's shape, skeleton, and a material for each surface.
func _dress(stand_in: StandIn) -> void:
	var node := stand_in.node
	var base := node.get_base()
	var instance := stand_in.instance
	if base != stand_in.base:
		stand_in.base = base
		RenderingServer.instance_set_base(instance, base)
		stand_in.fresh = true
	if not base.is_valid():
		return
	RenderingServer.instance_geometry_set_shader_parameter(instance, &"renderlift_draw", float(stand_in.draw))
	RenderingServer.instance_set_layer_mask(instance, node.layers)
	RenderingServer.instance_geometry_set_lod_bias(instance, node.lod_bias)
	RenderingServer.instance_set_custom_aabb(instance, node.custom_aabb)
	RenderingServer.instance_set_extra_visibility_margin(instance, node.extra_cull_margin)
	RenderingServer.instance_geometry_set_visibility_range(
		instance, node.visibility_range_begin, node.visibility_range_end, node.visibility_range_begin_margin,
		node.visibility_range_end_margin, RenderingServer.VISIBILITY_RANGE_FADE_DISABLED)
	var skin: SkinReference = node.get_skin_reference() if node is MeshInstance3D else null
	RenderingServer.instance_attach_skeleton(instance, skin.get_skeleton() if skin != null else RID())
	stand_in.blend_shapes = node.get_blend_shape_count() if node is MeshInstance3D else 0
	stand_in.by_vertices = (
		skin != null or stand_in.blend_shapes > 0 or node is MultiMeshInstance3D or node is SoftBody3D)
	_dress_surfaces(stand_in)


func _dress_surfaces(stand_in: StandIn) -> void:
	var node := stand_in.node
	stand_in.sources = _materials_of(node)
	stand_in.solid = stand_in.sources.any(SurfaceShader.is_solid) and node.transparency < SurfaceShader.SEE_THROUGH
	var one_for_all := node.material_override != null or not (node is MeshInstance3D)
	if one_for_all:
		RenderingServer.instance_geometry_set_material_override(
			stand_in.instance, _stand_in_of(stand_in.sources[0]).get_rid())
		return
	RenderingServer.instance_geometry_set_material_override(stand_in.instance, RID())
	for surface in stand_in.sources.size():
		RenderingServer.instance_set_surface_override_material(
			stand_in.instance, surface, _stand_in_of(stand_in.sources[surface]).get_rid())


## The material of each surface as drawn; null = Godot's default. At least one.
static func _materials_of(node: GeometryInstance3D) -> Array[Material]:
	if node.material_override != null:
		return [node.material_override]
	if node is MeshInstance3D and node.mesh != null:
		var materials: Array[Material] = []
		for surface in node.mesh.get_surface_count():
			materials.append(node.get_active_material(surface))
		if materials:
			return materials
	if node is MultiMeshInstance3D and node.multimesh != null and node.multimesh.mesh != null:
		return [node.multimesh.mesh.surface_get_material(0)]
	if node is CSGShape3D and node.is_root_shape() and node.get_meshes().size() > 1:
		return [node.get_meshes()[1].surface_get_material(0)]
	return [null]


func _stand_in_of(source: Material) -> ShaderMaterial:
	var code := SurfaceShader.code_for(source)
	var key := "%d %d" % [source.get_instance_id() if source != null else 0, code.hash()]
	if not _materials.has(key):
		if not _shaders.has(code):
			_shaders[code] = Shader.new()
			_shaders[code].code = code
		_materials[key] = ShaderMaterial.new()
		_materials[key].shader = _shaders[code]
	if source != null:
		SurfaceShader.copy_values(source, _materials[key])
	return _materials[key]
