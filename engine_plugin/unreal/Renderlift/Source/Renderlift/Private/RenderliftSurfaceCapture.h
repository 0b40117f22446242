// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// Normals and base colour where the G-buffer cannot be read alike in all versions (Substrate's own layout, forward
// shading): the engine's own scene captures of them, with the view's own matrices, drawn in the same frame just before
// the view. The engine keeps these captures right for every kind of material and primitive.

#pragma once

#include "CoreMinimal.h"
#include "Engine/EngineTypes.h"
#include "UObject/StrongObjectPtr.h"
#include "UObject/WeakObjectPtr.h"

class ASceneCapture2D;
class FSceneView;
class FSceneViewFamily;
class FTextureRenderTargetResource;
class UTextureRenderTarget2D;

/** Game thread. */
class FRenderliftSurfaceCapture
{
public:
	FRenderliftSurfaceCapture(bool bInNormal, bool bInBaseColor);
	~FRenderliftSurfaceCapture();

	/** Asks for captures of what this view will draw, at most MaxWidth wide. */
	void Request(const FSceneViewFamily& Family, const FSceneView& View, int32 MaxWidth);

	/** For the render thread; null for what is not captured. */
	FTextureRenderTargetResource* Normal() const;
	FTextureRenderTargetResource* BaseColor() const;

private:
	struct FSurface
	{
		TStrongObjectPtr<UTextureRenderTarget2D> Target;
		TWeakObjectPtr<ASceneCapture2D> Actor;
	};

	static FTextureRenderTargetResource* ResourceOf(const FSurface& Surface);
	static void Prepare(FSurface& Surface, ESceneCaptureSource What, UWorld& World, FIntPoint Size);
	static void Aim(const FSurface& Surface, const FSceneView& View);

	TOptional<FSurface> NormalSurface;
	TOptional<FSurface> BaseColorSurface;
};
