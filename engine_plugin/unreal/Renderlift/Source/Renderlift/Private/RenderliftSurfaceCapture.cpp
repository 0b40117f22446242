// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftSurfaceCapture.h"

#include "Components/SceneCaptureComponent2D.h"
#include "Engine/SceneCapture2D.h"
#include "Engine/TextureRenderTarget2D.h"
#include "Engine/World.h"
#include "RenderliftAxes.h"
#include "RenderliftEngineVersion.h"
#include "SceneInterface.h"
#include "TextureResource.h"

FRenderliftSurfaceCapture::FRenderliftSurfaceCapture(bool bInNormal, bool bInBaseColor)
{
	if (bInNormal)
	{
		NormalSurface.Emplace();
	}
	if (bInBaseColor)
	{
		BaseColorSurface.Emplace();
	}
}

FRenderliftSurfaceCapture::~FRenderliftSurfaceCapture()
{
	for (const TOptional<FSurface>* Surface : {&NormalSurface, &BaseColorSurface})
	{
		if (Surface->IsSet() && (*Surface)->Actor.IsValid())
		{
			(*Surface)->Actor->Destroy();
		}
	}
}

void FRenderliftSurfaceCapture::Request(const FSceneViewFamily& Family, const FSceneView& View, int32 MaxWidth)
{
	UWorld* const World = Family.Scene ? Family.Scene->GetWorld() : nullptr;
	const FIntPoint Whole = View.UnscaledViewRect.Size();
	if (!World || Whole.X < 1 || Whole.Y < 1)
	{
		return;
	}
	const int32 Shrink = RenderliftAxes::ShrinkTo(Whole.X, MaxWidth);
	const FIntPoint Size(FMath::Max(1, Whole.X / Shrink), FMath::Max(1, Whole.Y / Shrink));
	if (NormalSurface)
	{
		Prepare(*NormalSurface, ESceneCaptureSource::SCS_Normal, *World, Size);
		Aim(*NormalSurface, View);
	}
	if (BaseColorSurface)
	{
		Prepare(*BaseColorSurface, ESceneCaptureSource::SCS_BaseColor, *World, Size);
		Aim(*BaseColorSurface, View);
	}
}

void FRenderliftSurfaceCapture::Prepare(FSurface& Surface, ESceneCaptureSource What, UWorld& World, FIntPoint Size)
{
	if (!Surface.Target)
	{
		Surface.Target.Reset(NewObject<UTextureRenderTarget2D>());
		Surface.Target->RenderTargetFormat = RTF_RGBA16f;
		Surface.Target->InitAutoFormat(uint32(Size.X), uint32(Size.Y));
	}
	else if (Surface.Target->SizeX != Size.X || Surface.Target->SizeY != Size.Y)
	{
		Surface.Target->ResizeTarget(uint32(Size.X), uint32(Size.Y));
	}

	if (Surface.Actor.IsValid() && Surface.Actor->GetWorld() == &World)
	{
		return;
	}
	if (Surface.Actor.IsValid())
	{
		Surface.Actor->Destroy();
	}
	FActorSpawnParameters Spawn;
	Spawn.ObjectFlags = RF_Transient;  // never saved with a level
#if WITH_EDITOR
	Spawn.bHideFromSceneOutliner = true;
	Spawn.bTemporaryEditorActor = true;
#endif
	Surface.Actor = World.SpawnActor<ASceneCapture2D>(Spawn);
	if (Surface.Actor.IsValid())
	{
		USceneCaptureComponent2D* const Component = Surface.Actor->GetCaptureComponent2D();
		Component->TextureTarget = Surface.Target.Get();
		Component->CaptureSource = What;
		Component->bCaptureEveryFrame = false;
		Component->bCaptureOnMovement = false;
		Component->bUseCustomProjectionMatrix = true;
	}
}

void FRenderliftSurfaceCapture::Aim(const FSurface& Surface, const FSceneView& View)
{
	if (!Surface.Actor.IsValid())
	{
		return;
	}
	USceneCaptureComponent2D* const Component = Surface.Actor->GetCaptureComponent2D();
	Component->SetWorldLocationAndRotation(View.ViewLocation, View.ViewRotation);
	const FMatrix Projection = RenderliftEngineVersion::ProjectionWithoutJitter(View.ViewMatrices);
	Component->CustomProjectionMatrix = Projection;
	// What is worth drawing at which detail is still decided by the angle.
	Component->FOVAngle = float(FMath::RadiansToDegrees(2.0 * FMath::Atan(1.0 / Projection.M[0][0])));
	// Drawn when the renderer begins the view family that is being set up, so before it and in the same frame.
	Component->CaptureSceneDeferred();
}

FTextureRenderTargetResource* FRenderliftSurfaceCapture::ResourceOf(const FSurface& Surface)
{
	return Surface.Target && Surface.Actor.IsValid() ? Surface.Target->GameThread_GetRenderTargetResource() : nullptr;
}

FTextureRenderTargetResource* FRenderliftSurfaceCapture::Normal() const
{
	return NormalSurface ? ResourceOf(*NormalSurface) : nullptr;
}

FTextureRenderTargetResource* FRenderliftSurfaceCapture::BaseColor() const
{
	return BaseColorSurface ? ResourceOf(*BaseColorSurface) : nullptr;
}
