@tool
## One frame on its way from the GPU.

var camera: String
var index: int
var engine_time_ns: int
var capture_time_ns: int
var width: int
var height: int
var offsets: PackedInt32Array  # see channels.gd
var draws: PackedByteArray
var motions: PackedByteArray
var motions_known: bool
var velocity_known: bool
var previous_lens: Vector4
# Filled in by the render callback.
var world_from_camera: PackedFloat64Array
var image_from_camera: PackedFloat64Array
var pixels: PackedByteArray


static func wall_clock_ns() -> int:
	return roundi(Time.get_unix_time_from_system() * 1e6) * 1000
