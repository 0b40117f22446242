"""Weather, and the exposure that suits it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.scene import Lamp, Sky, Sun
from renderlift.engine.scenes.colours import Rng
from renderlift.engine.scenes.meshes import pose
from renderlift.engine.scenes.textures import Colour, times

# A picture is well exposed where a mid surface lands here before the tone curve.
MID_LEVEL = 0.24


def sun_at(elevation_deg: float, azimuth_deg: float, strength: float = 4.0) -> Sun:
    """A sun whose light reddens and weakens towards the horizon; azimuth counts from +x to +y."""
    e, a = np.radians(elevation_deg), np.radians(azimuth_deg)
    direction = (float(np.cos(e) * np.cos(a)), float(np.cos(e) * np.sin(a)), float(np.sin(e)))
    air = 1 / max(float(np.sin(e)), 0.08)
    through = np.exp(-np.array([0.06, 0.13, 0.26]) * air)
    red, green, blue = (float(c) for c in strength * through / 0.88)
    return Sun(direction, (red, green, blue))


def weather(rng: Rng) -> tuple[Sun | None, Sky]:
    """Clear, hazy, overcast, low sun or dusk."""
    kind = rng.choice(["clear", "hazy", "overcast", "low", "dusk"], p=[0.36, 0.2, 0.16, 0.2, 0.08])
    azimuth = float(rng.uniform(0, 360))
    k = float(rng.uniform(0.8, 1.25))
    if kind == "clear":
        sky = Sky(times((0.18, 0.34, 0.75), k), times((0.6, 0.72, 0.9), k), times((0.28, 0.25, 0.21), k))
        return sun_at(float(rng.uniform(28, 68)), azimuth, float(rng.uniform(3.2, 5.2))), sky
    if kind == "hazy":
        sky = Sky(times((0.5, 0.62, 0.82), k), times((0.95, 0.95, 0.92), k), times((0.3, 0.28, 0.25), k))
        return sun_at(float(rng.uniform(20, 60)), azimuth, float(rng.uniform(1.2, 2.8))), sky
    if kind == "overcast":
        sky = Sky(times((0.85, 0.88, 0.92), k), times((0.6, 0.63, 0.66), k), times((0.22, 0.21, 0.2), k))
        return None, sky
    if kind == "low":
        sky = Sky(times((0.2, 0.3, 0.55), k), times((0.95, 0.7, 0.45), k), times((0.22, 0.18, 0.14), k))
        return sun_at(float(rng.uniform(10, 24)), azimuth, float(rng.uniform(3.5, 6))), sky
    sky = Sky(times((0.05, 0.07, 0.16), k), times((0.35, 0.2, 0.18), k), times((0.06, 0.05, 0.05), k))
    return None, sky


def sky_irradiance(sky: Sky) -> NDArray[np.float64]:
    """Rough irradiance (3,) of the sky on open ground."""
    return np.pi * (0.6 * np.asarray(sky.zenith) + 0.4 * np.asarray(sky.horizon))


def outdoor_light(sun: Sun | None, sky: Sky) -> float:
    """Radiance of a mid surface in the open, mean over the colours."""
    light = 0.55 * float(sky_irradiance(sky).mean())
    if sun is not None:
        # Half of what is seen lies in shade, and walls catch a low sun better than the ground.
        light += float(np.mean(sun.irradiance)) * (0.25 + 0.3 * sun.direction[2])
    return 0.3 * light / np.pi


def flux_into(lamps: Sequence[Lamp], sun: Sun | None, sky: Sky, window_area: float) -> NDArray[np.float64]:
    """Light (3,) that enters a space from its lamps and through `window_area` square metres."""
    inside = sum((np.pi * lamp.size[0] * lamp.size[1] * np.asarray(lamp.radiance) for lamp in lamps), np.zeros(3))
    outside = 0.5 * sky_irradiance(sky) + (0.25 * np.asarray(sun.irradiance) if sun else 0)
    return inside + window_area * outside


def bounced_radiance(flux: NDArray[np.float64], surface: float, reflectance: float) -> NDArray[np.float64]:
    """Radiance (3,) by bounces alone in a room of `surface` square metres that `flux` (3,) enters.

    The room counts as an integrating sphere.
    """
    return reflectance * flux / (surface * (1 - reflectance)) / np.pi


def exposure_for(rng: Rng, radiance: float) -> float:
    """Exposure that puts a mid surface of that radiance where it belongs, give or take half a stop."""
    return MID_LEVEL / radiance * float(2 ** rng.uniform(-0.45, 0.45))


def share(radiance: NDArray[np.float64], factor: float) -> Colour:
    """`radiance` (3,) times `factor`, as a plain tuple."""
    red, green, blue = (float(c) for c in radiance * factor)
    return (red, green, blue)


def ceiling_lamp(rng: Rng, x: float, y: float, z: float) -> Lamp:
    """A panel that shines down, from warm to cool white."""
    warm = float(rng.uniform(0, 1))
    size = (float(rng.uniform(0.4, 1.3)), float(rng.uniform(0.4, 1.0)))
    strength = float(rng.uniform(4, 9)) / (size[0] * size[1]) ** 0.5
    return Lamp(pose((x, y, z)), size, times((1.0, 0.95 - 0.25 * warm, 0.9 - 0.5 * warm), strength))
