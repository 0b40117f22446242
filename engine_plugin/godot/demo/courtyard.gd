## A courtyard in the afternoon: everything in it is made here, from boxes, spheres and a few lines of shader.
@tool
extends Node3D

const TILES := preload("tiles.gdshader")
const PLASTER := preload("plaster.gdshader")
const LEAF := preload("leaf.gdshader")
const CLOTH := preload("cloth.gdshader")

const HALF_M := 7.0  # of the courtyard's side

var _random := RandomNumberGenerator.new()
var _cart: Node3D
var _wheels: Array[Node3D] = []
var _time_s := 0.0


func _ready() -> void:
	_random.seed = 7
	_light()
	_ground()
	_walls()
	_fountain(Vector3.ZERO)
	for at in [Vector3(-4.6, 0, -4.4), Vector3(4.7, 0, -3.9), Vector3(4.2, 0, 4.9)]:
		_tree(at)
	for i in 9:
		_pot(Vector3(-6.3 + 0.75 * i, 0, -6.35 + 0.1 * sin(2.0 * i)), 0.2 + 0.08 * _random.randf())
	for side in [-1, 1]:
		_bench(Vector3(2.7 * side, 0, 2.6), 0.6 * side)
	_stall(Vector3(-5.3, 0, 3.2))
	_cart = _make_cart()


func _process(delta: float) -> void:
	_time_s += delta
	var angle := 0.35 * _time_s
	_cart.position = Vector3(3.6 * cos(angle), 0.0, 3.6 * sin(angle))
	_cart.rotation.y = -angle
	for wheel in _wheels:
		wheel.rotation.x = -3.6 * angle / 0.22
	if not Engine.is_editor_hint():
		var round := 0.12 * _time_s + 0.9
		$Camera3D.position = Vector3(5.9 * sin(round), 1.9 + 0.35 * sin(0.4 * _time_s), 5.9 * cos(round))
		$Camera3D.look_at(Vector3(0, 1.15, 0))


func _light() -> void:
	var sun := DirectionalLight3D.new()
	sun.rotation_degrees = Vector3(-40, 66, 0)
	sun.light_color = Color(1.0, 0.93, 0.8)
	sun.light_energy = 1.7
	sun.shadow_enabled = true
	sun.directional_shadow_max_distance = 40.0
	add_child(sun)
	var sky := ProceduralSkyMaterial.new()
	sky.sky_top_color = Color(0.22, 0.42, 0.72)
	sky.sky_horizon_color = Color(0.75, 0.8, 0.86)
	sky.ground_bottom_color = Color(0.3, 0.25, 0.2)
	sky.ground_horizon_color = Color(0.7, 0.66, 0.6)
	var environment := Environment.new()
	environment.background_mode = Environment.BG_SKY
	environment.sky = Sky.new()
	environment.sky.sky_material = sky
	environment.tonemap_mode = Environment.TONE_MAPPER_ACES
	environment.tonemap_white = 6.0
	environment.ambient_light_energy = 0.9
	var world := WorldEnvironment.new()
	world.environment = environment
	add_child(world)


func _ground() -> void:
	var mesh := PlaneMesh.new()
	mesh.size = Vector2(60, 60)
	_thing("ground", mesh, _own(TILES), Vector3.ZERO, "floor")


func _walls() -> void:
	var colors: Array[Color] = [Color(0.86, 0.62, 0.42), Color(0.8, 0.5, 0.36), Color(0.87, 0.75, 0.56), Color(0.75, 0.58, 0.45)]
	for side in 4:
		var wall := Node3D.new()
		wall.rotation.y = side * PI / 2.0
		wall.set_meta(&"renderlift_class", "wall")
		wall.name = "wall%d" % side
		add_child(wall)
		var plaster := _own(PLASTER)
		plaster.set_shader_parameter("paint", colors[side])
		var height := 4.6 + 1.3 * _random.randf()
		_box(wall, Vector3(2.0 * HALF_M + 1.0, height, 0.5), Vector3(0, height / 2, -HALF_M - 0.25), plaster)
		_box(wall, Vector3(2.0 * HALF_M + 1.6, 0.22, 0.95), Vector3(0, height + 0.1, -HALF_M - 0.1), _plain(Color(0.55, 0.25, 0.16), 0.9))
		for i in 5:
			_window(wall, Vector3(-5.2 + 2.6 * i, 0, -HALF_M), side == 0 and i == 2)


func _window(wall: Node3D, at: Vector3, is_door: bool) -> void:
	var size := Vector2(1.15, 2.3) if is_door else Vector2(0.95, 1.35)
	var middle := at + Vector3(0, size.y / 2 if is_door else 2.6, 0)
	var stone := _plain(Color(0.8, 0.76, 0.68), 0.8)
	_box(wall, Vector3(size.x + 0.3, size.y + 0.3, 0.12), middle, stone)
	var glass := _plain(Color(0.06, 0.08, 0.1), 0.08)
	glass.metallic = 0.4
	_box(wall, Vector3(size.x, size.y, 0.05), middle + Vector3(0, 0, 0.05), _plain(Color(0.23, 0.12, 0.06), 0.6) if is_door else glass)
	if is_door:
		return
	var shutter := _plain([Color(0.13, 0.3, 0.3), Color(0.16, 0.32, 0.2)][_random.randi() % 2], 0.7)
	for side in [-1, 1]:
		var leaf := _box(wall, Vector3(0.5, size.y, 0.05), middle + Vector3(side * (size.x / 2 + 0.38), 0, 0.16), shutter)
		leaf.rotation.y = side * (0.15 + 0.5 * _random.randf())
	_box(wall, Vector3(size.x + 0.5, 0.08, 0.3), middle - Vector3(0, size.y / 2 + 0.15, -0.1), stone)


func _fountain(at: Vector3) -> void:
	var fountain := Node3D.new()
	fountain.name = "fountain"
	fountain.position = at
	fountain.set_meta(&"renderlift_class", "fountain")
	add_child(fountain)
	var stone := _plain(Color(0.62, 0.6, 0.56), 0.75)
	var rim := TorusMesh.new()
	rim.inner_radius = 1.35
	rim.outer_radius = 1.7
	_part(fountain, rim, stone, Vector3(0, 0.5, 0))
	_part(fountain, _cylinder(1.6, 0.5), stone, Vector3(0, 0.25, 0))
	_part(fountain, _cylinder(0.2, 1.5), stone, Vector3(0, 0.9, 0))
	var bowl := SphereMesh.new()
	bowl.radius = 0.7
	bowl.height = 0.7
	bowl.is_hemisphere = true
	_part(fountain, bowl, stone, Vector3(0, 1.85, 0)).rotation.x = PI
	var ball := SphereMesh.new()
	ball.radius = 0.22
	ball.height = 0.44
	var bronze := _plain(Color(0.6, 0.4, 0.2), 0.3)
	bronze.metallic = 1.0
	_part(fountain, ball, bronze, Vector3(0, 2.02, 0))
	var water := _plain(Color(0.1, 0.32, 0.34, 0.62), 0.05)
	water.transparency = BaseMaterial3D.TRANSPARENCY_ALPHA
	_part(fountain, _cylinder(1.42, 0.02), water, Vector3(0, 0.56, 0))


func _tree(at: Vector3) -> void:
	var tree := Node3D.new()
	tree.name = "tree"
	tree.position = at
	tree.set_meta(&"renderlift_class", "tree")
	add_child(tree)
	var trunk := _cylinder(0.14, 2.2)
	trunk.bottom_radius = 0.2
	_part(tree, trunk, _plain(Color(0.28, 0.19, 0.12), 0.95), Vector3(0, 1.1, 0))
	var quad := QuadMesh.new()
	quad.size = Vector2(0.16, 0.3)
	quad.material = _own(LEAF)
	var leaves := MultiMesh.new()
	leaves.transform_format = MultiMesh.TRANSFORM_3D
	leaves.use_colors = true
	leaves.mesh = quad
	leaves.instance_count = 1500
	for i in leaves.instance_count:
		var out := Vector3(_random.randfn(), _random.randfn(), _random.randfn()).normalized()
		var place := out * Vector3(1.25, 0.95, 1.25) * pow(_random.randf(), 0.35) + Vector3(0, 2.75, 0)
		var turn := Basis.from_euler(TAU * Vector3(_random.randf(), _random.randf(), _random.randf()))
		leaves.set_instance_transform(i, Transform3D(turn, place))
		leaves.set_instance_color(i, Color(_random.randf(), 0, 0))
	var crown := MultiMeshInstance3D.new()
	crown.name = "crown"
	crown.multimesh = leaves
	tree.add_child(crown)


func _pot(at: Vector3, radius: float) -> void:
	var pot := Node3D.new()
	pot.name = "pot"
	pot.position = at
	pot.set_meta(&"renderlift_class", "plant")
	add_child(pot)
	var clay := _cylinder(radius, 1.7 * radius)
	clay.bottom_radius = 0.7 * radius
	_part(pot, clay, _plain(Color(0.62, 0.28, 0.15), 0.85), Vector3(0, 0.85 * radius, 0))
	var green := _plain(Color(0.16, 0.3 + 0.15 * _random.randf(), 0.1), 0.8)
	for i in 7:
		var leafy := SphereMesh.new()
		leafy.radius = radius * _random.randf_range(0.45, 0.7)
		leafy.height = 2.2 * leafy.radius
		leafy.radial_segments = 12
		leafy.rings = 7
		var place := Vector3(_random.randf_range(-0.6, 0.6), _random.randf_range(1.7, 2.7), _random.randf_range(-0.6, 0.6))
		_part(pot, leafy, green, place * radius)


func _bench(at: Vector3, turn: float) -> void:
	var bench := Node3D.new()
	bench.name = "bench"
	bench.position = at
	bench.rotation.y = turn
	bench.add_to_group("class:furniture")
	add_child(bench)
	var wood := _plain(Color(0.38, 0.22, 0.11), 0.65)
	for i in 4:
		_box(bench, Vector3(1.5, 0.04, 0.1), Vector3(0, 0.45, -0.18 + 0.12 * i), wood)
	for i in 3:
		_box(bench, Vector3(1.5, 0.1, 0.04), Vector3(0, 0.6 + 0.14 * i, 0.27), wood)
	var iron := _plain(Color(0.08, 0.08, 0.09), 0.45)
	iron.metallic = 0.9
	for side in [-1, 1]:
		_box(bench, Vector3(0.06, 0.45, 0.44), Vector3(0.62 * side, 0.22, 0), iron)
		_box(bench, Vector3(0.06, 0.6, 0.05), Vector3(0.62 * side, 0.7, 0.3), iron)


func _stall(at: Vector3) -> void:
	var stall := Node3D.new()
	stall.name = "stall"
	stall.position = at
	stall.rotation.y = PI / 2
	stall.set_meta(&"renderlift_class", "stall")
	add_child(stall)
	var wood := _plain(Color(0.5, 0.34, 0.2), 0.7)
	_box(stall, Vector3(2.4, 0.9, 0.8), Vector3(0, 0.45, 0), wood)
	for x in [-1.1, 1.1]:
		for z in [-0.6, 0.9]:
			_box(stall, Vector3(0.07, 2.3 - 0.3 * float(z > 0.0), 0.07), Vector3(x, 1.15 - 0.15 * float(z > 0.0), z), wood)
	var awning := QuadMesh.new()
	awning.size = Vector2(2.6, 1.8)
	_part(stall, awning, _own(CLOTH), Vector3(0, 2.2, 0.15)).rotation.x = -PI / 2 + 0.2
	var fruit: Array[Color] = [Color(0.9, 0.45, 0.06), Color(0.75, 0.1, 0.08), Color(0.85, 0.75, 0.12), Color(0.35, 0.55, 0.12)]
	for i in 40:
		var ball := SphereMesh.new()
		ball.radius = 0.055
		ball.height = 0.11
		ball.radial_segments = 12
		ball.rings = 6
		@warning_ignore("integer_division")
		var crate := i / 10
		var place := Vector3(-0.85 + 0.57 * crate, 0.95 + 0.06 * float(i % 10 > 6), 0) + Vector3(
			_random.randf_range(-0.18, 0.18), 0, _random.randf_range(-0.25, 0.25))
		_part(stall, ball, _plain(fruit[crate], 0.4), place)


func _make_cart() -> Node3D:
	var cart := Node3D.new()
	cart.name = "cart"
	cart.set_meta(&"renderlift_class", "vehicle")
	add_child(cart)
	var body := _plain(Color(0.12, 0.28, 0.45), 0.35)
	body.metallic = 0.3
	_box(cart, Vector3(0.6, 0.3, 0.95), Vector3(0, 0.45, 0), body)
	_box(cart, Vector3(0.5, 0.28, 0.34), Vector3(0, 0.72, 0.25), _plain(Color(0.85, 0.83, 0.78), 0.4))
	for x in [-0.33, 0.33]:
		for z in [-0.3, 0.3]:
			var axle := Node3D.new()
			axle.position = Vector3(x, 0.22, z)
			cart.add_child(axle)
			_part(axle, _cylinder(0.22, 0.08), _plain(Color(0.05, 0.05, 0.05), 0.85), Vector3.ZERO).rotation.z = PI / 2
			_box(axle, Vector3(0.1, 0.28, 0.05), Vector3.ZERO, _plain(Color(0.7, 0.7, 0.7), 0.4))
			_wheels.append(axle)
	return cart


func _thing(name: String, mesh: Mesh, material: Material, at: Vector3, class_of_it: String) -> void:
	var node := _part(self, mesh, material, at)
	node.name = name
	node.set_meta(&"renderlift_class", class_of_it)


func _part(parent: Node3D, mesh: Mesh, material: Material, at: Vector3) -> MeshInstance3D:
	var node := MeshInstance3D.new()
	node.mesh = mesh
	node.material_override = material
	node.position = at
	parent.add_child(node)
	return node


func _box(parent: Node3D, size: Vector3, at: Vector3, material: Material) -> MeshInstance3D:
	var mesh := BoxMesh.new()
	mesh.size = size
	return _part(parent, mesh, material, at)


static func _cylinder(radius: float, height: float) -> CylinderMesh:
	var mesh := CylinderMesh.new()
	mesh.top_radius = radius
	mesh.bottom_radius = radius
	mesh.height = height
	mesh.radial_segments = 40
	return mesh


static func _plain(color: Color, roughness: float) -> StandardMaterial3D:
	var material := StandardMaterial3D.new()
	material.albedo_color = color
	material.roughness = roughness
	return material


static func _own(shader: Shader) -> ShaderMaterial:
	var material := ShaderMaterial.new()
	material.shader = shader
	return material
