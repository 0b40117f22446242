@tool
## Draws a photoreal picture over a viewport: the game left of the wipe, the picture right of it, and a badge that says
## which frame is shown, how long it took, and turns amber when nothing new has come.

const STALE_MS := 1000
const FRESH_COLOR := Color(0.20, 0.75, 0.45)
const STALE_COLOR := Color(0.95, 0.65, 0.15)


## `picture` as in session.gd; `wipe` 0 = the picture alone, 1 = the game alone. Returns whether a picture was drawn.
static func paint(on: CanvasItem, rect: Rect2, picture: Dictionary, wipe: float, font: Font, font_size: int) -> void:
	if picture.is_empty() or not picture.has("arrived_ms"):
		return
	var texture: Texture2D = picture.texture
	var edge := roundf(rect.size.x * clampf(wipe, 0.0, 1.0))
	var shown := Rect2(rect.position + Vector2(edge, 0), Vector2(rect.size.x - edge, rect.size.y))
	var share := edge / rect.size.x
	var region := Rect2(
		Vector2(share * texture.get_width(), 0), Vector2((1.0 - share) * texture.get_width(), texture.get_height()))
	if shown.size.x > 0.0:
		on.draw_texture_rect_region(texture, shown, region)
	if edge > 0.0 and shown.size.x > 0.0:
		on.draw_rect(Rect2(shown.position - Vector2(1, 0), Vector2(2, rect.size.y)), Color.WHITE)
	_badge(on, rect, picture, font, font_size)


static func is_stale(picture: Dictionary) -> bool:
	return Time.get_ticks_msec() - int(picture.get("arrived_ms", 0)) > STALE_MS


static func label(picture: Dictionary) -> String:
	if is_stale(picture):
		var age_s := 0.001 * (Time.get_ticks_msec() - int(picture.arrived_ms))
		return "stale for %.1f s · frame %d" % [age_s, picture.index]
	return "photoreal · frame %d · %d ms" % [picture.index, picture.latency_ms]


static func _badge(on: CanvasItem, rect: Rect2, picture: Dictionary, font: Font, font_size: int) -> void:
	var text := label(picture)
	var width := font.get_string_size(text, HORIZONTAL_ALIGNMENT_LEFT, -1, font_size).x
	var box := Rect2(rect.end - Vector2(width + 30, font_size + 18), Vector2(width + 24, font_size + 10))
	on.draw_rect(box, Color(0, 0, 0, 0.6))
	on.draw_circle(box.position + Vector2(10, 0.5 * box.size.y), 4.0, STALE_COLOR if is_stale(picture) else FRESH_COLOR)
	on.draw_string(
		font, box.position + Vector2(19, font_size + 3), text, HORIZONTAL_ALIGNMENT_LEFT, -1, font_size, Color.WHITE)
