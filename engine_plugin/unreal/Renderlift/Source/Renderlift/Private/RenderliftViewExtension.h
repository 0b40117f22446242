// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// Sits in the view that the engine draws anyway: the game thread says which frame to take, the render thread takes it
// after tone mapping, and the pose is read from the view that is being drawn.

#pragma once

#include "CoreMinimal.h"
#include "RenderliftEngineVersion.h"
#include "RenderliftPackPass.h"
#include "RenderliftReadback.h"
#include "SceneViewExtension.h"

#include <vector>

class FRenderliftCapture;

/** A frame that is to be taken, made on the game thread. */
struct FRenderliftRequest
{
	/** Of the view family that will be drawn; the one thing that its copy on the render thread still shares. */
	const void* Target = nullptr;
	int64 EngineTimeNs = 0;
	int64 CaptureTimeNs = 0;
	uint64 EngineFrame = 0;
	int32 MaxWidth = 0;
	std::vector<renderlift::Channel> Channels;
	FRenderliftStencils::FTable Stencils{};
	FTextureRenderTargetResource* CapturedNormal = nullptr;
	FTextureRenderTargetResource* CapturedBaseColor = nullptr;
};

class FRenderliftViewExtension : public FSceneViewExtensionBase
{
public:
	FRenderliftViewExtension(
		const FAutoRegister& AutoRegister, FRenderliftCapture& InCapture, TSharedRef<FRenderliftReadback> InReadback);

	/** From now on no view is looked at. Game thread. */
	void Detach()
	{
		Capture = nullptr;
	}

	/** The next view drawn to the request's target is taken; an older request is forgotten. Render thread. */
	void Request_RenderThread(FRenderliftRequest&& Request);

	//~ ISceneViewExtension
	virtual void SetupViewFamily(FSceneViewFamily& InViewFamily) override {}
	virtual void SetupView(FSceneViewFamily& InViewFamily, FSceneView& InView) override;
	virtual void BeginRenderViewFamily(FSceneViewFamily& InViewFamily) override;
#if RENDERLIFT_SUBSCRIBE_HAS_VIEW
	virtual void SubscribeToPostProcessingPass(EPostProcessingPass Pass, const FSceneView& InView,
		FAfterPassCallbackDelegateArray& InOutPassCallbacks, bool bIsPassEnabled) override;
#else
	virtual void SubscribeToPostProcessingPass(EPostProcessingPass Pass,
		FAfterPassCallbackDelegateArray& InOutPassCallbacks, bool bIsPassEnabled) override;
#endif

protected:
	virtual bool IsActiveThisFrame_Internal(const FSceneViewExtensionContext& Context) const override;

private:
	void Subscribe(EPostProcessingPass Pass, FAfterPassCallbackDelegateArray& InOutPassCallbacks, bool bIsPassEnabled);
	FScreenPassTexture AfterTonemap_RenderThread(
		FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs);
	void Take_RenderThread(FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs,
		const FScreenPassTexture& Picture, const FRenderliftRequest& Request);

	// Game thread.
	FRenderliftCapture* Capture;

	// Render thread.
	TSharedRef<FRenderliftReadback> Readback;
	TOptional<FRenderliftRequest> Pending;
	TOptional<FRenderliftPreviousFrame> Previous;
	int64 NextIndex = 0;
};
