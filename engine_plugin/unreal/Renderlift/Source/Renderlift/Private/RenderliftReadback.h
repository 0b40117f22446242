// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0
// Frames on their way from the GPU: a ring of sets, each with one staging texture for every channel.
//
// A set goes Free -> Copying (the GPU) -> Mapped (the CPU sees all of it) -> Publishing (a worker copies it out, rows
// and all) -> Free. Nothing here ever waits for the GPU. Polled at most once for each tick and never inside the frame
// that asked: on Vulkan a copy is not even submitted before its frame ends.

#pragma once

#include "CoreMinimal.h"
#include "RHIGPUReadback.h"
#include "RenderGraphDefinitions.h"
#include "Templates/Function.h"
#include "renderlift/frame.h"

#include <array>
#include <atomic>

class FRDGBuilder;

/** Everything about a frame but its pixels. */
struct FRenderliftFrame
{
	int64 Index = 0;
	int64 EngineTimeNs = 0;
	int64 CaptureTimeNs = 0;
	FIntPoint Size = FIntPoint::ZeroValue;
	renderlift::CameraPose Pose;
};

/** Hands a frame over. False = there is no room for it now; it will be offered again. Called on a worker thread. */
using FRenderliftPublish = TFunction<bool(const renderlift::FrameView&)>;

class FRenderliftReadback
{
public:
	FRenderliftReadback(int32 InSetCount, FRenderliftPublish InPublish);
	~FRenderliftReadback();

	/** Whether a frame could be taken now. Any thread, like the next three. */
	bool HasRoom() const
	{
		return Free.load() > 0;
	}

	/** Whether nothing is under way. */
	bool IsIdle() const
	{
		return Free.load() == SetCount;
	}

	/** Sets one aside for a frame that will be begun: the game thread is ahead of the render thread. */
	void Reserve()
	{
		--Free;
	}

	/** The frame it was set aside for will not be begun. */
	void Unreserve()
	{
		++Free;
	}

	/** Begins a frame that was reserved for. Render thread, as all that follows. */
	void Begin(const FRenderliftFrame& Frame);

	/** Adds a channel to the frame that was begun. */
	void Add(FRDGBuilder& GraphBuilder, renderlift::Channel Channel, FRDGTextureRef Texture);

	/** The frame that was begun is complete. */
	void End();

	/** Moves every set on that can move. */
	void Poll();

	/** Waits for workers and gives the staging memory back. Frames under way are lost. */
	void Release();

private:
	enum class EState : uint8
	{
		Free,
		Filling,
		Copying,
		Mapped,
		Publishing,
		Taken,
		Refused,
	};

	struct FChannelCopy
	{
		TUniquePtr<FRHIGPUTextureReadback> Staging;
		renderlift::Channel Channel = renderlift::Channel::rgb;
		FIntPoint Size = FIntPoint::ZeroValue;
		const void* Pixels = nullptr;
		uint32 RowPitchBytes = 0;
	};

	struct FSet
	{
		std::atomic<EState> State{EState::Free};
		FRenderliftFrame Frame;
		std::array<FChannelCopy, renderlift::channel_count> Channels;
		int32 ChannelCount = 0;
	};

	bool IsCopied(const FSet& Set) const;
	bool Map(FSet& Set);
	void Unmap(FSet& Set);
	void PublishOldest();
	static renderlift::FrameView ViewOf(const FSet& Set);

	TArray<TUniquePtr<FSet>> Sets;
	/** Under way, the oldest first. */
	TArray<FSet*> InOrder;
	FSet* Filling = nullptr;
	FRenderliftPublish Publish;
	const int32 SetCount;
	std::atomic<int32> Free;
};
