"""Things: tuples of scene objects that stand at the origin on z = 0 until `placed` somewhere.

Small ones to put on tables and shelves are made here; larger ones have files of their own.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.scene import FloatArray, Material, Mesh, SceneObject
from renderlift.engine.scenes import meshes, textures
from renderlift.engine.scenes.colours import Rng, any_colour, wood_colour
from renderlift.engine.scenes.meshes import lathe, merged, moved, rounded_box, scaled_uvs
from renderlift.engine.scenes.textures import Colour, Texture

Thing = tuple[SceneObject, ...]


def solid(
    name: str,
    class_name: str,
    mesh: Mesh,
    base: FloatArray | Texture,
    *,
    metres: float = 1.0,
    roughness: float = 0.6,
    metallic: float = 0.0,
    emission: Colour = (0.0, 0.0, 0.0),
    opacity: float = 1.0,
) -> SceneObject:
    """One object at the origin; `metres` is what one repeat of its texture spans."""
    colour, height = (base.colour, base.height) if isinstance(base, Texture) else (base, None)
    material = Material(colour, roughness, metallic, emission, opacity, relief=height, relief_m=metres)
    return SceneObject(name, class_name, scaled_uvs(mesh, metres), material, np.eye(4))


def placed(things: Thing, world_from_thing: NDArray[np.float64]) -> Thing:
    """`things` moved by a (4, 4) transform, or along one, (T, 4, 4)."""
    return tuple(replace(item, world_from_object=world_from_thing @ item.world_from_object) for item in things)


def named(things: Thing, prefix: str) -> Thing:
    """`things` with a prefix before each name, so that names stay unique in a scene."""
    return tuple(replace(item, name=f"{prefix}{item.name}") for item in things)


def surface(rng: Rng, colour: Colour) -> FloatArray | Texture:
    """Any texture in about that colour."""
    dark = textures.times(colour, 0.35)
    pale = (0.5 * colour[0] + 0.35, 0.5 * colour[1] + 0.35, 0.5 * colour[2] + 0.35)
    kind = int(rng.integers(9))
    if kind == 0:
        return textures.checker(colour, pale, int(rng.integers(2, 6)) * 2)
    if kind == 1:
        return textures.stripes(colour, pale, int(rng.integers(3, 9)))
    if kind == 2:
        return textures.marble(rng, pale, dark, 128)
    if kind == 3:
        return textures.fabric(rng, colour)
    if kind == 4:
        return textures.wood(rng, wood_colour(rng))
    if kind == 5:
        return textures.brick(rng, colour, n=128)
    if kind == 6:
        return textures.mix(colour, dark, textures.noise(rng, 128, detail=float(rng.uniform(0.8, 2.2))))
    return textures.plain(colour)


# Profiles (radius, z) of unit size, bottom outside first.
# fmt: off
BOWL = np.array([(0, 0), (0.4, 0), (0.75, 0.25), (1, 0.65), (0.96, 0.66), (0.7, 0.3), (0, 0.08)])
CUP = np.array([(0, 0), (0.7, 0), (1, 0.3), (1.05, 2), (0.95, 2), (0.85, 0.4), (0, 0.25)])
CANDLESTICK = np.array([
    (0, 0), (0.35, 0), (0.33, 0.06), (0.06, 0.12), (0.05, 0.4), (0.1, 0.45), (0.05, 0.5), (0.05, 0.8),
    (0.16, 0.85), (0.16, 0.88), (0.07, 0.88), (0.07, 1), (0, 1),
])
# fmt: on
METALS: tuple[Colour, ...] = ((0.9, 0.6, 0.25), (0.85, 0.85, 0.86), (0.8, 0.42, 0.26), (0.6, 0.58, 0.55))


def ornament(rng: Rng, height: float) -> Thing:
    """A small thing for a table or a shelf: vase, bowl, ball, cup, case or candlestick."""
    name = str(rng.choice(["vase", "vase", "bowl", "ball", "cup", "case", "candlestick"]))
    base: FloatArray | Texture
    base = textures.plain(any_colour(rng)) if rng.random() < 0.6 else surface(rng, any_colour(rng))
    metallic = float(rng.random() < 0.3)
    if metallic:
        base = textures.plain(METALS[int(rng.integers(len(METALS)))])
    mesh = _ornament_mesh(rng, name, height)
    return (solid(name, name, mesh, base, metres=0.2, roughness=float(rng.uniform(0.12, 0.6)), metallic=metallic),)


def _ornament_mesh(rng: Rng, name: str, height: float) -> Mesh:
    if name == "vase":
        return vase(rng, height)
    if name == "bowl":
        return lathe(BOWL * 0.8 * height, 32)
    if name == "ball":
        return moved(meshes.sphere(height / 2), 0, 0, height / 2)
    if name == "cup":
        r = min(0.045, height / 2)
        handle = meshes.torus(r * 0.55, r * 0.12, 20)
        upright = meshes.pose((r * 1.2, 0, r * 1.1), tilt_deg=90)
        return merged([lathe(CUP * r, 28), meshes.transformed(handle, upright)])
    if name == "case":
        x, y, z = rng.uniform(0.5, 1, 3) * height
        return rounded_box(x, y, z, radius=0.01)
    return lathe(CANDLESTICK * height, 24)


def vase(rng: Rng, height: float) -> Mesh:
    """A belly, a neck and a lip, each by chance; hollow at the top."""
    h = height
    belly, neck, lip = h * rng.uniform(0.22, 0.38), h * rng.uniform(0.07, 0.16), h * rng.uniform(0.1, 0.24)
    at = rng.uniform(0.25, 0.55)
    heights = np.array([0.0, at, 0.8, 1.0])
    radii = np.array([h * rng.uniform(0.12, 0.2), belly, neck, lip])
    z = np.linspace(0, 1, 18)
    outside = _smooth(z, heights, radii)
    profile = [(0.0, 0.0), *((float(r), float(t * h)) for r, t in zip(outside, z, strict=True))]
    profile += [(float(outside[-1]) * 0.88, h), (float(outside[-4]) * 0.85, h * 0.82), (0.0, h * 0.8)]
    return lathe(profile, 32)


def _smooth(x: NDArray[np.float64], at: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values at x, eased between knots."""
    i = np.clip(np.searchsorted(at, x, side="right") - 1, 0, len(at) - 2)
    t = (x - at[i]) / (at[i + 1] - at[i])
    ease = t * t * (3 - 2 * t)
    result: NDArray[np.float64] = values[i] + (values[i + 1] - values[i]) * ease
    return result


def ball(rng: Rng, radius: float) -> Thing:
    """A ball with its centre at the origin, patterned so that one sees it roll."""
    a, b = any_colour(rng, 0.4, 0.8), any_colour(rng, 0.1, 0.8)
    base = textures.stripes(a, b, 4) if rng.random() < 0.5 else textures.checker(a, b, 6)
    mesh = meshes.with_unit_uvs(meshes.sphere(radius))
    return (solid("ball", "ball", mesh, base, roughness=float(rng.uniform(0.15, 0.6))),)
