// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftCapture.h"

#include "Engine/World.h"
#include "HAL/PlatformProcess.h"
#include "HAL/PlatformTime.h"
#include "Misc/CoreMisc.h"
#include "Misc/DateTime.h"
#include "RenderingThread.h"
#include "RenderliftLabels.h"
#include "RenderliftLog.h"
#include "RenderliftReadback.h"
#include "RenderliftSession.h"
#include "RenderliftSettings.h"
#include "RenderliftSurfaceCapture.h"
#include "RenderliftViewExtension.h"
#include "SceneInterface.h"
#include "SceneView.h"
#include "SceneViewExtension.h"

#define LOCTEXT_NAMESPACE "Renderlift"

namespace
{
	constexpr double NanosecondsPerSecond = 1.0e9;
	constexpr double TellAfterSeconds = 1.0;

	std::vector<renderlift::Channel> ChosenChannels(const URenderliftSettings& Settings)
	{
		using renderlift::Channel;
		std::vector<Channel> Result{Channel::rgb};
		const auto Add = [&Result](bool bWanted, std::initializer_list<Channel> Channels)
		{
			if (bWanted)
			{
				Result.insert(Result.end(), Channels);
			}
		};
		Add(Settings.bDepth, {Channel::depth});
		Add(Settings.bNormal, {Channel::normal});
		Add(Settings.bIds && Settings.Labels != ERenderliftLabels::None, {Channel::class_id, Channel::instance_id});
		Add(Settings.bFlow, {Channel::flow});
		Add(Settings.bAlbedo, {Channel::albedo});
		Add(Settings.bAlbedo && RenderliftPackPass::HasPlainGBuffer(), {Channel::material});
		return Result;
	}

	int64 WorldTimeNs(const FSceneViewFamily& Family)
	{
		// A level that is only edited has no running world time; the editor's own clock goes on.
		const UWorld* const World = Family.Scene ? Family.Scene->GetWorld() : nullptr;
		const bool bPlays = World && World->IsGameWorld();
		const double Seconds = bPlays ? double(Family.Time.GetWorldTimeSeconds()) : double(Family.Time.GetRealTimeSeconds());
		return int64(Seconds * NanosecondsPerSecond);
	}

	int64 WallTimeNs()
	{
		constexpr int64 NanosecondsPerTick = 100;
		return (FDateTime::UtcNow() - FDateTime(1970, 1, 1)).GetTicks() * NanosecondsPerTick;
	}

	// The copies that are done move on; nothing waits for the rest.
	void PollOnRenderThread(const TSharedPtr<FRenderliftReadback>& Readback)
	{
		ENQUEUE_RENDER_COMMAND(RenderliftPoll)
		([Readback](FRHICommandListImmediate&) { Readback->Poll(); });
	}
}

FRenderliftCapture& FRenderliftCapture::Get()
{
	static FRenderliftCapture Capture;
	return Capture;
}

FRenderliftCapture::FRenderliftCapture() = default;
FRenderliftCapture::~FRenderliftCapture() = default;

bool FRenderliftCapture::Start(const FRenderliftSource& InSource, FText& OutProblem)
{
	check(IsInGameThread());
	Stop();
	const URenderliftSettings& Settings = *GetDefault<URenderliftSettings>();
	const TSharedPtr<FRenderliftSession> Opened =
		FRenderliftSession::Open(Settings, InSource, ChosenChannels(Settings), OutProblem);
	if (!Opened)
	{
		return false;
	}
	Source = InSource;
	Session = Opened;
	Readback = MakeShared<FRenderliftReadback>(
		Settings.ReadbackSets, [Opened](const renderlift::FrameView& Frame) { return Opened->Publish(Frame); });
	const bool bCaptureSurfaces =
		Settings.Surfaces == ERenderliftSurfaces::SceneCapture || !RenderliftPackPass::HasPlainGBuffer();
	Surfaces = MakeUnique<FRenderliftSurfaceCapture>(
		bCaptureSurfaces && Settings.bNormal, bCaptureSurfaces && Settings.bAlbedo);
	Labels = MakeUnique<FRenderliftLabels>(Settings.bIds ? Settings.Labels : ERenderliftLabels::None);
	Extension = FSceneViewExtensions::NewExtension<FRenderliftViewExtension>(*this, Readback.ToSharedRef());
	Ticker = FTSTicker::GetCoreTicker().AddTicker(FTickerDelegate::CreateRaw(this, &FRenderliftCapture::Tick));
	LastFrameSeconds = 0;
	return true;
}

void FRenderliftCapture::Stop(const FText& Why, double PatienceSeconds)
{
	if (!IsRunning())
	{
		return;
	}
	FTSTicker::GetCoreTicker().RemoveTicker(Ticker);
	Extension->Detach();
	// A capture's last frames are still on their way from the GPU.
	const double GiveUpSeconds = FPlatformTime::Seconds() + PatienceSeconds;
	while (Source.Mode == ERenderliftMode::Capture && !IsSettled() && FPlatformTime::Seconds() < GiveUpSeconds)
	{
		PollOnRenderThread(Readback);
		FlushRenderingCommands();
		FPlatformProcess::Sleep(0.002f);
	}
	ENQUEUE_RENDER_COMMAND(RenderliftRelease)
	([Held = Readback](FRHICommandListImmediate&) { Held->Release(); });
	FlushRenderingCommands();
	if (!Session->Close(PatienceSeconds) && Source.Mode == ERenderliftMode::Capture)
	{
		UE_LOG(LogRenderlift, Error, TEXT("Some captured frames never reached the bridge. Capture again with session %s."),
			*Session->Status().Session);
	}
	Extension.Reset();
	Readback.Reset();
	Session.Reset();
	Labels.Reset();
	Surfaces.Reset();
	Source = FRenderliftSource();
	OnStopped.Broadcast(Why);
}

bool FRenderliftCapture::IsRunning() const
{
	return Session.IsValid();
}

bool FRenderliftCapture::IsSettled() const
{
	return !IsRunning() || (Readback->IsIdle() && Session->Status().Unsettled == 0);
}

FRenderliftStatus FRenderliftCapture::Status() const
{
	return Session ? Session->Status() : FRenderliftStatus();
}

void FRenderliftCapture::RestoreLabels()
{
	if (Labels)
	{
		Labels->Restore();
	}
}

bool FRenderliftCapture::Tick(float)
{
	PollOnRenderThread(Readback);
	TakePictures();
	if (UWorld* const World = Source.World.Get())
	{
		Labels->Update(*World);
	}
	if (Source.Mode == ERenderliftMode::Capture)
	{
		const FText Failure = Session->Failure();
		if (!Failure.IsEmpty())
		{
			Stop(Failure);	// a capture with a hole in it is worse than one that ends
			return false;
		}
		WaitForRoom();
	}
	return IsRunning();
}

void FRenderliftCapture::TakePictures()
{
	const TOptional<FRenderliftPicture> Picture = Session->TakePicture();
	if (Picture)
	{
		OnPicture.Broadcast(*Picture);
	}
}

// Nothing may be lost in a capture, so the engine waits here, between two frames, where waiting is harmless.
void FRenderliftCapture::WaitForRoom()
{
	const double Patience = GetDefault<URenderliftSettings>()->CapturePatienceSeconds;
	const double Begin = FPlatformTime::Seconds();
	double TellAt = Begin + TellAfterSeconds;
	while (!Readback->HasRoom())
	{
		PollOnRenderThread(Readback);
		FlushRenderingCommands();
		FPlatformProcess::Sleep(0.001f);
		const double Now = FPlatformTime::Seconds();
		if (Now < TellAt)
		{
			continue;
		}
		TellAt = Now + (Now - Begin);  // again after 2 s, 4 s, 8 s, ...
		const FRenderliftStatus Connection = Session->Status();
		const FText Why = Connection.Problem.IsEmpty()
			? LOCTEXT("WaitsForBridge", "Capture waits until the bridge has written earlier frames.")
			: FText::FromString(Connection.Problem + TEXT(" ") + Connection.Fix);
		UE_LOG(LogRenderlift, Warning, TEXT("%s"), *Why.ToString());
		if ((KeepWaiting && !KeepWaiting(Why)) || (Patience > 0 && Now - Begin > Patience))
		{
			Stop(Why);
			return;
		}
	}
}

bool FRenderliftCapture::WasAsked(const FSceneViewFamily& Family) const
{
	return AskedTarget == Family.RenderTarget && AskedFrame == GFrameCounter;
}

void FRenderliftCapture::PrepareView(const FSceneViewFamily& Family, const FSceneView& View)
{
	AskedTarget = Family.RenderTarget;
	AskedFrame = GFrameCounter;
	if (ChosenTarget && ChosenFrame == GFrameCounter)
	{
		return;	 // the first view of a family is the camera; another one is a second player
	}
	ChosenTarget = nullptr;	 // of a frame that was set up and never drawn
	const URenderliftSettings& Settings = *GetDefault<URenderliftSettings>();
	const double Now = FPlatformTime::Seconds();
	const bool bTooSoon = Now - LastFrameSeconds < 1.0 / Settings.PreviewFramesPerSecond;
	if (Source.Mode == ERenderliftMode::Preview && (bTooSoon || !Session->WantsFrame()))
	{
		return;
	}
	if (!Readback->HasRoom())
	{
		return;	 // in a capture there is room for each tick's frame; this is a viewport drawn again within the tick
	}
	ChosenTimeNs = Source.EngineTimeNs ? Source.EngineTimeNs(Family) : TOptional<int64>(WorldTimeNs(Family));
	if (!ChosenTimeNs)
	{
		return;
	}
	ChosenTarget = Family.RenderTarget;
	ChosenFrame = GFrameCounter;
	LastFrameSeconds = Now;
	if (UWorld* const World = Family.Scene ? Family.Scene->GetWorld() : nullptr)
	{
		Labels->Update(*World);
	}
	Surfaces->Request(Family, View, Source.Mode == ERenderliftMode::Preview ? Settings.PreviewWidth : 0);
}

void FRenderliftCapture::BeginFamily(const FSceneViewFamily& Family)
{
	if (!ChosenTarget || ChosenTarget != Family.RenderTarget)
	{
		return;
	}
	const URenderliftSettings& Settings = *GetDefault<URenderliftSettings>();
	FRenderliftRequest Request;
	Request.Target = ChosenTarget;
	Request.EngineTimeNs = *ChosenTimeNs;
	Request.CaptureTimeNs = WallTimeNs();
	Request.EngineFrame = GFrameCounter;
	Request.MaxWidth = Source.Mode == ERenderliftMode::Preview ? Settings.PreviewWidth : 0;
	Request.Channels = Session->Channels();
	Request.Stencils = Labels->Table();
	Request.CapturedNormal = Surfaces->Normal();
	Request.CapturedBaseColor = Surfaces->BaseColor();
	ChosenTarget = nullptr;
	Readback->Reserve();
	if (TOptional<std::vector<renderlift::IdName>> Names = Labels->TakeChangedNames())
	{
		Session->SetNames(MoveTemp(*Names));
	}
	ENQUEUE_RENDER_COMMAND(RenderliftRequest)
	([Held = Extension, Request = MoveTemp(Request)](FRHICommandListImmediate&) mutable
		{ Held->Request_RenderThread(MoveTemp(Request)); });
}

#undef LOCTEXT_NAMESPACE
