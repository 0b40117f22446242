## Known things at known places, seen by two cameras. Step k is drawn as frame k of a capture.
extends Node3D

const LEFT_HALF := "shader_type spatial; render_mode unshaded; void fragment() { if (UV.x > 0.5) { discard; } ALBEDO = vec3(0.0, 0.4, 0.4); }"
const RAISED := "shader_type spatial; void vertex() { VERTEX.y += 0.5; } void fragment() { ALBEDO = vec3(0.25, 0.5, 0.75); ROUGHNESS = 0.2; METALLIC = 1.0; }"

var k := -1
var main := Camera3D.new()
var side := Camera3D.new()
var ball: MeshInstance3D
var skeleton := Skeleton3D.new()


func _ready() -> void:
	for camera: Camera3D in [main, side]:
		camera.fov = 60.0
		camera.far = 2000.0
		add_child(camera)
	main.name = "Main"
	main.current = true
	side.name = "Side"
	side.position = Vector3(3, 1, 0)
	side.fov = 75.0
	var environment := Environment.new()
	environment.background_mode = Environment.BG_COLOR
	environment.background_color = Color.BLACK
	var world := WorldEnvironment.new()
	world.environment = environment
	add_child(world)
	var wall := PlaneMesh.new()
	wall.size = Vector2(26, 26)
	wall.orientation = PlaneMesh.FACE_Z
	_thing("wall", wall, Vector3(0, 0, -10), _flat(Color(0.5, 0.1, 0.1)), 11)
	_thing("box_001", _cube(1.0), Vector3(-2, 0.4, -6), _flat(Color(0.1, 0.8, 0.1)), 22)
	var sphere := SphereMesh.new()
	sphere.radius = 1.0
	sphere.height = 2.0
	sphere.radial_segments = 128
	sphere.rings = 64
	var lit := StandardMaterial3D.new()
	lit.albedo_color = Color(0.2, 0.4, 0.8)
	lit.roughness = 0.6
	lit.metallic = 0.25
	lit.shading_mode = BaseMaterial3D.SHADING_MODE_UNSHADED
	ball = _thing("ball", sphere, Vector3(1.5, 0.4, -5), lit, 33)
	_thing("thin", _quad(), Vector3(-0.6, -1.2, -4), _glass(0.3), 44)
	_thing("thick", _quad(), Vector3(0.6, -1.2, -4), _glass(0.7), 55)
	_thing("card", _quad(), Vector3(-1.8, -1.2, -4), _own(LEFT_HALF), 66)
	_thing("raised", _quad(), Vector3(1.8, -1.7, -4), _own(RAISED), 77)
	_crowd()
	_puppet()
	var cameras: Array[NodePath] = [^"../Main", ^"../Side"]
	var lift := preload("res://addons/renderlift/lift.gd").new()
	lift.cameras = cameras
	lift.quit_when_finished = true
	add_child(lift)


func _process(_delta: float) -> void:
	k += 1
	main.position = Vector3(0.05 * clampi(k - 2, 0, 3), 0.05 * clampi(k - 5, 0, 3), 0)
	ball.position.y = 0.4 + 0.1 * clampi(k - 8, 0, 3)
	skeleton.set_bone_pose_position(0, clampi(k - 11, 0, 3) * Vector3(0.15, -0.1, 0))
	main.rotation = Vector3(0.0, deg_to_rad(12.0 * (k - 20)) if k >= 20 and k < 50 else 0.0, 0.0)


func _thing(name_of_it: String, mesh: Mesh, at: Vector3, material: Material, id: int) -> MeshInstance3D:
	var node := MeshInstance3D.new()
	node.name = name_of_it
	node.mesh = mesh
	node.position = at
	node.material_override = material
	node.set_meta(&"renderlift_instance", id)
	add_child(node)
	return node


## Three cubes of one MultiMesh, in a group that names the class.
func _crowd() -> void:
	var many := MultiMesh.new()
	many.transform_format = MultiMesh.TRANSFORM_3D
	many.mesh = _cube(0.4)
	many.mesh.material = _flat(Color(0.9, 0.9, 0.1))
	many.instance_count = 3
	for i in 3:
		many.set_instance_transform(i, Transform3D(Basis.IDENTITY, Vector3(0.7 * i - 0.7, 1.9, -5)))
	var node := MultiMeshInstance3D.new()
	node.name = "crowd"
	node.multimesh = many
	node.add_to_group("class:people")
	node.set_meta(&"renderlift_instance", 88)
	add_child(node)


## A cube whose vertices all hang on one bone.
func _puppet() -> void:
	var arrays := _cube(0.5).get_mesh_arrays()
	var bones := PackedInt32Array()
	var weights := PackedFloat32Array()
	for i in arrays[Mesh.ARRAY_VERTEX].size():
		bones.append_array(PackedInt32Array([0, 0, 0, 0]))
		weights.append_array(PackedFloat32Array([1, 0, 0, 0]))
	arrays[Mesh.ARRAY_BONES] = bones
	arrays[Mesh.ARRAY_WEIGHTS] = weights
	var mesh := ArrayMesh.new()
	mesh.add_surface_from_arrays(Mesh.PRIMITIVE_TRIANGLES, arrays)
	skeleton.add_bone("root")
	skeleton.position = Vector3(-2.2, 1.8, -5)
	add_child(skeleton)
	var node := MeshInstance3D.new()
	node.name = "puppet"
	node.mesh = mesh
	node.material_override = _flat(Color(0.8, 0.1, 0.8))
	node.skin = skeleton.create_skin_from_rest_transforms()
	node.set_meta(&"renderlift_instance", 99)
	skeleton.add_child(node)
	node.skeleton = ^".."


static func _cube(side_m: float) -> BoxMesh:
	var mesh := BoxMesh.new()
	mesh.size = Vector3.ONE * side_m
	return mesh


static func _quad() -> QuadMesh:
	var mesh := QuadMesh.new()
	mesh.size = Vector2.ONE
	return mesh


static func _flat(color: Color) -> StandardMaterial3D:
	var material := StandardMaterial3D.new()
	material.albedo_color = color
	material.shading_mode = BaseMaterial3D.SHADING_MODE_UNSHADED
	return material


static func _glass(alpha: float) -> StandardMaterial3D:
	var material := _flat(Color(0.3, 0.3, 0.9, alpha))
	material.transparency = BaseMaterial3D.TRANSPARENCY_ALPHA
	return material


static func _own(code: String) -> ShaderMaterial:
	var material := ShaderMaterial.new()
	material.shader = Shader.new()
	material.shader.code = code
	return material
