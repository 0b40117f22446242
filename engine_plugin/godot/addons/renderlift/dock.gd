## The dock: what is sent, how it does, and what came back.
@tool
extends ScrollContainer

signal live_changed(live: bool)
signal view_changed

const Channels := preload("channels.gd")
const Overlay := preload("overlay.gd")
const Session := preload("session.gd")

enum View { DOCK, VIEWPORT, WIPE }

const GREEN := Color(0.35, 0.80, 0.50)
const AMBER := Color(0.95, 0.70, 0.25)
const GREY := Color(0.55, 0.55, 0.55)

var _live := CheckButton.new()
var _state := Label.new()
var _told := Label.new()
var _endpoint := LineEdit.new()
var _own_key := LineEdit.new()
var _bridge_key := LineEdit.new()
var _mode := OptionButton.new()
var _fps := SpinBox.new()
var _width := SpinBox.new()
var _view := OptionButton.new()
var _wipe := HSlider.new()
var _boxes: Array[CheckBox] = []
var _numbers: Dictionary = {}  # name to Label
var _remembered := {"endpoint": _endpoint, "own_key_file": _own_key, "bridge_key_file": _bridge_key}
var _picture := TextureRect.new()
var _caption := Label.new()


func _init() -> void:
	horizontal_scroll_mode = ScrollContainer.SCROLL_MODE_DISABLED
	var rows := VBoxContainer.new()
	rows.size_flags_horizontal = Control.SIZE_EXPAND_FILL
	add_child(rows)
	_live.text = "Live"
	_live.tooltip_text = "Send what the 3D view sees to the bridge (renderlift serve)."
	_live.toggled.connect(_on_live_toggled)
	rows.add_child(_live)
	rows.add_child(_state)
	_told.autowrap_mode = TextServer.AUTOWRAP_WORD_SMART
	_told.add_theme_color_override("font_color", AMBER)
	rows.add_child(_told)
	_picture.expand_mode = TextureRect.EXPAND_FIT_WIDTH_PROPORTIONAL
	_picture.stretch_mode = TextureRect.STRETCH_KEEP_ASPECT_CENTERED
	_picture.custom_minimum_size = Vector2(0, 150)
	rows.add_child(_picture)
	_caption.horizontal_alignment = HORIZONTAL_ALIGNMENT_CENTER
	rows.add_child(_caption)
	rows.add_child(_settings())
	rows.add_child(_channel_boxes())
	rows.add_child(_table())
	show_state({}, "", {})


func endpoint() -> String:
	return _endpoint.text


func own_key_file() -> String:
	return _own_key.text


func bridge_key_file() -> String:
	return _bridge_key.text


func captures() -> bool:
	return _mode.selected == 1


func fps() -> float:
	return _fps.value


func channels() -> int:
	var mask := Channels.RGB_ONLY
	for channel in _boxes.size():
		if _boxes[channel].button_pressed:
			mask |= 1 << channel
	return mask


## Of frames, for a viewport of `size`: shrunk by a whole number to the width that was asked for.
func frame_size(size: Vector2i) -> Vector2i:
	var shrink := maxi(1, ceili(size.x / _width.value))
	@warning_ignore("integer_division")
	return Vector2i(maxi(1, size.x / shrink), maxi(1, size.y / shrink))


func covers_viewport() -> bool:
	return _view.selected != View.DOCK


func wipe() -> float:
	return _wipe.value if _view.selected == View.WIPE else 0.0


## `stats` as Session.stats() gives them, empty = not live.
func show_state(stats: Dictionary, problem: String, picture: Dictionary) -> void:
	var connected: bool = stats.get("connected", false)
	if stats.is_empty() and problem == "":
		_paint_state("off", GREY)
	elif connected:
		_paint_state("connected · renderlift %s" % stats.bridge, GREEN)
	else:
		_paint_state("waiting for the bridge", AMBER)
	var told := problem
	if told == "" and stats.get("problem", "") != "":
		told = "%s\n%s" % [stats.problem, stats.fix]
	_told.text = told
	_told.visible = told != ""
	_picture.texture = picture.get("texture")
	_picture.modulate = Color(1, 1, 1, 0.5) if picture.has("texture") and Overlay.is_stale(picture) else Color.WHITE
	_caption.text = Overlay.label(picture) if picture.has("arrived_ms") else "no photoreal frame yet"
	_numbers["sent"].text = "%.1f a second" % stats.get("published_per_s", 0.0)
	_numbers["back"].text = "%.1f a second" % stats.get("results_per_s", 0.0)
	_numbers["latency"].text = "%d ms" % stats.get("latency_ms", 0.0)
	_numbers["dropped"].text = "%d of %d" % [stats.get("dropped", 0), stats.get("published", 0)]
	_numbers["pixels by"].text = "shared memory" if stats.get("shared_memory", false) else "socket"


func _on_live_toggled(on: bool) -> void:
	if on:
		_remember()
	live_changed.emit(on)


## Where the bridge is belongs to this machine, not to the project: Godot keeps it beside its own caches.
func _remember() -> void:
	for name in _remembered:
		EditorInterface.get_editor_settings().set_project_metadata("renderlift", name, _remembered[name].text)


func _recall() -> void:
	for name in _remembered:
		_remembered[name].text = EditorInterface.get_editor_settings().get_project_metadata(
			"renderlift", name, _remembered[name].text)


func _paint_state(text: String, color: Color) -> void:
	_state.text = "● " + text
	_state.add_theme_color_override("font_color", color)


func _settings() -> Control:
	var grid := GridContainer.new()
	grid.columns = 2
	_endpoint.text = Session.DEFAULT_ENDPOINT
	for key in [_own_key, _bridge_key]:
		key.placeholder_text = "for another machine"
	_own_key.tooltip_text = "This machine's own .key_secret file, as zmq.auth.create_certificates makes it."
	_bridge_key.tooltip_text = "The bridge's .key file."
	_recall()
	_mode.add_item("preview: newest frame wins")
	_mode.add_item("capture: every frame arrives")
	_fps.min_value = 1
	_fps.max_value = 120
	_fps.value = 24
	_width.min_value = 64
	_width.max_value = 4096
	_width.step = 16
	_width.value = Session.PREVIEW_WIDTH
	for item in ["in the dock", "over the 3D view", "3D view with wipe"]:
		_view.add_item(item)
	_view.item_selected.connect(func(_index: int) -> void: view_changed.emit())
	_wipe.max_value = 1.0
	_wipe.step = 0.005
	_wipe.value = 0.5
	_wipe.value_changed.connect(func(_value: float) -> void: view_changed.emit())
	_row(grid, "bridge", _endpoint)
	_row(grid, "own key file", _own_key)
	_row(grid, "bridge's key file", _bridge_key)
	_row(grid, "mode", _mode)
	_row(grid, "frames a second", _fps)
	_row(grid, "width, at most", _width)
	_row(grid, "photoreal picture", _view)
	_row(grid, "wipe", _wipe)
	for control in [_endpoint, _mode]:
		control.tooltip_text = "Takes effect when Live is switched on."
	return grid


func _channel_boxes() -> Control:
	var flow := HFlowContainer.new()
	for channel in Channels.NAMES.size():
		var box := CheckBox.new()
		box.text = Channels.NAMES[channel]
		box.button_pressed = true
		box.disabled = channel == Channels.RGB
		_boxes.append(box)
		flow.add_child(box)
	return flow


func _table() -> Control:
	var grid := GridContainer.new()
	grid.columns = 2
	for name: String in ["sent", "back", "latency", "dropped", "pixels by"]:
		_numbers[name] = Label.new()
		_row(grid, name, _numbers[name])
	return grid


func _row(grid: GridContainer, name: String, control: Control) -> void:
	var label := Label.new()
	label.text = name
	grid.add_child(label)
	control.size_flags_horizontal = Control.SIZE_EXPAND_FILL
	grid.add_child(control)
