// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// What differs between Unreal 5.3 and 5.8, in one place. docs/unreal.md says what each line rests on.

#pragma once

#include "Misc/EngineVersionComparison.h"
#include "PostProcess/PostProcessMaterialInputs.h"
#include "SceneView.h"
#include "ScreenPass.h"

#define RENDERLIFT_SUBSCRIBE_HAS_VIEW (!UE_VERSION_OLDER_THAN(5, 5, 0))

// A mask that was an enumerator until 5.4 and is a constant beside the enum since.
#if UE_VERSION_OLDER_THAN(5, 5, 0)
#define RENDERLIFT_TEST_CONTEXT EAutomationTestFlags::ApplicationContextMask
#else
#define RENDERLIFT_TEST_CONTEXT EAutomationTestFlags_ApplicationContextMask
#endif

namespace RenderliftEngineVersion
{
	/** The picture that a post-process callback is handed, as a whole texture and the view's rectangle in it. */
	inline FScreenPassTexture SceneColor(FRDGBuilder& GraphBuilder, const FPostProcessMaterialInputs& Inputs)
	{
#if UE_VERSION_OLDER_THAN(5, 4, 0)
		return Inputs.GetInput(EPostProcessMaterialInput::SceneColor);
#else
		return FScreenPassTexture::CopyFromSlice(GraphBuilder, Inputs.GetInput(EPostProcessMaterialInput::SceneColor));
#endif
	}

	// The accessors of FViewMatrices were renamed on the way to 5.8. Which exist is asked of the compiler, so that
	// neither a deprecated nor a missing name is used.
	template <class TMatrices>
	FMatrix ProjectionWithoutJitter(const TMatrices& Matrices)
	{
		if constexpr (requires { Matrices.GetViewToClipNoAA(); })
		{
			return Matrices.GetViewToClipNoAA();
		}
		else
		{
			return Matrices.GetProjectionNoAAMatrix();
		}
	}

	template <class TMatrices>
	FMatrix WorldFromView(const TMatrices& Matrices)
	{
		if constexpr (requires { Matrices.GetViewToWorld(); })
		{
			return Matrices.GetViewToWorld();
		}
		else
		{
			return Matrices.GetInvViewMatrix();
		}
	}
}
