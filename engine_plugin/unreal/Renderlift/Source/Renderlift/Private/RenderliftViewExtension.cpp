// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftViewExtension.h"

#include "Engine/EngineTypes.h"
#include "PostProcess/PostProcessMaterialInputs.h"
#include "RenderGraphBuilder.h"
#include "RenderliftCapture.h"
#include "SceneView.h"
#include "ScreenPass.h"

namespace
{
	// Captures of a capture, cube faces, orthographic views and what is drawn to find out what the mouse is over are no
	// camera's picture. Mobile previews have neither our shaders nor our textures.
	bool IsCameraView(const FSceneView& View)
	{
		return !View.bIsSceneCapture && !View.bIsReflectionCapture && !View.bIsPlanarReflection
			&& View.IsPerspectiveProjection() && !View.Family->EngineShowFlags.HitProxies
			&& View.GetFeatureLevel() >= ERHIFeatureLevel::SM5;
	}

	// Movie renders leave the last step, light to sRGB, to whoever writes the file.
	bool IsLinear(const FSceneViewFamily& Family)
	{
		return Family.SceneCaptureSource == SCS_FinalToneCurveHDR || Family.SceneCaptureSource == SCS_FinalColorHDR;
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
	if (!Capture)
	{
		return;
	}
	// Some versions of the movie graph set their views up without a word to extensions.
	const FSceneView* const View = InViewFamily.Views.Num() > 0 ? InViewFamily.Views[0] : nullptr;
	if (View && IsCameraView(*View) && !Capture->WasAsked(InViewFamily))
	{
		Capture->PrepareView(InViewFamily, *View);
	}
	Capture->BeginFamily(InViewFamily);
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
	// Motion blur can be off; the tone mapper runs in every lit view. Where nothing is to be taken nothing is changed.
	if (Pass == EPostProcessingPass::Tonemap && bIsPassEnabled && Pending)
	{
		InOutPassCallbacks.Add(
			FAfterPassCallbackDelegate::CreateRaw(this, &FRenderliftViewExtension::AfterTonemap_RenderThread));
	}
}

void FRenderliftViewExtension::Request_RenderThread(FRenderliftRequest&& Request)
{
	// A view is drawn before the next one is asked for, so a request that is still here never will be (unlit, minimised).
	if (Pending)
	{
		Readback->Unreserve();
	}
	Pending = MoveTemp(Request);
}

FScreenPassTexture FRenderliftViewExtension::AfterTonemap_RenderThread(
	FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs)
{
	const FScreenPassTexture Picture = RenderliftEngineVersion::SceneColor(GraphBuilder, Inputs);
	if (Pending && Pending->Target == View.Family->RenderTarget && IsCameraView(View) && Picture.IsValid())
	{
		const FRenderliftRequest Request = MoveTemp(*Pending);
		Pending.Reset();
		Take_RenderThread(GraphBuilder, View, Inputs, Picture, Request);
	}
	// Where this callback is the last step of all it must fill the screen itself. The engine has a function for that, but up
	// to 5.4 it fills nothing: the screen stays black or stands still.
	if (Inputs.OverrideOutput.IsValid() && Picture.IsValid())
	{
		AddDrawTexturePass(GraphBuilder, View, Picture, Inputs.OverrideOutput);
		return Inputs.OverrideOutput;
	}
	return Picture;
}

void FRenderliftViewExtension::Take_RenderThread(FRDGBuilder& GraphBuilder, const FSceneView& View,
	const FPostProcessMaterialInputs& Inputs, const FScreenPassTexture& Picture, const FRenderliftRequest& Request)
{
	const FIntPoint PictureSize = Picture.ViewRect.Size();
	FRenderliftPack Pack;
	Pack.View = RenderliftPackPass::ReadView(
		View, PictureSize, RenderliftAxes::ShrinkTo(PictureSize.X, Request.MaxWidth));
	Pack.Stencils = Request.Stencils;
	Pack.bPictureIsLinear = IsLinear(*View.Family);
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
