"""GLSL of the G-buffer pass.

Targets, in the order in which Panda3D binds a buffer's attachments:
    0  RGBA8    albedo (linear), 1 where there is a surface
    1  RGBA8    roughness, metallic
    2  RGBA32F  normal (OpenCV camera axes), depth along camera +Z
    3  RGBA32F  flow in pixels, instance id, class id (floats hold integers below 2**24 exactly)
"""

from typing import Any

from renderlift.engine.panda3d.panda import core

ABOVE_EVERYTHING = 1_000_000  # priority of the pass over any state of the user's

GBUFFER_VERTEX = """
uniform mat4 p3d_ModelViewProjectionMatrix, p3d_ModelViewMatrix, p3d_TextureMatrix;
uniform mat3 p3d_NormalMatrix;
uniform mat4 u_motion;                    // eye space to eye space: where the object stood before
#ifdef SKINNED
uniform samplerBuffer u_previous_vertex;  // the same vertices one frame earlier, object space
#endif
in vec4 p3d_Vertex, p3d_Color, p3d_MultiTexCoord0;
in vec3 p3d_Normal;
out vec3 eye, eye_before, normal;
out vec4 color;
out vec2 uv;

void main() {
  gl_Position = p3d_ModelViewProjectionMatrix * p3d_Vertex;
  eye = (p3d_ModelViewMatrix * p3d_Vertex).xyz;
#ifdef SKINNED
  vec4 vertex_before = vec4(texelFetch(u_previous_vertex, gl_VertexID).xyz, 1.0);
#else
  vec4 vertex_before = p3d_Vertex;
#endif
  eye_before = (u_motion * (p3d_ModelViewMatrix * vertex_before)).xyz;
  normal = p3d_NormalMatrix * p3d_Normal;
  color = p3d_Color;
  uv = (p3d_TextureMatrix * p3d_MultiTexCoord0).xy;
}
"""

# Shared by surfaces and sky: where the point was in the previous picture, minus where it is.
FLOW = """
uniform mat4 u_previous_image_from_eye;
uniform vec4 u_view;  // height in pixels, metres per scene unit, 1 if a frame came before, 1 if colours are sRGB
const float INFINITY = uintBitsToFloat(0x7f800000u), NONE = uintBitsToFloat(0x7fc00000u);

vec2 flow_of(vec4 eye_before) {
  vec3 image = (u_previous_image_from_eye * eye_before).xyz;
  if (u_view.z == 0.0 || image.z <= 0.0) return vec2(NONE);
  return image.xy / image.z - vec2(gl_FragCoord.x, u_view.x - gl_FragCoord.y);
}
"""

# Shared by the G-buffer and our game look. Derivatives of position and texture coordinates hold for a whole
# triangle, so there is no need of tangents, and mirrored coordinates come out right.
RELIEF = """
uniform sampler2D u_relief;  // what the height gains along u and v per repeat, metres; one texel = no relief

// Anisotropic by hand: Mesa's software renderer takes seconds over its own on one edge-on triangle.
vec3 sharp_texel(sampler2D picture, vec2 uv) {
  vec2 along = dFdx(uv), across = dFdy(uv);
  if (dot(along, along) < dot(across, across)) { vec2 swap = along; along = across; across = swap; }
  float ratio = sqrt(dot(along, along) / max(dot(across, across), 1e-12));
  if (ratio < 1.5) return texture(picture, uv).rgb;
  vec3 sum = vec3(0.0);
  for (int i = 0; i < 4; ++i)
    sum += textureGrad(picture, uv + along * (float(i) - 1.5) / 4.0, along / min(ratio, 4.0), across).rgb;
  return sum / 4.0;
}

// The unit normal n of a surface, bent by the relief on it; point and n in one space.
vec3 bent_normal(vec3 n, vec3 point, vec2 uv) {
  vec3 point_x = dFdx(point), point_y = dFdy(point);
  vec2 uv_x = dFdx(uv), uv_y = dFdy(uv);
  if (textureSize(u_relief, 0).x == 1) return n;
  vec2 slope = sharp_texel(u_relief, uv).xy;
  vec3 across_y = cross(point_y, n), across_x = cross(n, point_x);
  float area = dot(point_x, across_y);
  vec3 gradient = sign(area) * (dot(slope, uv_x) * across_y + dot(slope, uv_y) * across_x);
  vec3 bent = abs(area) * n - gradient;
  return dot(bent, bent) > 0.0 ? normalize(bent) : n;
}
"""

GBUFFER_FRAGMENT = """
uniform struct { vec4 baseColor; float roughness; float metallic; } p3d_Material;
uniform vec4 p3d_ColorScale;
uniform sampler2D p3d_TextureFF[1];
uniform vec4 u_labels;   // instance id, class id, 1 if the motion is known, alpha below which nothing is there
uniform vec4 u_surface;  // 1 if the vertex colour counts, 1 if the material's colour does
in vec3 eye, eye_before, normal;
in vec4 color;
in vec2 uv;
layout(location = 0) out vec4 albedo;
layout(location = 1) out vec4 material;
layout(location = 2) out vec4 normal_depth;
layout(location = 3) out vec4 flow_labels;

vec3 linear_of(vec3 c) {
  return mix(c / 12.92, pow((c + 0.055) / 1.055, vec3(2.4)), step(vec3(0.04045), c));
}

void main() {
  vec4 base = texture(p3d_TextureFF[0], uv) * p3d_ColorScale * mix(vec4(1.0), color, u_surface.x);
  base *= mix(vec4(1.0), p3d_Material.baseColor, u_surface.y);
  if (base.a < u_labels.w) discard;
  base = clamp(base, 0.0, 1.0);
  albedo = vec4(u_view.w > 0.0 ? linear_of(base.rgb) : base.rgb, 1.0);
  material = vec4(p3d_Material.roughness, p3d_Material.metallic, 0.0, 0.0);

  // The flat normal always faces the camera; it decides the side, and stands in where a mesh has none.
  vec3 flat_normal = normalize(cross(dFdx(eye), dFdy(eye)));
  vec3 n = dot(normal, normal) > 0.0 ? normalize(normal) : flat_normal;
  n = bent_normal(n, eye, uv);
  if (dot(n, flat_normal) < 0.0) n = -n;
  vec3 view = normalize(eye);
  n = normalize(n - view * max(dot(n, view), 0.0));  // smooth normals bend past the silhouette
  normal_depth = vec4(n.x, -n.y, -n.z, -eye.z * u_view.y);
  flow_labels = vec4(u_labels.z > 0.0 ? flow_of(vec4(eye_before, 1.0)) : vec2(NONE), u_labels.xy);
}
"""

SKY_VERTEX = """
in vec4 p3d_Vertex;
out vec2 ndc;
void main() {
  ndc = p3d_Vertex.xz;
  gl_Position = vec4(p3d_Vertex.xz, 1.0, 1.0);
}
"""

# The sky is a surface infinitely far away: no depth, no normal, but a flow.
GBUFFER_SKY_FRAGMENT = """
uniform mat4 u_eye_from_ndc;
in vec2 ndc;
layout(location = 0) out vec4 albedo;
layout(location = 1) out vec4 material;
layout(location = 2) out vec4 normal_depth;
layout(location = 3) out vec4 flow_labels;
void main() {
  albedo = material = vec4(0.0);
  normal_depth = vec4(0.0, 0.0, 0.0, INFINITY);
  flow_labels = vec4(flow_of(vec4((u_eye_from_ndc * vec4(ndc, 1.0, 0.0)).xyz, 0.0)), 0.0, 0.0);
}
"""


def gbuffer_shader(*, skinned: bool = False) -> Any:
    """Draws every surface into the four targets; `skinned` ones bring the vertices of the frame before."""
    defines = "#define SKINNED" if skinned else ""
    return compile_glsl(GBUFFER_VERTEX, FLOW + RELIEF + GBUFFER_FRAGMENT, defines=defines)


def gbuffer_sky_shader() -> Any:
    """Draws what is behind every surface into the four targets."""
    return compile_glsl(SKY_VERTEX, FLOW + GBUFFER_SKY_FRAGMENT)


def compile_glsl(vertex: str, fragment: str, *, defines: str = "") -> Any:
    """A Panda3D shader from sources without their version line."""
    head = f"#version 330\n{defines}\n"
    return core.Shader.make(core.Shader.SL_GLSL, head + vertex, head + fragment)
