"""What yards and streets share: open land around, clutter, weather and a camera."""

from collections.abc import Callable

from renderlift.engine.scene import Scene, SceneObject
from renderlift.engine.scenes import (
    furniture,
    light,
    meshes,
    outdoor_things,
    plants,
    staging,
    textures,
    things,
)
from renderlift.engine.scenes.camera_paths import FPS, Points
from renderlift.engine.scenes.colours import Rng, any_colour
from renderlift.engine.scenes.meshes import block, pose
from renderlift.engine.scenes.things import placed, solid


def land(rng: Rng) -> SceneObject:
    """Open country as far as one sees, just below the pavement."""
    base = textures.ground(rng, (0.2, 0.17, 0.11), (0.13, 0.16, 0.07), 128)
    return solid("land", "land", block((-90, -90, -0.5), (90, 90, -0.03)), base, metres=3.0, roughness=0.95)


def yard_thing(rng: Rng) -> things.Thing:
    """Something that stands about outside."""
    kind = int(rng.choice(9, p=[0.34, 0.1, 0.1, 0.1, 0.08, 0.08, 0.1, 0.05, 0.05]))
    if kind == 0:
        return plants.potted_plant(rng, float(rng.uniform(0.5, 2.0)))
    if kind == 1:
        return outdoor_things.crate(rng, float(rng.uniform(0.3, 0.7)))
    if kind == 2:
        return outdoor_things.barrel(rng, float(rng.uniform(0.6, 1.0)))
    if kind == 3:
        return furniture.bench(rng)
    if kind == 4:
        return (
            solid(
                "pillar",
                "column",
                meshes.turned_column(float(rng.uniform(0.7, 2.4)), float(rng.uniform(0.13, 0.2))),
                textures.marble(rng, (0.7, 0.68, 0.64), (0.35, 0.33, 0.32), 128),
                metres=0.9,
                roughness=0.5,
            ),
        )
    if kind == 5:
        return things.ornament(rng, float(rng.uniform(0.5, 1.1)))
    if kind == 6:
        radius = float(rng.uniform(0.15, 0.45))
        return placed(things.ball(rng, radius), pose((0, 0, radius)))
    if kind == 7:
        return outdoor_things.cart(rng)
    size = rng.uniform(0.3, 1.0, 3)
    mesh = meshes.rounded_box(size[0], size[1], size[2], radius=float(rng.uniform(0.01, 0.12)))
    return (
        solid(
            "block",
            "box",
            mesh,
            things.surface(rng, any_colour(rng)),
            metres=0.6,
            roughness=float(rng.uniform(0.2, 0.9)),
        ),
    )


def outdoor_scene(
    rng: Rng,
    name: str,
    frames: int,
    objects: list[SceneObject],
    propose: Callable[[], tuple[Points, Points]],
) -> Scene:
    """`objects` filmed in some weather; for `propose` see `staging.filmed`."""
    camera, vertical_fov_deg, flying = staging.filmed(rng, objects, propose, frames)
    sun, sky = light.weather(rng)
    return Scene(
        name=name,
        objects=(*objects, *flying),
        world_from_camera=camera,
        vertical_fov_deg=vertical_fov_deg,
        sky=sky,
        sun=sun,
        exposure=0.85 * light.exposure_for(rng, light.outdoor_light(sun, sky)),
        fps=FPS,
    )
