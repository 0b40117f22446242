"""What stands or drives in yards and streets, at the origin on z = 0; what drives heads for +x."""

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.scenes import (
    meshes,
    textures,
)
from renderlift.engine.scenes.colours import Rng, any_colour, wood_colour
from renderlift.engine.scenes.meshes import box, cylinder, lathe, merged, moved, rounded_box
from renderlift.engine.scenes.things import Thing, solid


def crate(rng: Rng, size: float) -> Thing:
    """A slatted wooden box."""
    s, t = size, size * 0.06
    rails = [moved(box(s, t, t * 2), 0, y * (s - t) / 2, z) for y in (-1, 1) for z in (0, s - 2 * t)]
    rails += [moved(box(t, s, t * 2), x * (s - t) / 2, 0, z) for x in (-1, 1) for z in (0, s - 2 * t)]
    rails += [moved(box(2 * t, t, s), x * (s / 2 - t), y * (s - t) / 2, 0) for x in (-1, 1) for y in (-1, 1)]
    core = moved(box(s - 2 * t, s - 2 * t, s - 0.4 * t), 0, 0, 0.2 * t)
    return (
        solid(
            "crate",
            "crate",
            merged([core, *rails]),
            textures.planks(rng, wood_colour(rng), 128),
            metres=size * 0.8,
            roughness=0.8,
        ),
    )


def barrel(rng: Rng, height: float = 0.9) -> Thing:
    """Staves and three hoops."""
    z = np.linspace(0, 1, 9)
    r = height * (0.29 + 0.07 * np.sin(np.pi * z))
    staves = lathe(
        [
            (0, 0),
            *((float(a), float(b * height)) for a, b in zip(r, z, strict=True)),
            (float(r[-1]) * 0.9, height),
            (0, height - 0.03),
        ],
        32,
    )
    hoops = [
        moved(meshes.torus(height * (0.295 + 0.07 * float(np.sin(np.pi * t))), 0.012, 32), 0, 0, height * t)
        for t in (0.12, 0.5, 0.88)
    ]
    return (
        solid("barrel", "barrel", staves, textures.planks(rng, wood_colour(rng), 128), metres=0.6, roughness=0.7),
        solid("hoops", "barrel", merged(hoops), textures.plain((0.25, 0.23, 0.22)), roughness=0.45, metallic=1.0),
    )


def cart(rng: Rng) -> Thing:
    """A hand cart that rolls along +x, loaded with sacks and fruit boxes."""
    bed = [moved(rounded_box(1.1, 0.6, 0.06, 0.01, 1), 0, 0, 0.42)]
    bed += [moved(box(1.1, 0.03, 0.2), 0, y * 0.285, 0.46) for y in (-1, 1)]
    bed += [moved(box(0.03, 0.57, 0.2), x * 0.535, 0, 0.46) for x in (-1, 1)]
    bed += [
        meshes.transformed(box(0.8, 0.035, 0.035), meshes.pose((-0.85, y * 0.22, 0.55), turn_deg=0))
        for y in (-1, 1)
    ]
    wheel = meshes.transformed(meshes.torus(0.26, 0.03, 28), meshes.pose(tilt_deg=90))
    spokes = [meshes.transformed(box(0.025, 0.025, 0.5), _spoke(a)) for a in (0, 45, 90, 135)]
    wheels = [moved(merged([wheel, *spokes]), 0.1, y * 0.36, 0.29) for y in (-1, 1)]
    sacks = [moved(rounded_box(0.36, 0.4, 0.3, 0.12), -0.28 + 0.4 * i, 0.02 * i, 0.48) for i in range(2)]
    return (
        solid("cart", "cart", merged(bed), textures.planks(rng, wood_colour(rng), 128), metres=0.7, roughness=0.75),
        solid(
            "cart wheels", "cart", merged(wheels), textures.wood(rng, (0.1, 0.06, 0.03)), metres=0.4, roughness=0.6
        ),
        solid(
            "sacks", "sack", merged(sacks), textures.fabric(rng, (0.42, 0.34, 0.22)), metres=0.15, roughness=0.95
        ),
    )


def _spoke(angle_deg: float) -> NDArray[np.float64]:
    turn = np.eye(4)
    a = np.radians(angle_deg)
    turn[0, 0], turn[0, 2], turn[2, 0], turn[2, 2] = np.cos(a), np.sin(a), -np.sin(a), np.cos(a)
    turn[:3, 3] = turn[:3, :3] @ (0, 0, -0.25)
    return turn


def car(rng: Rng) -> Thing:
    """A small car that drives along +x."""
    paint = any_colour(rng, 0.2, 0.8)
    body = [
        moved(rounded_box(3.7, 1.65, 0.55, 0.16), 0, 0, 0.32),
        moved(rounded_box(1.9, 1.45, 0.62, 0.22), -0.2, 0, 0.78),
    ]
    glass = [
        moved(rounded_box(1.94, 1.3, 0.34, 0.12), -0.2, 0, 0.96),
        moved(rounded_box(1.5, 1.49, 0.34, 0.1), -0.2, 0, 0.96),
    ]
    tyre = meshes.transformed(cylinder(0.31, 0.2, 24), meshes.pose((0, 0.1, 0), tilt_deg=90))
    hub = meshes.transformed(cylinder(0.19, 0.22, 20), meshes.pose((0, 0.11, 0), tilt_deg=90))
    spots = [(x, y) for x in (-1.15, 1.2) for y in (-0.74, 0.74)]
    lights = [moved(rounded_box(0.08, 0.3, 0.12, 0.03), 1.83, y * 0.55, 0.6) for y in (-1, 1)]
    return (
        solid(
            "car", "car", merged(body), textures.plain(paint), roughness=0.28, metallic=float(rng.random() < 0.3)
        ),
        solid("car windows", "car", merged(glass), textures.plain((0.03, 0.035, 0.04)), roughness=0.12),
        solid(
            "tyres",
            "car",
            merged([moved(tyre, x, y, 0.31) for x, y in spots]),
            textures.plain((0.03, 0.03, 0.03)),
            roughness=0.9,
        ),
        solid(
            "hubs",
            "car",
            merged([moved(hub, x, y, 0.31) for x, y in spots]),
            textures.plain((0.7, 0.7, 0.72)),
            roughness=0.3,
            metallic=1.0,
        ),
        solid("headlights", "car", merged(lights), textures.plain((0.85, 0.85, 0.8)), roughness=0.2),
    )


def fountain(rng: Rng) -> Thing:
    """A round stone basin with water, a foot, an upper bowl and a metal ball on top."""
    basin = [
        (0, 0),
        (1.5, 0),
        (1.52, 0.08),
        (1.4, 0.14),
        (1.38, 0.42),
        (1.5, 0.46),
        (1.52, 0.54),
        (1.3, 0.56),
        (1.24, 0.5),
    ]
    basin += [(1.22, 0.2), (0, 0.2)]
    foot = [(0.32, 0.2), (0.3, 0.4), (0.16, 0.5), (0.13, 0.8), (0.19, 0.95), (0.15, 1.05), (0.3, 1.14), (0.62, 1.3)]
    foot += [(0.68, 1.36), (0.62, 1.38), (0.3, 1.26), (0, 1.24)]
    rock = textures.ground(rng, (0.5, 0.44, 0.36), (0.62, 0.56, 0.47), 128)
    water = moved(cylinder(1.23, 0.2, 48), 0, 0, 0.22)
    pool = moved(cylinder(0.55, 0.02, 32), 0, 0, 1.325)
    return (
        solid("fountain", "fountain", merged([lathe(basin, 56), lathe(foot, 40)]), rock, metres=0.9, roughness=0.7),
        solid("water", "water", merged([water, pool]), textures.plain((0.05, 0.13, 0.14)), roughness=0.1),
        solid(
            "orb",
            "orb",
            moved(meshes.sphere(0.26, 48), 0, 0, 1.56),
            textures.plain((0.93, 0.68, 0.3)),
            roughness=0.14,
            metallic=1.0,
        ),
    )


def street_lamp(rng: Rng) -> Thing:
    """A cast-iron post with a glowing globe."""
    post = [
        (0, 0),
        (0.16, 0),
        (0.15, 0.25),
        (0.07, 0.4),
        (0.05, 2.9),
        (0.09, 3.0),
        (0.12, 3.05),
        (0.12, 3.08),
        (0, 3.08),
    ]
    glow = 2.0 * float(rng.random() < 0.5)
    return (
        solid("lamp post", "street lamp", lathe(post, 20), textures.plain((0.05, 0.06, 0.055)), roughness=0.5),
        solid(
            "globe",
            "street lamp",
            moved(meshes.sphere(0.2), 0, 0, 3.24),
            textures.plain((0.85, 0.83, 0.78)),
            roughness=0.3,
            emission=(glow, glow * 0.8, glow * 0.5),
        ),
    )
