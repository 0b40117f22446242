// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#pragma once

#include "CoreMinimal.h"
#include "RenderGraphDefinitions.h"
#include "RenderGraphResources.h"
#include "RenderliftAxes.h"
#include "RenderliftStencils.h"
#include "renderlift/frame.h"

class FRDGBuilder;
class FSceneView;
struct FPostProcessMaterialInputs;
struct FScreenPassTexture;
class FTextureRenderTargetResource;

/** How a channel lies in its texture. */
struct FRenderliftTexel
{
	EPixelFormat Format;
	uint32 Bytes;
};

/** What a frame needs to know about the frame before it. */
struct FRenderliftPreviousFrame
{
	RenderliftAxes::FMatrix4 WorldFromCamera;
	RenderliftAxes::FMatrix3 ImageFromCamera;
	FIntPoint Size = FIntPoint::ZeroValue;
	uint64 EngineFrame = 0;
};

/** Everything a pack pass reads. Render thread. */
struct FRenderliftPack
{
	RenderliftAxes::FUnrealView View;
	const FRenderliftPreviousFrame* Previous = nullptr;	 // null: flow is not known
	bool bMotionKnown = false;
	/** Whether the picture holds linear light instead of sRGB: movie renders are left so. */
	bool bPictureIsLinear = false;
	FRenderliftStencils::FTable Stencils;
	FTextureRenderTargetResource* CapturedNormal = nullptr;
	FTextureRenderTargetResource* CapturedBaseColor = nullptr;
};

namespace RenderliftPackPass
{
	FRenderliftTexel TexelOf(renderlift::Channel Channel);

	/** Whether this project's G-buffer is the one that GetGBufferData reads: deferred, and without Substrate's own layout. */
	bool HasPlainGBuffer();

	/** Whether the channel can be had from this view now; rgb always can. */
	bool CanPack(renderlift::Channel Channel, const FPostProcessMaterialInputs& Inputs, const FRenderliftPack& Pack);

	/** Adds the pass that makes `Channel`, and returns its texture. */
	FRDGTextureRef Add(FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs,
		const FScreenPassTexture& Picture, renderlift::Channel Channel, const FRenderliftPack& Pack);

	/** What the axes need of the view that is being drawn. */
	RenderliftAxes::FUnrealView ReadView(const FSceneView& View, FIntPoint PictureSize, int32 Shrink);
}
