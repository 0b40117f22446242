@tool
## Godot's axes and units to Renderlift's. Nothing else in this addon converts.
##
##            x        y      z         unit
## Godot      right    up     backward  metre   (camera and world: Y up)
## Renderlift right    down   forward   metre   (camera); world: Z up, right-handed
##
## docs/conventions.md is the authority on the right side.

## GLSL: a direction from Godot's view space to Renderlift's camera axes.
const CAMERA_FROM_VIEW_GLSL := "vec3 camera_from_view(vec3 v) { return vec3(v.x, -v.y, -v.z); }\n"


## A world point or direction: Godot's to Renderlift's.
static func world_vector(v: Vector3) -> Vector3:
	return Vector3(v.x, -v.z, v.y)


## Godot's camera transform as 4 x 4 world_from_camera, row by row, metres.
static func world_from_camera(view: Transform3D) -> PackedFloat64Array:
	var right := world_vector(view.basis.x)
	var down := -world_vector(view.basis.y)
	var forward := -world_vector(view.basis.z)
	var origin := world_vector(view.origin)
	return PackedFloat64Array([
		right.x, down.x, forward.x, origin.x,
		right.y, down.y, forward.y, origin.y,
		right.z, down.z, forward.z, origin.z,
		0.0, 0.0, 0.0, 1.0,
	])


## The way back: 4 x 4 world_from_camera, row by row, to Godot's camera transform.
static func camera_transform(m: PackedFloat64Array) -> Transform3D:
	var right := Vector3(m[0], m[8], -m[4])
	var up := -Vector3(m[1], m[9], -m[5])
	var backward := -Vector3(m[2], m[10], -m[6])
	return Transform3D(Basis(right, up, backward), Vector3(m[3], m[11], -m[7]))


## RenderSceneData's projection with image Y up, as Camera3D's is: renderers that draw upside down have it negated.
static func upright(projection: Projection) -> Projection:
	if projection.y.y > 0.0:
		return projection
	var flip := Projection(Vector4(1, 0, 0, 0), Vector4(0, -1, 0, 0), Vector4(0, 0, 1, 0), Vector4(0, 0, 0, 1))
	return flip * projection


## Godot's projection, Y up, as 3 x 3 image_from_camera, row by row, pixels.
static func image_from_camera(projection: Projection, width: int, height: int) -> PackedFloat64Array:
	return PackedFloat64Array([
		0.5 * width * projection.x.x, 0.0, 0.5 * width * (1.0 - projection.z.x),
		0.0, 0.5 * height * projection.y.y, 0.5 * height * (1.0 + projection.z.y),
		0.0, 0.0, 1.0,
	])
