// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftAxes.h"

namespace RenderliftAxes
{
	namespace
	{
		constexpr double MetresPerCentimetre = 0.01;

		FVector3 Mirrored(const FVector3& V)
		{
			return {V[0], -V[1], V[2]};
		}

		FMatrix4 Product(const FMatrix4& A, const FMatrix4& B)
		{
			FMatrix4 Result{};
			for (int Row = 0; Row < 4; ++Row)
			{
				for (int Column = 0; Column < 4; ++Column)
				{
					for (int Inner = 0; Inner < 4; ++Inner)
					{
						Result[Row * 4 + Column] += A[Row * 4 + Inner] * B[Inner * 4 + Column];
					}
				}
			}
			return Result;
		}

		// Of a rotation and a translation.
		FMatrix4 RigidInverse(const FMatrix4& M)
		{
			FMatrix4 Result{};
			for (int Row = 0; Row < 3; ++Row)
			{
				for (int Column = 0; Column < 3; ++Column)
				{
					Result[Row * 4 + Column] = M[Column * 4 + Row];
					Result[Row * 4 + 3] -= M[Column * 4 + Row] * M[Column * 4 + 3];
				}
			}
			Result[15] = 1;
			return Result;
		}

		FMatrix4 Widened(const FMatrix3& M)
		{
			return {M[0], M[1], M[2], 0, M[3], M[4], M[5], 0, M[6], M[7], M[8], 0, 0, 0, 0, 1};
		}

		// Of intrinsics without skew, widened.
		FMatrix4 CameraFromImage(const FMatrix3& K)
		{
			return {1 / K[0], 0, -K[2] / K[0], 0, 0, 1 / K[4], -K[5] / K[4], 0, 0, 0, 1, 0, 0, 0, 0, 1};
		}
	}

	std::array<int32_t, 2> FrameSize(const FUnrealView& View)
	{
		return {View.Width / View.Shrink, View.Height / View.Shrink};
	}

	int32_t ShrinkTo(int32_t Width, int32_t MaxWidth)
	{
		return MaxWidth <= 0 || Width <= MaxWidth ? 1 : (Width + MaxWidth - 1) / MaxWidth;
	}

	FMatrix4 WorldFromCamera(const FUnrealView& View)
	{
		const FVector3 X = Mirrored(View.Right);
		const FVector3 Up = Mirrored(View.Up);
		const FVector3 Z = Mirrored(View.Forward);
		const FVector3 Place = Mirrored(View.LocationCm);
		FMatrix4 Result{};
		for (int Row = 0; Row < 3; ++Row)
		{
			Result[Row * 4 + 0] = X[Row];
			Result[Row * 4 + 1] = -Up[Row];
			Result[Row * 4 + 2] = Z[Row];
			Result[Row * 4 + 3] = MetresPerCentimetre * Place[Row];
		}
		Result[15] = 1;
		return Result;
	}

	FMatrix3 ImageFromCamera(const FUnrealView& View)
	{
		const double HalfWidth = 0.5 * View.Width / View.Shrink;
		const double HalfHeight = 0.5 * View.Height / View.Shrink;
		return {HalfWidth * View.Projection00, 0, HalfWidth * (1 + View.Projection20),
			0, HalfHeight * View.Projection11, HalfHeight * (1 - View.Projection21),
			0, 0, 1};
	}

	FMatrix3 CameraFromUnrealWorld(const FUnrealView& View)
	{
		const FVector3& R = View.Right;
		const FVector3& U = View.Up;
		const FVector3& F = View.Forward;
		return {R[0], R[1], R[2], -U[0], -U[1], -U[2], F[0], F[1], F[2]};
	}

	FDepthFromDevice DepthFromDevice(const FUnrealView& View)
	{
		return {MetresPerCentimetre * View.Projection32, View.Projection22};
	}

	FMatrix4 PreviousFromImage(const FMatrix4& WorldFromPreviousCamera, const FMatrix3& ImageFromPreviousCamera,
		const FMatrix4& WorldFromCamera, const FMatrix3& ImageFromCamera)
	{
		const FMatrix4 PreviousFromCamera = Product(RigidInverse(WorldFromPreviousCamera), WorldFromCamera);
		return Product(Widened(ImageFromPreviousCamera), Product(PreviousFromCamera, CameraFromImage(ImageFromCamera)));
	}
}
