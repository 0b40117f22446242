@tool
## The material of a stand-in: same vertices, same cut-outs, same normal map as the material it stands for, but what it
## writes as colour says which draw this is and what the surface is made of.
##
## A half float holds 61440 different finite, normal values. Three of them carry
##   red     draw number
##   green   albedo red, low 4 bits of albedo blue, metallic / 15
##   blue    albedo green, high 4 bits of albedo blue, metallic % 15
## `pack_shader.gd` takes them apart. Depth, normal and roughness come from Godot's own buffers.

const MAX_DRAW := 61439
const METALLIC_STEPS := 224.0

const _ENCODE := """
instance uniform float renderlift_draw = 0.0;
float renderlift_half(uint v) {
	uint e = v % 30720u;
	return unpackHalf2x16(((v / 30720u) << 15u) | (e + 1024u)).x;
}
vec3 renderlift_encode(float draw, vec3 base, float metal) {
	uvec3 c = uvec3(clamp(base, vec3(0.0), vec3(1.0)) * 255.0 + 0.5);
	uint m = uint(clamp(metal, 0.0, 1.0) * 224.0 + 0.5);
	return vec3(
		renderlift_half(uint(draw + 0.5)),
		renderlift_half((c.r * 16u + (c.b & 15u)) * 15u + m / 15u),
		renderlift_half((c.g * 16u + (c.b >> 4u)) * 15u + m % 15u));
}
"""
const _WRITE := " ALBEDO = renderlift_encode(renderlift_draw, ALBEDO, METALLIC); "
const _MODES_KEPT: PackedStringArray = [
	"cull_back", "cull_front", "cull_disabled", "depth_draw_opaque", "depth_draw_always", "world_vertex_coords",
	"skip_vertex_transform", "ensure_correct_normals",
]

# From alpha 0.5 on a see-through surface counts as there (docs/conventions.md).
const SEE_THROUGH := 0.5


## Whether a material's surface shows in other channels than rgb: not if it adds light, writes no depth, or reads the
## picture behind it.
static func is_solid(material: Material) -> bool:
	if material is BaseMaterial3D:
		return (
			material.blend_mode == BaseMaterial3D.BLEND_MODE_MIX
			and not material.no_depth_test
			and material.depth_draw_mode != BaseMaterial3D.DEPTH_DRAW_DISABLED
		)
	if material is ShaderMaterial and material.shader != null:
		var code := _without_comments(material.shader.code)
		for word in ["hint_screen_texture", "hint_depth_texture", "hint_normal_roughness_texture", "blend_add",
				"blend_sub", "blend_mul", "depth_draw_never", "depth_test_disabled"]:
			if word in code:
				return false
	return true


## Shader code that stands for `material`; null = Godot's own default material.
static func code_for(material: Material) -> String:
	if material is ShaderMaterial and material.shader != null:
		return _from_code(material.shader.code)
	return _from_properties(material as BaseMaterial3D)


## Copies the values of `material` into its stand-in. Cheap enough for every frame.
static func copy_values(material: Material, stand_in: ShaderMaterial) -> void:
	if material is ShaderMaterial:
		if material.shader == null:
			return
		for uniform in material.shader.get_shader_uniform_list():
			stand_in.set_shader_parameter(uniform.name, material.get_shader_parameter(uniform.name))
		return
	var base := material as BaseMaterial3D
	if base == null:
		return
	stand_in.set_shader_parameter("albedo_color", base.albedo_color)
	stand_in.set_shader_parameter("albedo_map", base.albedo_texture)
	stand_in.set_shader_parameter("uv_scale", base.uv1_scale)
	stand_in.set_shader_parameter("uv_offset", base.uv1_offset)
	stand_in.set_shader_parameter("triplanar_sharpness", base.uv1_triplanar_sharpness)
	stand_in.set_shader_parameter("normal_map", base.normal_texture)
	stand_in.set_shader_parameter("normal_depth", base.normal_scale)
	stand_in.set_shader_parameter("grow", base.grow_amount)
	stand_in.set_shader_parameter("cut", _cut(base))
	if base is ORMMaterial3D:
		stand_in.set_shader_parameter("orm_map", base.orm_texture)
		return
	stand_in.set_shader_parameter("roughness_value", base.roughness)
	stand_in.set_shader_parameter("roughness_map", base.roughness_texture)
	stand_in.set_shader_parameter("roughness_channel", _channel(base.roughness_texture_channel))
	stand_in.set_shader_parameter("metallic_value", base.metallic)
	stand_in.set_shader_parameter("metallic_map", base.metallic_texture)
	stand_in.set_shader_parameter("metallic_channel", _channel(base.metallic_texture_channel))


static func _cut(base: BaseMaterial3D) -> float:
	return base.alpha_scissor_threshold if base.transparency == BaseMaterial3D.TRANSPARENCY_ALPHA_SCISSOR else SEE_THROUGH


static func _channel(channel: BaseMaterial3D.TextureChannel) -> Vector4:
	if channel == BaseMaterial3D.TEXTURE_CHANNEL_GRAYSCALE:
		return Vector4(1, 1, 1, 0) / 3.0
	var mask := Vector4.ZERO
	mask[channel] = 1.0
	return mask


static func _from_properties(base: BaseMaterial3D) -> String:
	if base == null:
		return (
			"shader_type spatial;\nrender_mode unshaded, fog_disabled, shadows_disabled;\n" + _ENCODE
			+ "void fragment() { ALBEDO = vec3(0.6); ROUGHNESS = 0.8; METALLIC = 0.2;" + _WRITE + "}\n"
		)
	var triplanar := base.uv1_triplanar
	var filter := _filter(base)
	var sample := "renderlift_triplanar(%s)" if triplanar else "texture(%s, UV)"
	var head := "shader_type spatial;\nrender_mode unshaded, fog_disabled, shadows_disabled, %s;\n" % [
		["cull_back", "cull_front", "cull_disabled"][base.cull_mode]]
	head += "uniform vec4 albedo_color : source_color = vec4(1.0);\nuniform vec3 uv_scale = vec3(1.0);\n"
	head += "uniform vec3 uv_offset = vec3(0.0);\nuniform float cut = 0.5;\n"
	var vertex := ""
	var fragment := "vec4 albedo = albedo_color;\n"
	if triplanar:
		head += "varying vec3 tri_point;\nvarying vec3 tri_weight;\nuniform float triplanar_sharpness = 1.0;\n"
		head += (
			"vec4 renderlift_triplanar(sampler2D map) {\n"
			+ "return texture(map, tri_point.xy) * tri_weight.z + texture(map, tri_point.xz) * tri_weight.y"
			+ " + texture(map, tri_point.zy * vec2(-1.0, 1.0)) * tri_weight.x;\n}\n"
		)
		var world := base.uv1_world_triplanar
		vertex += "vec3 n = %s;\n" % ("normalize(MODEL_NORMAL_MATRIX * NORMAL)" if world else "NORMAL")
		vertex += "tri_weight = pow(abs(n), vec3(triplanar_sharpness));\n"
		vertex += "tri_weight /= dot(tri_weight, vec3(1.0));\n"
		vertex += "tri_point = %s * uv_scale + uv_offset;\ntri_point *= vec3(1.0, -1.0, 1.0);\n" % (
			"(MODEL_MATRIX * vec4(VERTEX, 1.0)).xyz" if world else "VERTEX")
	else:
		vertex += "UV = UV * uv_scale.xy + uv_offset.xy;\n"
	if base.albedo_texture != null:
		head += "uniform sampler2D albedo_map : source_color, repeat_enable, %s;\n" % filter
		fragment += "albedo *= %s;\n" % (sample % "albedo_map")
	if base.vertex_color_use_as_albedo:
		if base.vertex_color_is_srgb:
			vertex += (
				"COLOR.rgb = mix(pow((COLOR.rgb + 0.055) / 1.055, vec3(2.4)), COLOR.rgb / 12.92,"
				+ " vec3(lessThan(COLOR.rgb, vec3(0.04045))));\n"
			)
		fragment += "albedo *= COLOR;\n"
	if base.transparency != BaseMaterial3D.TRANSPARENCY_DISABLED:
		fragment += "if (albedo.a < cut) { discard; }\n"
	if base.grow:
		head += "uniform float grow = 0.0;\n"
		vertex += "VERTEX += NORMAL * grow;\n"
	if base.billboard_mode != BaseMaterial3D.BILLBOARD_DISABLED:
		vertex += _billboard(base)
	if base.normal_enabled and base.normal_texture != null and not triplanar:
		head += "uniform sampler2D normal_map : hint_roughness_normal, repeat_enable, %s;\n" % filter
		head += "uniform float normal_depth = 1.0;\n"
		fragment += "NORMAL_MAP = texture(normal_map, UV).rgb;\nNORMAL_MAP_DEPTH = normal_depth;\n"
	if base is ORMMaterial3D:
		head += "uniform sampler2D orm_map : hint_default_white, repeat_enable, %s;\n" % filter
		fragment += "vec4 orm = %s;\nROUGHNESS = orm.g;\nMETALLIC = orm.b;\n" % (sample % "orm_map")
	else:
		head += "uniform float roughness_value = 1.0;\nuniform float metallic_value = 0.0;\n"
		fragment += "ROUGHNESS = roughness_value;\nMETALLIC = metallic_value;\n"
		for name in ["roughness", "metallic"]:
			if base.get(name + "_texture") != null:
				head += "uniform sampler2D %s_map : hint_default_white, repeat_enable, %s;\n" % [name, filter]
				head += "uniform vec4 %s_channel = vec4(1.0, 0.0, 0.0, 0.0);\n" % name
				fragment += "%s *= dot(%s, %s_channel);\n" % [name.to_upper(), sample % (name + "_map"), name]
	return "%s%svoid vertex() {\n%s}\nvoid fragment() {\n%sALBEDO = albedo.rgb;%s}\n" % [
		head, _ENCODE, vertex, fragment, _WRITE]


static func _filter(base: BaseMaterial3D) -> String:
	return [
		"filter_nearest", "filter_linear", "filter_nearest_mipmap", "filter_linear_mipmap",
		"filter_nearest_mipmap_anisotropic", "filter_linear_mipmap_anisotropic",
	][base.texture_filter]


static func _billboard(base: BaseMaterial3D) -> String:
	if base.billboard_mode == BaseMaterial3D.BILLBOARD_FIXED_Y:
		return (
			"MODELVIEW_MATRIX = VIEW_MATRIX * mat4(vec4(normalize(cross(vec3(0.0, 1.0, 0.0), MAIN_CAM_INV_VIEW_MATRIX[2].xyz)), 0.0),"
			+ " vec4(0.0, 1.0, 0.0, 0.0), vec4(normalize(cross(MAIN_CAM_INV_VIEW_MATRIX[0].xyz, vec3(0.0, 1.0, 0.0))), 0.0),"
			+ " MODEL_MATRIX[3]);\nMODELVIEW_NORMAL_MATRIX = mat3(MODELVIEW_MATRIX);\n"
		)
	return (
		"MODELVIEW_MATRIX = VIEW_MATRIX * mat4(MAIN_CAM_INV_VIEW_MATRIX[0], MAIN_CAM_INV_VIEW_MATRIX[1],"
		+ " MAIN_CAM_INV_VIEW_MATRIX[2], MODEL_MATRIX[3]);\nMODELVIEW_NORMAL_MATRIX = mat3(MODELVIEW_MATRIX);\n"
	)


## A shader of the user's own: its code stays, its render modes are those of data, and at the end of fragment(), which
## Godot does not let return early, the encoded colour is written.
static func _from_code(source: String) -> String:
	var code := _without_comments(source)
	var modes := PackedStringArray(["unshaded", "fog_disabled", "shadows_disabled"])
	var mode_line := RegEx.create_from_string("render_mode\\s+([^;]+);").search(code)
	if mode_line != null:
		for mode in mode_line.get_string(1).split(","):
			if mode.strip_edges() in _MODES_KEPT:
				modes.append(mode.strip_edges())
		code = code.replace(mode_line.get_string(), "")
	var type_line := RegEx.create_from_string("shader_type\\s+spatial\\s*;").search(code)
	if type_line == null:
		return _from_properties(null)
	var head := "shader_type spatial;\nrender_mode %s;\n%s" % [", ".join(modes), _ENCODE]
	code = code.replace(type_line.get_string(), head)
	var start := RegEx.create_from_string("void\\s+fragment\\s*\\(\\s*\\)\\s*\\{").search(code)
	if start == null:
		return code + "\nvoid fragment() {" + _WRITE + "}\n"
	var write := _WRITE
	var body_end := _closing_brace(code, start.get_end())
	var body := code.substr(start.get_end(), body_end - start.get_end())
	var scissors := RegEx.create_from_string("\\bALPHA_SCISSOR_THRESHOLD\\b").search(body) != null
	if RegEx.create_from_string("\\bALPHA\\b").search(body) != null and not scissors:
		write = " ALPHA_SCISSOR_THRESHOLD = %.2f;%s" % [SEE_THROUGH, _WRITE]
	return code.substr(0, start.get_end()) + body + write + code.substr(body_end)


static func _without_comments(code: String) -> String:
	var plain := RegEx.create_from_string("/\\*[\\s\\S]*?\\*/").sub(code, " ", true)
	return RegEx.create_from_string("//[^\\n]*").sub(plain, "", true)


static func _closing_brace(code: String, from: int) -> int:
	var depth := 1
	for at in range(from, code.length()):
		if code[at] == "{":
			depth += 1
		elif code[at] == "}":
			depth -= 1
			if depth == 0:
				return at
	return code.length()
