## Publishes large arrays without drawing anything: what becomes of one that is written to afterwards, and what
## publishing costs beside a copy of the same bytes.
##   godot --headless --script handover.gd -- tcp://127.0.0.1:5755
extends SceneTree

const SIZE := Vector2i(3840, 2160)
const POSE: PackedFloat64Array = [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
const LENS: PackedFloat64Array = [1, 0, 0, 0, 1, 0, 0, 0, 1]
const OFFSETS: PackedInt32Array = [0, -1, -1, -1, -1, -1, -1, -1]

var publisher: Object = ClassDB.instantiate(&"RenderliftPublisher")


func _init() -> void:
	publisher.open(OS.get_cmdline_user_args()[0], "test", false, "rgb", "main", "", "", "")
	publisher.resume_index("main", 20000)
	var pixels := PackedByteArray()
	pixels.resize(3 * SIZE.x * SIZE.y)
	pixels.fill(7)
	_publish(0, pixels)
	pixels.fill(9)
	var copied_us := PackedInt64Array()
	var published_us := PackedInt64Array()
	for index in range(1, 41):
		OS.delay_msec(20)
		var start := Time.get_ticks_usec()
		var copy := pixels.slice(0)
		copied_us.append(Time.get_ticks_usec() - start)
		start = Time.get_ticks_usec()
		_publish(index, copy)
		published_us.append(Time.get_ticks_usec() - start)
	copied_us.sort()
	published_us.sort()
	publisher.close(5000)
	print("MEDIANS ", copied_us[20], " ", published_us[20])
	quit()


func _publish(index: int, pixels: PackedByteArray) -> void:
	publisher.publish("main", index, 0, 0, SIZE.x, SIZE.y, OFFSETS, pixels, POSE, LENS, 0)
