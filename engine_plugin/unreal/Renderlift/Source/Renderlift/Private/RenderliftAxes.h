// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// Unreal's axes and centimetres to ours, here and nowhere else. docs/conventions.md spells ours out.
//
// Unreal: world left-handed, Z up, centimetres; view space x right, y up, z forward; matrices multiply rows; device
// depth runs from 1 (near) to 0 (far). Ours: world right-handed, Z up, metres; camera x right, y down, z forward;
// matrices multiply columns. The world is mirrored by turning Y around.
//
// No engine header: this file and its .cpp are compiled and held against the Python conventions without an engine.
#pragma once

#include <array>
#include <cstdint>

namespace RenderliftAxes
{
	using FVector3 = std::array<double, 3>;
	using FMatrix3 = std::array<double, 9>;	  // row by row
	using FMatrix4 = std::array<double, 16>;  // row by row

	// What is read from the FSceneView that draws the pixels.
	struct FUnrealView
	{
		// Directions of the view in the world (unit), and its place in centimetres.
		FVector3 Right{0, 1, 0};
		FVector3 Up{0, 0, 1};
		FVector3 Forward{1, 0, 0};
		FVector3 LocationCm{0, 0, 0};
		// Elements of the projection without antialiasing jitter, [row][column] as Unreal writes them.
		double Projection00 = 1;
		double Projection11 = 1;
		double Projection20 = 0;
		double Projection21 = 0;
		double Projection22 = 0;
		double Projection32 = 10;
		// Pixels of the finished picture, and how many of them, per side, make one of a frame.
		int32_t Width = 1;
		int32_t Height = 1;
		int32_t Shrink = 1;
	};

	// Size of a frame, pixels. What does not fill a whole pixel at the right and at the bottom is cut off.
	std::array<int32_t, 2> FrameSize(const FUnrealView& View);

	// Whole number that brings Width down to MaxWidth or less; 1 where MaxWidth is 0.
	int32_t ShrinkTo(int32_t Width, int32_t MaxWidth);

	// Pose, metres.
	FMatrix4 WorldFromCamera(const FUnrealView& View);

	// Intrinsics, pixels of the frame.
	FMatrix3 ImageFromCamera(const FUnrealView& View);

	// Directions in Unreal's world to directions in our camera.
	FMatrix3 CameraFromUnrealWorld(const FUnrealView& View);

	// z in metres = Numerator / (device depth - Offset).
	struct FDepthFromDevice
	{
		double Numerator;
		double Offset;
	};
	FDepthFromDevice DepthFromDevice(const FUnrealView& View);

	// (u z, v z, z, 1) in this frame to the same of a static point in the frame before. A point infinitely far away is
	// (u, v, 1, 0).
	FMatrix4 PreviousFromImage(const FMatrix4& WorldFromPreviousCamera, const FMatrix3& ImageFromPreviousCamera,
		const FMatrix4& WorldFromCamera, const FMatrix3& ImageFromCamera);
}
