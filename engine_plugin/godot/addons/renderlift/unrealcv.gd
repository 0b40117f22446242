## What clients of UnrealCV ask of cameras. A camera stays where one put it, whatever the game does with it, until the
## client goes.

const Axes := preload("axes.gd")

var _held: Dictionary = {}  # camera name to the Transform3D it is held at


## Takes new moves from `publisher` and puts `cameras`, whose frames have `size`, where they are to be. Call in every
## tick, after the game has moved its things.
func place(publisher: Object, names: PackedStringArray, cameras: Array[Camera3D], size: Vector2i) -> void:
	for line: String in publisher.take_moves().split("\n", false):
		var cells: PackedStringArray = line.split("\t")
		var matrix := PackedFloat64Array()
		for cell in cells.slice(2):
			matrix.append(cell.to_float())
		_held[cells[0]] = Axes.camera_transform(matrix)
		var camera := cameras[names.find(cells[0])]
		if camera != null and cells[1].to_float() > 0.0:
			camera.fov = _fov_degrees(camera, cells[1].to_float(), size)
	if not publisher.has_unrealcv_client():
		_held.clear()
	for i in names.size():
		if _held.has(names[i]) and cameras[i] != null:
			cameras[i].global_transform = _held[names[i]]


## Camera3D.fov of a camera that shall see so much from left to right.
static func _fov_degrees(camera: Camera3D, horizontal_degrees: float, size: Vector2i) -> float:
	if camera.keep_aspect == Camera3D.KEEP_WIDTH:
		return horizontal_degrees
	return rad_to_deg(2.0 * atan(tan(deg_to_rad(horizontal_degrees) / 2.0) * size.y / size.x))
