"""GLSL of the game's own picture of our scenes: Lambert, a highlight, one shadow map, flat ambient.

Everything is lit in linear light and leaves through the tone curve of `renderlift.engine.tone`,
so that the picture differs from the path-traced one by its light alone.
"""

from typing import Any

from renderlift.engine.panda3d import shaders

TONE = """
uniform float u_exposure;
vec3 picture_of(vec3 radiance) {
  vec3 x = max(radiance * u_exposure, 0.0);
  x = clamp(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0.0, 1.0);
  return mix(12.92 * x, 1.055 * pow(max(x, 0.0031308), vec3(1.0 / 2.4)) - 0.055, step(vec3(0.0031308), x));
}
"""

VERTEX = """
uniform mat4 p3d_ModelViewProjectionMatrix, p3d_ModelMatrix;
in vec4 p3d_Vertex;
in vec3 p3d_Normal;
in vec2 p3d_MultiTexCoord0;
out vec3 world, normal;
out vec2 uv;
void main() {
  gl_Position = p3d_ModelViewProjectionMatrix * p3d_Vertex;
  world = (p3d_ModelMatrix * p3d_Vertex).xyz;
  normal = p3d_Normal;
  uv = p3d_MultiTexCoord0;
}
"""

FRAGMENT = """
uniform mat4 p3d_ViewMatrixInverse, u_shadow_from_world;
uniform mat3 p3d_NormalMatrix;
uniform float u_shadow_texel;  // metres
uniform sampler2D p3d_Texture0;
uniform sampler2DShadow u_shadow_still, u_shadow_moving;
uniform vec3 u_sun_direction, u_sun_irradiance, u_ambient_up, u_ambient_down;
uniform vec4 u_material;  // roughness, metallic, opacity
uniform vec3 u_emission;
#if LAMPS
uniform vec4 u_lamps[3 * LAMPS];  // per lamp: centre and area, direction it shines in, radiance
#endif
in vec3 world, normal;
in vec2 uv;
layout(location = 0) out vec4 color;

const float PI = 3.14159265;

float sun_visible(vec3 n) {
  // Looked up a little off the surface, or the surface would shadow itself.
  vec3 shadow = (u_shadow_from_world * vec4(world + 2.0 * u_shadow_texel * n, 1.0)).xyz * 0.5 + 0.5;
  if (shadow.z > 1.0) return 1.0;
  vec2 texel = 1.6 / vec2(textureSize(u_shadow_still, 0));
  float lit = 0.0;
  for (int i = 0; i < 4; ++i) {
    vec3 at = vec3(shadow.xy + (vec2(i & 1, i >> 1) - 0.5) * texel, shadow.z);
    lit += min(texture(u_shadow_still, at), texture(u_shadow_moving, at));
  }
  return lit / 4.0;
}

// Radiance towards `view` of light that comes from `light` with irradiance 1 on a plane facing it.
vec3 reflected(vec3 base, vec3 n, vec3 view, vec3 light) {
  float n_l = max(dot(n, light), 0.0), n_v = max(dot(n, view), 1e-3);
  vec3 half_way = normalize(light + view);
  float alpha = max(u_material.x * u_material.x, 0.01), n_h = max(dot(n, half_way), 0.0);
  float d = n_h * n_h * (alpha * alpha - 1.0) + 1.0;
  float lobe = alpha * alpha / (PI * d * d) / (4.0 * mix(n_l * n_v, n_l + n_v, 0.5 * alpha) + 1e-3);
  vec3 f0 = mix(vec3(0.04), base, u_material.y);
  vec3 fresnel = f0 + (1.0 - f0) * pow(1.0 - max(dot(half_way, view), 0.0), 5.0);
  return n_l * (base * (1.0 - u_material.y) / PI + min(lobe, 30.0) * fresnel);
}

void main() {
  vec3 base = sharp_texel(p3d_Texture0, uv);
  vec3 view = normalize(p3d_ViewMatrixInverse[3].xyz - world);
  vec3 n = normalize(mat3(p3d_ViewMatrixInverse) * (p3d_NormalMatrix * normal));
  float side = dot(n, view) < 0.0 ? -1.0 : 1.0;
  vec3 smooth_n = side * n;
  n = side * bent_normal(n, world, uv);

  vec3 radiance = u_emission * (gl_FrontFacing ? 1.0 : 0.0);
  radiance += base * mix(u_ambient_down, u_ambient_up, 0.5 + 0.5 * n.z);
  if (dot(n, u_sun_direction) > 0.0)
    radiance += sun_visible(smooth_n) * u_sun_irradiance * reflected(base, n, view, u_sun_direction);
#if LAMPS
  for (int i = 0; i < LAMPS; ++i) {
    vec3 to_lamp = u_lamps[3 * i].xyz - world;
    float distance_2 = dot(to_lamp, to_lamp);
    vec3 light = to_lamp * inversesqrt(distance_2);
    float area = u_lamps[3 * i].w, cosine = max(dot(u_lamps[3 * i + 1].xyz, -light), 0.0);
    radiance += u_lamps[3 * i + 2].rgb * area * cosine / (distance_2 + area / PI) * reflected(base, n, view, light);
  }
#endif
  color = vec4(picture_of(radiance), u_material.z);
}
"""

SKY_FRAGMENT = """
uniform mat4 u_world_from_ndc;
uniform vec3 u_zenith, u_horizon, u_ground;
in vec2 ndc;
layout(location = 0) out vec4 color;
void main() {
  float up = normalize((u_world_from_ndc * vec4(ndc, 1.0, 0.0)).xyz).z;
  vec3 above = mix(u_horizon, u_zenith, sqrt(abs(up)));
  color = vec4(picture_of(mix(above, u_ground, clamp(0.5 - up / 0.035, 0.0, 1.0))), 1.0);
}
"""

SHADOW_VERTEX = """
uniform mat4 p3d_ModelViewProjectionMatrix;
in vec4 p3d_Vertex;
void main() { gl_Position = p3d_ModelViewProjectionMatrix * p3d_Vertex; }
"""

SHADOW_FRAGMENT = "void main() {}"


def game_shader(lamps: int) -> Any:
    """Draws one material under the sun, `lamps` lamps and an ambient."""
    return shaders.compile_glsl(VERTEX, TONE + shaders.RELIEF + FRAGMENT, defines=f"#define LAMPS {lamps}")


def sky_shader() -> Any:
    """Draws `renderlift.engine.scene.sky_radiance` behind the scene."""
    return shaders.compile_glsl(shaders.SKY_VERTEX, TONE + SKY_FRAGMENT)


def shadow_shader() -> Any:
    """Draws depth and nothing else."""
    return shaders.compile_glsl(SHADOW_VERTEX, SHADOW_FRAGMENT)
