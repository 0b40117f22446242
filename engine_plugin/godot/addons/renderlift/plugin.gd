## The editor's part: a dock, and the photoreal picture over the 3D viewport. No play needed: what the editor's own
## camera sees is captured.
@tool
extends EditorPlugin

const Dock := preload("dock.gd")
const Overlay := preload("overlay.gd")
const Session := preload("session.gd")

const CAMERA := "editor"

var _dock := Dock.new()
var _session: Session
var _editor_time_s := 0.0
var _due_ms := 0.0
var _scene: Node


func _enter_tree() -> void:
	_dock.name = "Renderlift"
	_dock.live_changed.connect(_on_live_changed)
	_dock.view_changed.connect(update_overlays)
	add_control_to_dock(DOCK_SLOT_RIGHT_UL, _dock)
	set_force_draw_over_forwarding_enabled()
	RenderingServer.frame_pre_draw.connect(_before_draw)
	scene_changed.connect(_on_scene_changed)


func _exit_tree() -> void:
	RenderingServer.frame_pre_draw.disconnect(_before_draw)
	_stop()
	remove_control_from_docks(_dock)
	_dock.queue_free()


## Draws over the 3D viewport, where no capture sees it.
func _forward_3d_force_draw_over_viewport(viewport_control: Control) -> void:
	if _session == null or not _dock.covers_viewport() or not _is_over_captured_viewport(viewport_control):
		return
	Overlay.paint(
		viewport_control, Rect2(Vector2.ZERO, viewport_control.size), _picture(), _dock.wipe(),
		viewport_control.get_theme_default_font(), viewport_control.get_theme_default_font_size())


func _process(delta: float) -> void:
	_editor_time_s += delta
	if _session == null:
		return
	_session.after_draw()
	_dock.show_state(_session.stats(), _session.problem, _picture())
	if _dock.covers_viewport():
		update_overlays()
	_dock.queue_redraw()  # the editor draws only on request, and nothing is captured unless it draws


func _before_draw() -> void:
	if _session == null or _session.publisher == null:
		return
	if EditorInterface.get_resource_filesystem().is_scanning():
		return  # an import keeps the worker threads, which compiling shaders waits for
	var now_ms := Time.get_ticks_usec() * 0.001
	if now_ms < _due_ms:
		return
	_due_ms = maxf(_due_ms + 1000.0 / _dock.fps(), now_ms)
	var viewport := EditorInterface.get_editor_viewport_3d(0)
	var camera := viewport.get_camera_3d()
	if camera == null or not viewport.get_parent().is_visible_in_tree():
		return
	if camera.projection == Camera3D.PROJECTION_ORTHOGONAL:
		_session.problem = "The 3D view is orthogonal; only perspective views can be sent.\nPress Numpad 5."
		return
	_session.problem = ""
	_session.before_draw([camera], [_dock.frame_size(viewport.size)], roundi(_editor_time_s * 1e9))


func _on_live_changed(live: bool) -> void:
	_stop()
	if live:
		_start()


func _on_scene_changed(scene: Node) -> void:
	if _session != null and scene != _scene:
		_stop()
		_start()


func _start() -> void:
	_scene = EditorInterface.get_edited_scene_root()
	_session = Session.new()
	if _scene == null:
		_session.problem = "No scene is open."
	else:
		_session.open(_scene, EditorInterface.get_editor_viewport_3d(0).find_world_3d(), {
			endpoint = _dock.endpoint(), own_key_file = _dock.own_key_file(), bridge_key_file = _dock.bridge_key_file(),
			capture = _dock.captures(), mask = _dock.channels(),
			cameras = PackedStringArray([CAMERA]), session = ""})
	_dock.show_state(_session.stats(), _session.problem, {})


func _stop() -> void:
	if _session != null:
		_session.cancel()
		_session.close()
	_session = null
	_dock.show_state({}, "", {})
	update_overlays()


func _picture() -> Dictionary:
	return _session.pictures.get(CAMERA, {}) if _session != null else {}


func _is_over_captured_viewport(control: Control) -> bool:
	var viewport := EditorInterface.get_editor_viewport_3d(0)
	return viewport.get_parent().get_parent() == control.get_parent()
