// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftMovieOutput.h"

#include "Engine/World.h"
#include "MoviePipeline.h"
#include "MoviePipelineAntiAliasingSetting.h"
#include "MoviePipelineBlueprintLibrary.h"
#include "MoviePipelineHighResSetting.h"
#include "MoviePipelinePrimaryConfig.h"
#include "MovieRenderPipelineDataTypes.h"
#include "RenderliftCapture.h"
#include "RenderliftMovieLog.h"
#include "SceneInterface.h"
#include "SceneView.h"
#include "SceneViewExtension.h"
#include "UObject/WeakObjectPtr.h"

DEFINE_LOG_CATEGORY(LogRenderliftMovie);

#define LOCTEXT_NAMESPACE "Renderlift"

namespace
{
	constexpr double PatienceSeconds = 60.0;  // for the bridge to write the last frames

	// A movie without its capture is not what was asked for.
	void EndPipeline(UMoviePipeline& Pipeline, const FText& Why)
	{
		UE_LOG(LogRenderliftMovie, Error, TEXT("%s"), *Why.ToString());
		Pipeline.RequestShutdown(true);
	}

	// Unset while the pipeline warms up, and for further samples of a frame that has been taken.
	TOptional<int64> TimeOfNewFrame(UMoviePipeline& Pipeline, const FSceneViewFamily& Family, int32& LastFrame)
	{
		if (UMoviePipelineBlueprintLibrary::GetCurrentSegmentState(&Pipeline) != EMovieRenderShotState::Rendering)
		{
			return TOptional<int64>();
		}
		int32 Frame = 0;
		int32 Total = 0;
		UMoviePipelineBlueprintLibrary::GetOverallOutputFrames(&Pipeline, Frame, Total);
		if (Frame == LastFrame)
		{
			return TOptional<int64>();
		}
		LastFrame = Frame;
		constexpr double NanosecondsPerSecond = 1.0e9;
		return int64(double(Family.Time.GetWorldTimeSeconds()) * NanosecondsPerSecond);
	}
}

#if WITH_EDITOR
FText URenderliftMovieOutput::GetDisplayText() const
{
	return LOCTEXT("MovieOutput", "Renderlift");
}
#endif

void URenderliftMovieOutput::SetupForPipelineImpl(UMoviePipeline* InPipeline)
{
	Super::SetupForPipelineImpl(InPipeline);
	FRenderliftSource Source;
	Source.Mode = ERenderliftMode::Capture;
	Source.Session = Session;
	Source.World = InPipeline->GetWorld();
	const TWeakObjectPtr<UMoviePipeline> Pipeline = InPipeline;
	Source.Wants = [Pipeline](const FSceneViewExtensionContext& Context)
	{
		// The queue renders without a viewport; so do scene captures, which the capture itself leaves out.
		return Pipeline.IsValid() && !Context.Viewport && Context.Scene && Context.Scene->GetWorld() == Pipeline->GetWorld();
	};
	Source.EngineTimeNs = [Pipeline, LastFrame = int32(INDEX_NONE)](const FSceneViewFamily& Family) mutable
	{ return Pipeline.IsValid() ? TimeOfNewFrame(*Pipeline, Family, LastFrame) : TOptional<int64>(); };
	FText Problem;
	if (!FRenderliftCapture::Get().Start(Source, Problem))
	{
		EndPipeline(*InPipeline, Problem);
		return;
	}
	StoppedHandle = FRenderliftCapture::Get().OnStopped.AddWeakLambda(this,
		[Pipeline](const FText& Why)
		{
			if (Pipeline.IsValid() && !Why.IsEmpty())
			{
				EndPipeline(*Pipeline, Why);
			}
		});
}

void URenderliftMovieOutput::TeardownForPipelineImpl(UMoviePipeline* InPipeline)
{
	FRenderliftCapture::Get().OnStopped.Remove(StoppedHandle);
	FRenderliftCapture::Get().Stop(FText::GetEmpty(), PatienceSeconds);
	Super::TeardownForPipelineImpl(InPipeline);
}

bool URenderliftMovieOutput::HasFinishedProcessingImpl()
{
	return FRenderliftCapture::Get().IsSettled();
}

void URenderliftMovieOutput::ValidateStateImpl()
{
	Super::ValidateStateImpl();
	const UMoviePipelinePrimaryConfig* const Config = GetTypedOuter<UMoviePipelinePrimaryConfig>();
	if (!Config)
	{
		return;
	}
	const auto Warn = [this](const FText& Text)
	{
		ValidationResults.Add(Text);
		ValidationState = EMoviePipelineValidationState::Warnings;
	};
	const UMoviePipelineAntiAliasingSetting* const Samples = Config->FindSetting<UMoviePipelineAntiAliasingSetting>();
	if (Samples && Samples->SpatialSampleCount * Samples->TemporalSampleCount > 1)
	{
		Warn(LOCTEXT("OneSample",
			"Renderlift takes the first sample of each frame, so that colour and labels are of one instant. Use one spatial "
			"and one temporal sample, and TSR for smooth edges."));
	}
	const UMoviePipelineHighResSetting* const Tiles = Config->FindSetting<UMoviePipelineHighResSetting>();
	if (Tiles && Tiles->TileCount > 1)
	{
		Warn(LOCTEXT("NoTiles", "Renderlift would take the first tile only. Set the tile count to 1."));
	}
}

#undef LOCTEXT_NAMESPACE
