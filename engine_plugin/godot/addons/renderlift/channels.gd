@tool
## The channels of a frame and where each lies in the packed buffer that the GPU writes.
## docs/conventions.md says what they mean.

enum { RGB, DEPTH, NORMAL, CLASS_ID, INSTANCE_ID, FLOW, ALBEDO, MATERIAL }

const NAMES: PackedStringArray = [
	"rgb", "depth", "normal", "class_id", "instance_id", "flow", "albedo", "material",
]
const PIXEL_BYTES: PackedInt32Array = [3, 4, 6, 4, 4, 8, 3, 2]
const ALL := 0xFF
const RGB_ONLY := 1


## Byte offset of each channel in `mask` within the buffer, -1 for the others; the last entry is the buffer's size.
## The GPU writes four pixels at a time, so each channel has room for a whole number of those.
static func layout(width: int, height: int, mask: int) -> PackedInt32Array:
	var offsets := PackedInt32Array()
	var pixels := (width * height + 3) & ~3
	var end := 0
	for channel in NAMES.size():
		if mask & (1 << channel):
			offsets.append(end)
			end = (end + pixels * PIXEL_BYTES[channel] + 63) & ~63
		else:
			offsets.append(-1)
	offsets.append(end)
	return offsets


static func names_of(mask: int) -> PackedStringArray:
	var names := PackedStringArray()
	for channel in NAMES.size():
		if mask & (1 << channel):
			names.append(NAMES[channel])
	return names
