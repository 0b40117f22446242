// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#pragma once

#include "Containers/Ticker.h"
#include "CoreMinimal.h"
#include "Templates/Function.h"
#include "Templates/SharedPointer.h"
#include "UObject/WeakObjectPtr.h"

class FRenderliftLabels;
class FRenderliftReadback;
class FRenderliftSession;
class FRenderliftSurfaceCapture;
class FRenderliftViewExtension;
class FSceneViewFamily;
class FSceneView;
class UWorld;
struct FSceneViewExtensionContext;

/** Preview: the newest frame wins, the engine never waits. Capture: every frame arrives on the bridge's disk. */
enum class ERenderliftMode : uint8
{
	Preview,
	Capture,
};

/** Which views are captured, and as what. Another kind of source is another pair of functions. */
struct FRenderliftSource
{
	ERenderliftMode Mode = ERenderliftMode::Preview;
	/** One run; empty = a new one. Give the same again to go on after a crash. */
	FString Session;
	/** Whether the views of this context are wanted. Asked on the game thread for every view family that is drawn. */
	TFunction<bool(const FSceneViewExtensionContext&)> Wants;
	/**
	 * Engine time in nanoseconds of the frame about to be drawn; unset leaves the frame out. Called on the game thread,
	 * once for each wanted view family. Without it every frame is taken, at its world's time.
	 */
	TFunction<TOptional<int64>(const FSceneViewFamily&)> EngineTimeNs;
	/** Labelled from the start, so that ids are there when the first frame is taken. Unset: with the first frame. */
	TWeakObjectPtr<UWorld> World;
};

/** How the connection does, for a status line. */
struct FRenderliftStatus
{
	bool bConnected = false;
	bool bSharedMemory = false;
	FString Bridge;
	/** Why nothing moves, or what the bridge objected to, and what to do; empty = all is well. */
	FString Problem;
	FString Fix;
	FString Session;
	/** Names of the channels that are sent. */
	FString Channels;
	uint64 Published = 0;
	uint64 Dropped = 0;
	uint64 Acknowledged = 0;
	uint64 Unsettled = 0;
	double FramesPerSecond = 0;
	double PicturesPerSecond = 0;
	double LatencyMilliseconds = 0;
};

/** A photoreal picture that came back. */
struct FRenderliftPicture
{
	int64 Index = 0;
	FIntPoint Size = FIntPoint::ZeroValue;
	/** sRGB, 4 bytes a pixel: blue, green, red, 255; rows top to bottom without padding. */
	TArray<uint8> Bgra;
	double LatencyMilliseconds = 0;
	/** FPlatformTime::Seconds() at which it was taken from the connection. */
	double ReceivedSeconds = 0;
};

DECLARE_MULTICAST_DELEGATE_OneParam(FRenderliftOnPicture, const FRenderliftPicture&);
DECLARE_MULTICAST_DELEGATE_OneParam(FRenderliftOnStopped, const FText& /* why; empty = it was asked to */);

/** The one capture of this process. Game thread only. */
class RENDERLIFT_API FRenderliftCapture
{
public:
	static FRenderliftCapture& Get();

	FRenderliftCapture();
	~FRenderliftCapture();
	FRenderliftCapture(const FRenderliftCapture&) = delete;
	FRenderliftCapture& operator=(const FRenderliftCapture&) = delete;

	/** Starts, or says in OutProblem why not. A running capture is ended first. Never waits for the bridge. */
	bool Start(const FRenderliftSource& Source, FText& OutProblem);

	/** Ends. A capture that is not settled waits at most PatienceSeconds for the bridge. */
	void Stop(const FText& Why = FText::GetEmpty(), double PatienceSeconds = 0.2);

	bool IsRunning() const;

	/** Whether every frame drawn so far is where it should be: nothing is on its way from the GPU or to the bridge. */
	bool IsSettled() const;

	FRenderliftStatus Status() const;

	/** Gives primitives their own custom depth settings back until the next tick, e.g. before one is saved. */
	void RestoreLabels();

	FRenderliftOnPicture OnPicture;
	FRenderliftOnStopped OnStopped;

	/**
	 * Called while a capture waits for the bridge, with the reason; false ends the capture. The editor shows it with a
	 * Cancel button. Without it the reason is logged.
	 */
	TFunction<bool(const FText& Why)> KeepWaiting;

private:
	friend class FRenderliftViewExtension;

	bool Tick(float DeltaSeconds);
	void WaitForRoom();
	void TakePictures();
	/** From the view extension, before a view is drawn. */
	void PrepareView(const FSceneViewFamily& Family, const FSceneView& View);
	/** Whether PrepareView was called for this family. */
	bool WasAsked(const FSceneViewFamily& Family) const;
	void BeginFamily(const FSceneViewFamily& Family);

	FRenderliftSource Source;
	TSharedPtr<FRenderliftSession> Session;
	TSharedPtr<FRenderliftReadback> Readback;
	TSharedPtr<FRenderliftViewExtension, ESPMode::ThreadSafe> Extension;
	TUniquePtr<FRenderliftLabels> Labels;
	TUniquePtr<FRenderliftSurfaceCapture> Surfaces;
	FTSTicker::FDelegateHandle Ticker;
	/** What the view last set up is drawn to, and in which engine frame. */
	const void* AskedTarget = nullptr;
	uint64 AskedFrame = 0;
	/** The same, if it is to be captured. */
	const void* ChosenTarget = nullptr;
	uint64 ChosenFrame = 0;
	TOptional<int64> ChosenTimeNs;
	double LastFrameSeconds = 0;
};
