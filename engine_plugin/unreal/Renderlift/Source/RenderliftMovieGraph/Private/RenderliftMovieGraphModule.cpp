// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// A node has no hook before its graph's first frame, so the module looks each tick whether a graph that holds one runs.
// The core ticker ticks after the graph has worked out the frame and before it is rendered.

#include "Containers/Ticker.h"
#include "Engine/World.h"
#include "Graph/MovieGraphBlueprintLibrary.h"
#include "Graph/MovieGraphConfig.h"
#include "Graph/MovieGraphDataTypes.h"
#include "Graph/MovieGraphPipeline.h"
#include "Logging/LogMacros.h"
#include "Modules/ModuleManager.h"
#include "MoviePipelineQueue.h"
#include "MovieRenderPipelineDataTypes.h"
#include "RenderliftCapture.h"
#include "RenderliftMovieGraphOutput.h"
#include "SceneInterface.h"
#include "SceneView.h"
#include "SceneViewExtension.h"
#include "UObject/UObjectIterator.h"
#include "UObject/WeakObjectPtr.h"

DEFINE_LOG_CATEGORY_STATIC(LogRenderliftMovieGraph, Log, All);

namespace
{
	constexpr double PatienceSeconds = 60.0;  // for the bridge to write the last frames

	FMovieGraphTimeStepData TimeDataOf(const UMovieGraphPipeline& Pipeline)
	{
		const auto* const TimeStep = Pipeline.GetTimeStepInstance();
		return TimeStep ? TimeStep->GetCalculatedTimeData() : FMovieGraphTimeStepData();
	}

	bool HoldsOurNode(const UMovieGraphPipeline& Pipeline)
	{
		const UMovieGraphEvaluatedConfig* const Config = TimeDataOf(Pipeline).EvaluatedConfig;
		if (!Config || UMovieGraphBlueprintLibrary::GetPipelineState(&Pipeline) != EMovieRenderPipelineState::ProducingFrames)
		{
			return false;
		}
		for (const FName& Branch : Config->GetBranchNames())
		{
			if (Config->GetSettingForBranch<URenderliftMovieGraphOutput>(Branch, /*bIncludeCDOs=*/false))
			{
				return true;
			}
		}
		return false;
	}

	UMovieGraphPipeline* FindPipeline()
	{
		for (TObjectIterator<UMovieGraphPipeline> Pipeline; Pipeline; ++Pipeline)
		{
			if (!Pipeline->IsTemplate() && HoldsOurNode(**Pipeline))
			{
				return *Pipeline;
			}
		}
		return nullptr;
	}

	bool IsRendering(const UMovieGraphPipeline& Pipeline)
	{
		const auto& Shots = Pipeline.GetActiveShotList();
		const int32 Shot = Pipeline.GetCurrentShotIndex();
		return Shots.IsValidIndex(Shot) && Shots[Shot]->ShotInfo.State == EMovieRenderShotState::Rendering;
	}

	// Unset while the pipeline warms up, and for further samples of a frame that has been taken.
	TOptional<int64> TimeOfNewFrame(const UMovieGraphPipeline& Pipeline, const FSceneViewFamily& Family, int32& LastFrame)
	{
		const int32 Frame = TimeDataOf(Pipeline).OutputFrameNumber;
		if (!IsRendering(Pipeline) || Frame == LastFrame)
		{
			return TOptional<int64>();
		}
		LastFrame = Frame;
		constexpr double NanosecondsPerSecond = 1.0e9;
		return int64(double(Family.Time.GetWorldTimeSeconds()) * NanosecondsPerSecond);
	}
}

class FRenderliftMovieGraphModule : public IModuleInterface
{
public:
	virtual void StartupModule() override
	{
		Ticker = FTSTicker::GetCoreTicker().AddTicker(FTickerDelegate::CreateRaw(this, &FRenderliftMovieGraphModule::Tick));
		StoppedHandle = FRenderliftCapture::Get().OnStopped.AddRaw(this, &FRenderliftMovieGraphModule::OnStopped);
	}

	virtual void ShutdownModule() override
	{
		FRenderliftCapture::Get().OnStopped.Remove(StoppedHandle);
		FTSTicker::GetCoreTicker().RemoveTicker(Ticker);
	}

private:
	bool Tick(float)
	{
		UMovieGraphPipeline* const Pipeline = FindPipeline();
		if (Pipeline && Pipeline != Current.Get())
		{
			Begin(*Pipeline);
		}
		// A pipeline that has left its last frame behind finishes once the capture is settled, and only then ends here.
		if (bOurs && (!Current.IsValid() || UMovieGraphBlueprintLibrary::GetPipelineState(Current.Get()) == EMovieRenderPipelineState::Finished))
		{
			bOurs = false;
			FRenderliftCapture::Get().Stop(FText::GetEmpty(), PatienceSeconds);
		}
		return true;
	}

	void Begin(UMovieGraphPipeline& Pipeline)
	{
		Current = &Pipeline;
		const TWeakObjectPtr<UMovieGraphPipeline> Weak = &Pipeline;
		FRenderliftSource Source;
		Source.Mode = ERenderliftMode::Capture;
		Source.World = Pipeline.GetWorld();
		Source.Wants = [Weak](const FSceneViewExtensionContext& Context)
		{
			return Weak.IsValid() && !Context.Viewport && Context.Scene && Context.Scene->GetWorld() == Weak->GetWorld();
		};
		Source.EngineTimeNs = [Weak, LastFrame = int32(INDEX_NONE)](const FSceneViewFamily& Family) mutable
		{ return Weak.IsValid() ? TimeOfNewFrame(*Weak, Family, LastFrame) : TOptional<int64>(); };
		FText Problem;
		bOurs = FRenderliftCapture::Get().Start(Source, Problem);
		if (!bOurs)
		{
			OnStopped(Problem);
		}
	}

	// A movie without its capture is not what was asked for.
	void OnStopped(const FText& Why)
	{
		if (Current.IsValid() && !Why.IsEmpty())
		{
			UE_LOG(LogRenderliftMovieGraph, Error, TEXT("%s"), *Why.ToString());
			Current->RequestShutdown(true);
		}
	}

	FTSTicker::FDelegateHandle Ticker;
	FDelegateHandle StoppedHandle;
	TWeakObjectPtr<UMovieGraphPipeline> Current;
	bool bOurs = false;
};

IMPLEMENT_MODULE(FRenderliftMovieGraphModule, RenderliftMovieGraph)
