@tool
## One compute shader: from the pictures of a view to the channels of a frame, in the bytes that travel.

const Axes := preload("axes.gd")

## Place of a draw in the table: {instance id, class id, motion, 0}. `motion` is the number of a matrix, or one of:
const MOTION_STATIC := 0  # moves with the world: the camera's own motion
const MOTION_UNKNOWN := -1  # NaN
const MOTION_OF_VERTICES := -2  # skinned, blend shapes, MultiMesh: Godot's motion vectors know

## Bindings: 0 look, 1 surface, 2 depth, 3 normal and roughness, 4 velocity, 5 draws, 6 motions, 7 frame.
const _CODE := """#version 450
layout(local_size_x = 64) in;
layout(set = 0, binding = 0) uniform sampler2D look;
layout(set = 0, binding = 1) uniform sampler2D surface;
layout(set = 0, binding = 2) uniform sampler2D raw_depth;
layout(set = 0, binding = 3) uniform sampler2D normal_roughness;
layout(set = 0, binding = 4) uniform sampler2D velocity;
layout(set = 0, binding = 5, std430) restrict readonly buffer Draws { uvec4 draws[]; };
layout(set = 0, binding = 6, std430) restrict readonly buffer Motions { vec4 motions[]; };
layout(set = 0, binding = 7, std430) restrict writeonly buffer Frame { uint frame[]; };
layout(push_constant, std430) uniform Parameters {
	uint width, height, flow_known, velocity_known;
	vec4 lens;           // projection x.x, y.y, z.x, z.y
	vec4 previous_lens;  // of the frame before
	vec4 depth_row;      // raw depth is y / distance - x
	ivec4 at[2];         // first word of each channel, -1 = not wanted
};

struct Pixel { uint rgb; float depth; vec3 normal; uint class_id; uint instance_id; vec2 flow; uint albedo; uint material; };

uint half_value(float v) {
	uint bits = packHalf2x16(vec2(v, 0.0)) & 0xFFFFu;
	return (bits >> 15) * 30720u + (bits & 0x7FFFu) - 1024u;
}

vec2 image_point(vec3 view_point, vec4 seen_by) {
	vec2 ndc = seen_by.xy * view_point.xy / -view_point.z - seen_by.zw;
	return vec2(0.5 + 0.5 * ndc.x, 0.5 - 0.5 * ndc.y) * vec2(width, height);
}

vec2 flow_to(vec4 point, uint motion, vec2 centre, ivec2 at_pixel) {
	vec2 unknown = vec2(uintBitsToFloat(0x7FC00000u));
	if (flow_known == 0u || motion == 0xFFFFFFFFu) return unknown;
	if (motion == 0xFFFFFFFEu) {
		if (velocity_known == 0u) return unknown;
		return texelFetch(velocity, at_pixel, 0).xy * vec2(width, height);
	}
	uint row = motion * 3u;
	vec3 before = vec3(dot(motions[row], point), dot(motions[row + 1u], point), dot(motions[row + 2u], point));
	return before.z < 0.0 ? image_point(before, previous_lens) - centre : unknown;
}

Pixel read(uint number) {
	Pixel p;
	ivec2 at_pixel = ivec2(number % width, number / width);
	vec2 centre = vec2(at_pixel) + 0.5;
	uvec3 shown = uvec3(texelFetch(look, at_pixel, 0).rgb * 255.0 + 0.5);
	p.rgb = shown.r | (shown.g << 8) | (shown.b << 16);
	vec2 ndc = vec2(2.0, -2.0) * centre / vec2(width, height) + vec2(-1.0, 1.0);
	vec3 ray = vec3((ndc + lens.zw) / lens.xy, -1.0);
	float raw = texelFetch(raw_depth, at_pixel, 0).r;
	if (raw <= 0.0) {
		p.depth = uintBitsToFloat(0x7F800000u);
		p.normal = vec3(0.0);
		p.class_id = p.instance_id = p.albedo = p.material = 0u;
		p.flow = flow_to(vec4(ray, 0.0), 0u, centre, at_pixel);
		return p;
	}
	p.depth = depth_row.y / (raw + depth_row.x);
	vec3 point = ray * p.depth;
	vec4 packed_normal = texelFetch(normal_roughness, at_pixel, 0);
	vec3 normal = normalize(packed_normal.xyz * 2.0 - 1.0);
	float away = dot(normal, normalize(point));
	if (away > 0.0) normal = normalize(normal - away * normalize(point));
	p.normal = camera_from_view(normal);
	float roughness = packed_normal.w > 0.5 ? 1.0 - packed_normal.w : packed_normal.w;
	vec3 code = texelFetch(surface, at_pixel, 0).rgb;
	uvec4 draw = draws[half_value(code.r)];
	uint green = half_value(code.g), blue = half_value(code.b);
	p.instance_id = draw.x;
	p.class_id = draw.y;
	p.flow = flow_to(vec4(point, 1.0), draw.z, centre, at_pixel);
	uint low = green / 15u, high = blue / 15u;
	p.albedo = (low >> 4) | ((high >> 4) << 8) | (((low & 15u) | ((high & 15u) << 4)) << 16);
	float metallic = float(green % 15u * 15u + blue % 15u) / 224.0;
	p.material = uint(clamp(roughness * 255.0 / 127.0, 0.0, 1.0) * 255.0 + 0.5) | (uint(metallic * 255.0 + 0.5) << 8);
	return p;
}

void write_bytes_x3(int first, uint group, uint a, uint b, uint c, uint d) {
	uint word = uint(first) + group * 3u;
	frame[word] = a | (b << 24);
	frame[word + 1u] = (b >> 8) | (c << 16);
	frame[word + 2u] = (c >> 16) | (d << 8);
}

void main() {
	uint group = gl_GlobalInvocationID.x;
	uint count = width * height;
	if (group * 4u >= count) return;
	Pixel p[4];
	for (uint i = 0u; i < 4u; ++i) p[i] = read(min(group * 4u + i, count - 1u));
	if (at[0].x >= 0) write_bytes_x3(at[0].x, group, p[0].rgb, p[1].rgb, p[2].rgb, p[3].rgb);
	if (at[1].z >= 0) write_bytes_x3(at[1].z, group, p[0].albedo, p[1].albedo, p[2].albedo, p[3].albedo);
	if (at[0].z >= 0) {
		uint word = uint(at[0].z) + group * 6u;
		frame[word] = packHalf2x16(p[0].normal.xy);
		frame[word + 1u] = packHalf2x16(vec2(p[0].normal.z, p[1].normal.x));
		frame[word + 2u] = packHalf2x16(p[1].normal.yz);
		frame[word + 3u] = packHalf2x16(p[2].normal.xy);
		frame[word + 4u] = packHalf2x16(vec2(p[2].normal.z, p[3].normal.x));
		frame[word + 5u] = packHalf2x16(p[3].normal.yz);
	}
	if (at[1].w >= 0) {
		frame[uint(at[1].w) + group * 2u] = p[0].material | (p[1].material << 16);
		frame[uint(at[1].w) + group * 2u + 1u] = p[2].material | (p[3].material << 16);
	}
	for (uint i = 0u; i < 4u; ++i) {
		uint n = group * 4u + i;
		if (at[0].y >= 0) frame[uint(at[0].y) + n] = floatBitsToUint(p[i].depth);
		if (at[0].w >= 0) frame[uint(at[0].w) + n] = p[i].class_id;
		if (at[1].x >= 0) frame[uint(at[1].x) + n] = p[i].instance_id;
		if (at[1].y >= 0) {
			frame[uint(at[1].y) + n * 2u] = floatBitsToUint(p[i].flow.x);
			frame[uint(at[1].y) + n * 2u + 1u] = floatBitsToUint(p[i].flow.y);
		}
	}
}
"""


static func code() -> String:
	return _CODE.replace("struct Pixel", Axes.CAMERA_FROM_VIEW_GLSL + "\nstruct Pixel")
