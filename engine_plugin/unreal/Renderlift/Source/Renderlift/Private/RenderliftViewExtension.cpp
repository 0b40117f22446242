// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftViewExtension.h"

#include "PostProcess/PostProcessMaterialInputs.h"
#include "RenderGraphBuilder.h"
#include "RenderliftCapture.h"
#include "SceneView.h"

namespace
{
	// Captures of a capture, cube faces and orthographic views are no camera's picture.
	bool IsCameraView(const FSceneView& View)
	{
		return !View.bIsSceneCapture && !View.bIsReflectionCapture && !View.bIsPlanarReflection
			&& View.IsPerspectiveProjection();
	}
}

FRenderliftViewExtension::FRenderliftViewExtension(
	const FAutoRegister& AutoRegister, FRenderliftCapture& InCapture, TSharedRef<FRenderliftReadback> InReadback)
	: FSceneViewExtensionBase(AutoRegister), Capture(&InCapture), Readback(InReadback)
{
}

bool FRenderliftViewExtension::IsActiveThisFrame_Internal(const FSceneViewExtensionContext& Context) const
{
	return Capture && Capture->Source.Wants(Context);
}

void FRenderliftViewExtension::SetupView(FSceneViewFamily& InViewFamily, FSceneView& InView)
{
	if (Capture && IsCameraView(InView))
	{
		Capture->PrepareView(InViewFamily, InView);
	}
}

void FRenderliftViewExtension::BeginRenderViewFamily(FSceneViewFamily& InViewFamily)
{
	if (Capture)
	{
		Capture->BeginFamily(InViewFamily);
	}
}

#if RENDERLIFT_SUBSCRIBE_HAS_VIEW
void FRenderliftViewExtension::SubscribeToPostProcessingPass(EPostProcessingPass Pass, const FSceneView& InView,
	FAfterPassCallbackDelegateArray& InOutPassCallbacks, bool bIsPassEnabled)
{
	Subscribe(Pass, InOutPassCallbacks, bIsPassEnabled);
}
#else
void FRenderliftViewExtension::SubscribeToPostProcessingPass(
	EPostProcessingPass Pass, FAfterPassCallbackDelegateArray& InOutPassCallbacks, bool bIsPassEnabled)
{
	Subscribe(Pass, InOutPassCallbacks, bIsPassEnabled);
}
#endif

void FRenderliftViewExtension::Subscribe(
	EPostProcessingPass Pass, FAfterPassCallbackDelegateArray& InOutPassCallbacks, bool bIsPassEnabled)
{
	// Motion blur can be off; the tone mapper runs in every lit view.
	if (Pass == EPostProcessingPass::Tonemap && bIsPassEnabled)
	{
		InOutPassCallbacks.Add(
			FAfterPassCallbackDelegate::CreateRaw(this, &FRenderliftViewExtension::AfterTonemap_RenderThread));
	}
}

void FRenderliftViewExtension::Request_RenderThread(FRenderliftRequest&& Request)
{
	// A request whose view was never drawn (unlit, minimised) is overtaken by the next one for the same target.
	const int32 Overtaken =
		Requests.IndexOfByPredicate([&Request](const FRenderliftRequest& Old) { return Old.Target == Request.Target; });
	if (Overtaken != INDEX_NONE)
	{
		Requests.RemoveAt(Overtaken);
		Readback->Unreserve();
	}
	Requests.Add(MoveTemp(Request));
}

FScreenPassTexture FRenderliftViewExtension::AfterTonemap_RenderThread(
	FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs)
{
	const void* const Target = View.Family->RenderTarget;
	const int32 Found =
		Requests.IndexOfByPredicate([Target](const FRenderliftRequest& Request) { return Request.Target == Target; });
	if (Found != INDEX_NONE && IsCameraView(View))
	{
		const FRenderliftRequest Request = MoveTemp(Requests[Found]);
		Requests.RemoveAt(Found);
		const FScreenPassTexture Picture = RenderliftEngineVersion::SceneColor(GraphBuilder, Inputs);
		if (Picture.IsValid())
		{
			Take_RenderThread(GraphBuilder, View, Inputs, Picture, Request);
		}
		else
		{
			Readback->Unreserve();
		}
	}
	return Inputs.ReturnUntouchedSceneColorForPostProcessing(GraphBuilder);
}

void FRenderliftViewExtension::Take_RenderThread(FRDGBuilder& GraphBuilder, const FSceneView& View,
	const FPostProcessMaterialInputs& Inputs, const FScreenPassTexture& Picture, const FRenderliftRequest& Request)
{
	const FIntPoint PictureSize = Picture.ViewRect.Size();
	FRenderliftPack Pack;
	Pack.View = RenderliftPackPass::ReadView(
		View, PictureSize, RenderliftAxes::ShrinkTo(PictureSize.X, Request.MaxWidth));
	Pack.Stencils = Request.Stencils;
	Pack.CapturedNormal = Request.CapturedNormal;
	Pack.CapturedBaseColor = Request.CapturedBaseColor;

	const auto [Width, Height] = RenderliftAxes::FrameSize(Pack.View);
	FRenderliftFrame Frame;
	Frame.Index = NextIndex;
	Frame.EngineTimeNs = Request.EngineTimeNs;
	Frame.CaptureTimeNs = Request.CaptureTimeNs;
	Frame.Size = FIntPoint(Width, Height);
	Frame.Pose.world_from_camera = RenderliftAxes::WorldFromCamera(Pack.View);
	Frame.Pose.image_from_camera = RenderliftAxes::ImageFromCamera(Pack.View);
	if (Width < 1 || Height < 1)
	{
		Readback->Unreserve();	// a viewport that is folded away
		return;
	}
	Readback->Begin(Frame);
	++NextIndex;

	if (Previous && !View.bCameraCut && Previous->Size == Frame.Size)
	{
		Pack.Previous = Previous.GetPtrOrNull();
		// The engine's velocity spans one engine frame, ours one captured frame.
		Pack.bMotionKnown = Request.EngineFrame == Previous->EngineFrame + 1;
	}
	for (const renderlift::Channel Channel : Request.Channels)
	{
		if (RenderliftPackPass::CanPack(Channel, Inputs, Pack))
		{
			Readback->Add(
				GraphBuilder, Channel, RenderliftPackPass::Add(GraphBuilder, View, Inputs, Picture, Channel, Pack));
		}
	}
	Readback->End();
	Previous = FRenderliftPreviousFrame{
		Frame.Pose.world_from_camera, Frame.Pose.image_from_camera, Frame.Size, Request.EngineFrame};
}
