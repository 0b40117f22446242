"""Shapes made from a few numbers. Metres, Z up, triangles counter-clockwise seen from outside.

Every shape has texture coordinates in metres (1 unit = 1 m of surface), so that a texture
keeps its real size on all of them; `scaled_uvs` says how many metres one repeat spans.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from renderlift.engine.scene import FloatArray, Mesh

Vector = Sequence[float] | NDArray[np.floating]
Matrix = NDArray[np.float64]  # (4, 4)


def pose(at: Vector = (0, 0, 0), *, turn_deg: float = 0.0, tilt_deg: float = 0.0, scale: float = 1.0) -> Matrix:
    """A (4, 4) transform: scale, tilt about X, turn about Z, then move to `at`."""
    turn, tilt = np.radians(turn_deg), np.radians(tilt_deg)
    about_z = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), np.cos(tilt)]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_z @ about_x * scale
    matrix[:3, 3] = at
    return matrix


def transformed(mesh: Mesh, matrix: Matrix) -> Mesh:
    """`mesh` with a rigid, possibly scaled (4, 4) transform baked in; uvs scale along with it."""
    linear = matrix[:3, :3]
    scale = float(np.cbrt(np.linalg.det(linear)))
    positions = mesh.positions @ linear.T + matrix[:3, 3]
    normals = mesh.normals @ (linear / scale).T
    return Mesh(positions.astype(np.float32), normals.astype(np.float32), mesh.uvs * scale, mesh.triangles)


def moved(mesh: Mesh, x: float, y: float, z: float) -> Mesh:
    """`mesh` shifted by metres."""
    return Mesh(mesh.positions + np.array([x, y, z], np.float32), mesh.normals, mesh.uvs, mesh.triangles)


def merged(meshes: Sequence[Mesh]) -> Mesh:
    """Several meshes as one; they share a material then."""
    starts = np.cumsum([0] + [len(m.positions) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.positions for m in meshes]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.uvs for m in meshes]),
        np.concatenate([m.triangles + np.int32(s) for m, s in zip(meshes, starts, strict=True)]),
    )


def scaled_uvs(mesh: Mesh, metres: float, shift: tuple[float, float] = (0.0, 0.0)) -> Mesh:
    """`mesh` with one repeat of the texture spanning `metres`, starting at `shift` repeats."""
    uvs = mesh.uvs / np.float32(metres) + np.asarray(shift, np.float32)
    return Mesh(mesh.positions, mesh.normals, uvs, mesh.triangles)


def with_unit_uvs(mesh: Mesh) -> Mesh:
    """`mesh` with its texture coordinates stretched to [0, 1], for pictures and posters."""
    low, high = mesh.uvs.min(0), mesh.uvs.max(0)
    return Mesh(mesh.positions, mesh.normals, (mesh.uvs - low) / np.maximum(high - low, 1e-6), mesh.triangles)


def box(x: float, y: float, z: float) -> Mesh:
    """A box of that size, centred in x and y, standing on z = 0."""
    corners = _BOX_CORNERS * np.array([x, y, z], np.float32)
    uvs = np.take_along_axis(corners, _BOX_UV_AXES, 1) * np.array([1, -1], np.float32)
    return Mesh(corners + np.array([0, 0, z / 2], np.float32), _BOX_NORMALS, uvs, _BOX_TRIANGLES)


def _box_template() -> tuple[FloatArray, FloatArray, NDArray[np.intp], NDArray[np.int32]]:
    """Corners (24, 3) of the unit cube, normals, which two axes make the uvs (24, 2), and triangles."""
    corners: list[NDArray[np.float64]] = []
    normals: list[NDArray[np.float64]] = []
    axes: list[tuple[int, int]] = []
    triangles: list[int] = []
    for axis, (along, up) in enumerate(((1, 2), (0, 2), (0, 1))):
        for sign in (-1, 1):
            for a, b in ((-0.5, -0.5), (0.5, -0.5), (0.5, 0.5), (-0.5, 0.5)):
                corner = np.zeros(3)
                corner[[axis, along, up]] = 0.5 * sign, a, b
                corners.append(corner)
                normals.append(sign * np.eye(3)[axis])
                axes.append((along, up))
            first = len(corners) - 4
            # (along, up) turns the other way about y than about x and z.
            order = (0, 1, 2, 0, 2, 3) if sign * (-1 if axis == 1 else 1) > 0 else (0, 2, 1, 0, 3, 2)
            triangles += [first + k for k in order]
    triples = np.array(triangles, np.int32).reshape(-1, 3)
    return np.array(corners, np.float32), np.array(normals, np.float32), np.array(axes), triples


_BOX_CORNERS, _BOX_NORMALS, _BOX_UV_AXES, _BOX_TRIANGLES = _box_template()


def block(low: Vector, high: Vector) -> Mesh:
    """A box between two corners."""
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    size = high - low
    return moved(box(*size), *((low + high) / 2 * (1, 1, 0) + low * (0, 0, 1)))


def rounded_box(x: float, y: float, z: float, radius: float, steps: int = 3) -> Mesh:
    """A box with round edges, centred in x and y, standing on z = 0."""
    size = np.array([x, y, z], np.float64)
    radius = min(radius, float(size.min()) / 2 * 0.999)
    faces: list[Mesh] = []
    half = size / 2
    bend = radius * np.tan(np.linspace(0, np.pi / 4, steps + 1))
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for sign in (-1.0, 1.0):
            lines = [np.concatenate([-(half[a] - radius) - bend[::-1], half[a] - radius + bend]) for a in (u, v)]
            grid = np.zeros((len(lines[0]), len(lines[1]), 3))
            grid[..., axis] = sign * half[axis]
            grid[..., u], grid[..., v] = np.meshgrid(*lines, indexing="ij")
            core = np.clip(grid, radius - half, half - radius)
            normals = grid - core
            normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
            positions = core + radius * normals
            along, up = (v, u) if axis == 1 else (u, v)
            uvs = np.stack([grid[..., along], -grid[..., up]], -1)
            faces.append(_from_grid(positions, normals, uvs, flip=sign < 0))
    return moved(merged(faces), 0, 0, float(half[2]))


def _from_grid(
    positions: NDArray[np.float64], normals: NDArray[np.float64], uvs: NDArray[np.float64], *, flip: bool
) -> Mesh:
    """A grid of (m, n) vertices as triangles; without `flip` the front is seen along m x n."""
    m, n = positions.shape[:2]
    index = np.arange(m * n, dtype=np.int32).reshape(m, n)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    if flip:
        triangles = triangles[:, ::-1]
    flat = positions.reshape(-1, 3)
    corners = flat[triangles]
    ab, ac = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    doubled_area_2 = (ab * ab).sum(-1) * (ac * ac).sum(-1) - (ab * ac).sum(-1) ** 2
    return Mesh(
        flat.astype(np.float32),
        normals.reshape(-1, 3).astype(np.float32),
        uvs.reshape(-1, 2).astype(np.float32),
        np.ascontiguousarray(triangles[doubled_area_2 > 1e-20]),
    )


def lathe(profile: Sequence[tuple[float, float]] | NDArray[np.float64], segments: int = 32) -> Mesh:
    """A profile of (radius, z) points, bottom outside first, turned about Z.

    Corners sharper than 40 degrees stay sharp, others are shaded smooth.
    """
    points = np.asarray(profile, np.float64)
    edges = np.diff(points, axis=0)
    outward = np.stack([edges[:, 1], -edges[:, 0]], -1) / np.linalg.norm(edges, axis=-1, keepdims=True)
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(edges, axis=-1))])
    angles = np.linspace(0, 2 * np.pi, segments + 1)
    circle = np.stack([np.cos(angles), np.sin(angles)], -1)
    girth = float(points[:, 0].max())
    bands: list[Mesh] = []
    for i in range(len(edges)):
        ends = [_smoothed(outward, i, i - 1), _smoothed(outward, i, i + 1)]
        positions = np.stack([_turned(circle, points[i + k]) for k in (0, 1)], 1)
        normals = np.stack([_turned(circle, ends[k]) for k in (0, 1)], 1)
        uvs = np.stack([np.stack([angles * girth, np.full_like(angles, -lengths[i + k])], -1) for k in (0, 1)], 1)
        bands.append(_from_grid(positions, normals, uvs, flip=False))
    return merged(bands)


def _turned(circle: NDArray[np.float64], point: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([circle * point[0], np.full((len(circle), 1), point[1])], -1)


def _smoothed(outward: NDArray[np.float64], i: int, j: int) -> NDArray[np.float64]:
    """Normal of edge i at its end towards edge j."""
    if not 0 <= j < len(outward) or outward[i] @ outward[j] < np.cos(np.radians(40)):
        return outward[i]
    both = outward[i] + outward[j]
    result: NDArray[np.float64] = both / np.linalg.norm(both)
    return result


def cylinder(radius: float, height: float, segments: int = 32) -> Mesh:
    """A closed cylinder standing on z = 0."""
    return lathe([(0, 0), (radius, 0), (radius, height), (0, height)], segments)


def sphere(radius: float, segments: int = 32) -> Mesh:
    """A ball centred at the origin."""
    angles = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)
    return lathe([(radius * max(float(np.cos(a)), 0), radius * float(np.sin(a))) for a in angles], segments)


def torus(radius: float, thickness: float, segments: int = 32) -> Mesh:
    """A ring in the XY plane; `radius` to the middle of a tube of radius `thickness`."""
    angles = np.linspace(-np.pi, np.pi, 17)
    return lathe([(radius + thickness * float(np.cos(a)), thickness * float(np.sin(a))) for a in angles], segments)


def turned_column(height: float, radius: float) -> Mesh:
    """A column with base, swelling shaft and capital, standing on z = 0."""
    r = radius
    shaft = [(r * (1 - 0.14 * t * t), 0.28 * r * 4 + t * (height - 2.3 * r)) for t in np.linspace(0, 1, 9)]
    base = [(0, 0), (1.45 * r, 0), (1.45 * r, 0.35 * r), (1.3 * r, 0.4 * r), (1.38 * r, 0.6 * r)]
    base += [(1.32 * r, 0.8 * r), (1.08 * r, 0.9 * r), (1.0 * r, 1.12 * r)]
    top = height
    capital = [(0.98 * r, top - 1.1 * r), (1.0 * r, top - 0.95 * r), (1.25 * r, top - 0.6 * r)]
    capital += [(1.4 * r, top - 0.42 * r), (1.4 * r, top), (0, top)]
    return lathe([*base, *shaft[1:], *capital], 28)


def arch_panel(width: float, height: float, depth: float, opening: float, spring: float, steps: int = 20) -> Mesh:
    """A wall panel with a round arch through it, centred in x and y, standing on z = 0.

    Args:
        width: of the panel, along x.
        height: of the panel; more than spring + opening / 2.
        depth: thickness, along y.
        opening: width of the doorway.
        spring: height at which the arch begins.
    """
    r = opening / 2
    angles = np.linspace(np.pi, 0, steps + 1)
    curve = np.stack([r * np.cos(angles), spring + r * np.sin(angles)], -1)
    inner = np.concatenate([[[-r, 0]], curve, [[r, 0]]])
    rim = np.concatenate([[[-r, height]], np.stack([curve[:, 0], np.full(steps + 1, height)], -1), [[r, height]]])
    parts: list[Mesh] = []
    for side in (-1.0, 1.0):
        y = side * depth / 2
        sheets = [np.stack([inner[1:-1], rim[1:-1]], 1)]
        for x0, x1 in ((-width / 2, -r), (r, width / 2)):
            sheets.append(np.array([[[x0, 0], [x0, height]], [[x1, 0], [x1, height]]], np.float64))
        for sheet in sheets:
            positions = np.stack([sheet[..., 0], np.full(sheet.shape[:2], y), sheet[..., 1]], -1)
            normals = np.broadcast_to([0.0, side, 0.0], positions.shape)
            parts.append(_from_grid(positions, normals, sheet * (1, -1), flip=side > 0))
    parts.append(_arch_soffit(inner, spring, depth, steps))
    shell = [(-width / 2, 0), (-width / 2, height), (width / 2, height), (width / 2, 0)]
    for (x0, z0), (x1, z1) in pairwise(shell):
        out = np.array([z0 - z1, 0.0, x1 - x0])
        ends = np.array([[x0, z0], [x1, z1]])
        parts.append(_strip(ends, np.stack([out, out]) / np.linalg.norm(out), depth))
    return merged(parts)


def _arch_soffit(inner: NDArray[np.float64], spring: float, depth: float, steps: int) -> Mesh:
    """The inside of an arch: two jambs and the round soffit."""
    towards = np.array([0.0, spring]) - inner[1:-1]
    towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
    round_normals = np.stack([towards[:, 0], np.zeros(steps + 1), towards[:, 1]], -1)
    left = np.broadcast_to([1.0, 0, 0], (2, 3))
    strips = [
        _strip(inner[:2][::-1], left, depth),
        _strip(inner[1:-1][::-1], round_normals[::-1], depth),
        _strip(inner[-2:][::-1], -left, depth),
    ]
    return merged(strips)


def _strip(line: NDArray[np.float64], normals: NDArray[np.float64], depth: float) -> Mesh:
    """A line of (x, z) points swept along y; the front is to the left of the line, seen from -y."""
    lengths = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=-1))])
    sides = [np.stack([line[:, 0], np.full(len(line), side * depth / 2), line[:, 1]], -1) for side in (-1.0, 1.0)]
    uvs = [np.stack([np.full(len(line), side * depth / 2), -lengths], -1) for side in (-1.0, 1.0)]
    return _from_grid(np.stack(sides, 1), np.stack([normals, normals], 1), np.stack(uvs, 1), flip=False)


def wall_with_opening(
    width: float, height: float, depth: float, opening: tuple[float, float, float, float]
) -> Mesh:
    """A wall with a rectangular hole, centred in x and y, standing on z = 0.

    Args:
        opening: x0, x1, z0, z1 of the hole.
    """
    x0, x1, z0, z1 = opening
    w, d = width / 2, depth / 2
    parts = [block((-w, -d, 0), (x0, d, height)), block((x1, -d, 0), (w, d, height))]
    parts.append(block((x0, -d, z1), (x1, d, height)))
    if z0 > 0:
        parts.append(block((x0, -d, 0), (x1, d, z0)))
    return merged(parts)


def leaves(
    rng: np.random.Generator, centres: FloatArray, directions: FloatArray, length: float, width: float
) -> Mesh:
    """One folded leaf per row: it starts at a centre (N, 3) and points along a direction (N, 3).

    Each leaf has a front and a back, half a millimetre apart, so that it is closed for both
    renderers; its normals lean along the direction, which shades a clump softly.
    """
    count = len(centres)
    along = directions / np.linalg.norm(directions, axis=-1, keepdims=True)
    side = np.cross(along, rng.normal(size=(count, 3)) * 0.4 + (0, 0, 1))
    side /= np.maximum(np.linalg.norm(side, axis=-1, keepdims=True), 1e-6)
    up = np.cross(side, along)
    size = rng.uniform(0.7, 1.15, (count, 1))
    tip = centres + along * length * size - (0, 0, 0.2 * length)
    middle = centres + along * length * 0.45 * size + up * 0.06 * length
    left, right = (middle + side * s * width / 2 * size + up * 0.1 * width for s in (1, -1))
    front = np.stack([centres, right, tip, left, middle], 1)
    normal = np.stack([up + s * side * 0.35 for s in (0, -1, 0, 1, 0)], 1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    uvs = np.array([[0.5, 1], [1, 0.5], [0.5, 0], [0, 0.5], [0.5, 0.5]]) * length
    faces = np.array([[0, 4, 1], [1, 4, 2], [2, 4, 3], [3, 4, 0]], np.int32)
    index = (np.arange(count, dtype=np.int32) * 5)[:, None, None] + faces
    upper = Mesh(
        front.reshape(-1, 3).astype(np.float32),
        normal.reshape(-1, 3).astype(np.float32),
        np.tile(uvs, (count, 1)).astype(np.float32),
        index.reshape(-1, 3),
    )
    lower = Mesh(
        (front - up[:, None] * 0.0005).reshape(-1, 3).astype(np.float32),
        -upper.normals,
        upper.uvs,
        np.ascontiguousarray(upper.triangles[:, ::-1]),
    )
    return merged([upper, lower])


def foliage(rng: np.random.Generator, radius: float, count: int, leaf: float) -> Mesh:
    """A round clump of leaves centred at the origin."""
    directions = rng.normal(size=(count, 3)) + np.array([0, 0, 0.35])
    directions /= np.linalg.norm(directions, axis=-1, keepdims=True)
    centres = directions * radius * rng.uniform(0.45, 1.0, (count, 1)) ** 0.5
    lean = directions + rng.normal(size=(count, 3)) * 0.45
    return leaves(rng, centres.astype(np.float32), lean.astype(np.float32), leaf, leaf * 0.5)


def fronds(rng: np.random.Generator, count: int, length: float) -> Mesh:
    """Long blades that rise from the origin and bend outwards, as an agave or a palm has them."""
    parts: list[Mesh] = []
    for i in range(count):
        turn = 2 * np.pi * (i * 0.381966 + rng.uniform(-0.03, 0.03))
        reach = length * rng.uniform(0.75, 1.1)
        rise = rng.uniform(0.35, 1.0)
        t = np.linspace(0, 1, 7)[:, None]
        out = np.array([np.cos(turn), np.sin(turn), 0])
        spine = out * reach * t * (1.1 - 0.3 * rise) + np.array([0, 0, 1]) * reach * (rise * t - 0.75 * t * t)
        across = np.array([-np.sin(turn), np.cos(turn), 0]) * length * 0.07
        taper = np.sin(np.pi * (0.12 + 0.88 * t)) ** 0.8 + 0.001
        tangent = np.gradient(spine, axis=0)
        normals = np.cross(np.broadcast_to(across, spine.shape), tangent)
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        normals *= np.where(normals[:, 2:] < 0, -1, 1)
        edges = np.stack([spine - across * taper, spine + across * taper], 1)
        both = np.stack([normals, normals], 1)
        uvs = np.stack([np.concatenate([0 * t, t], -1), np.concatenate([0 * t + 0.1, t], -1)], 1) * length
        first = np.cross(edges[1, 0] - edges[0, 0], edges[0, 1] - edges[0, 0]) @ normals[0]
        parts.append(_from_grid(edges, both, uvs, flip=bool(first < 0)))
        parts.append(_from_grid(edges - both * 0.001, -both, uvs, flip=bool(first > 0)))
    return merged(parts)
