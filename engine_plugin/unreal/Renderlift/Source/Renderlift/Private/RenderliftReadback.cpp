// Copyright The Renderlift authors. SPDX-License-Identifier: Apache-2.0

#include "RenderliftReadback.h"

#include "HAL/PlatformProcess.h"
#include "RenderGraphBuilder.h"
#include "RenderGraphUtils.h"
#include "RenderingThread.h"
#include "RenderliftPackPass.h"
#include "Tasks/Task.h"

FRenderliftReadback::FRenderliftReadback(int32 InSetCount, FRenderliftPublish InPublish)
	: Publish(MoveTemp(InPublish)), SetCount(InSetCount), Free(InSetCount)
{
	for (int32 Index = 0; Index < SetCount; ++Index)
	{
		Sets.Add(MakeUnique<FSet>());
	}
}

FRenderliftReadback::~FRenderliftReadback()
{
	check(InOrder.Num() == 0);	// Release() comes first, on the render thread
}

void FRenderliftReadback::Begin(const FRenderliftFrame& Frame)
{
	check(IsInRenderingThread() && !Filling);
	const TUniquePtr<FSet>* const Set =
		Sets.FindByPredicate([](const TUniquePtr<FSet>& Candidate) { return Candidate->State == EState::Free; });
	check(Set);	 // there are as many sets as reservations
	Filling = Set->Get();
	Filling->State = EState::Filling;
	Filling->Frame = Frame;
	Filling->ChannelCount = 0;
}

void FRenderliftReadback::Add(FRDGBuilder& GraphBuilder, renderlift::Channel Channel, FRDGTextureRef Texture)
{
	check(Filling && Filling->ChannelCount < renderlift::channel_count);
	FChannelCopy& Copy = Filling->Channels[Filling->ChannelCount++];
	// One staging texture serves a channel for as long as the frame's size stays: the engine makes it at the first copy
	// and never again, whatever is copied into it later.
	if (!Copy.Staging || Copy.Channel != Channel || Copy.Size != Filling->Frame.Size)
	{
		Copy.Staging = MakeUnique<FRHIGPUTextureReadback>(TEXT("Renderlift.Readback"));
		Copy.Channel = Channel;
		Copy.Size = Filling->Frame.Size;
	}
	// AddEnqueueCopyPass would do, but from 5.5 on it runs when it likes: Poll could still see the fence of the copy before.
	// A pass with the immediate command list runs here, within the frame.
	AddReadbackTexturePass(GraphBuilder, RDG_EVENT_NAME("Renderlift.Readback"), Texture,
		[Staging = Copy.Staging.Get(), Texture](FRHICommandListImmediate& RHICmdList)
		{ Staging->EnqueueCopy(RHICmdList, Texture->GetRHI()); });
}

void FRenderliftReadback::End()
{
	check(Filling);
	Filling->State = EState::Copying;
	InOrder.Add(Filling);
	Filling = nullptr;
}

bool FRenderliftReadback::IsCopied(const FSet& Set) const
{
	for (int32 Index = 0; Index < Set.ChannelCount; ++Index)
	{
		if (!Set.Channels[Index].Staging->IsReady())
		{
			return false;
		}
	}
	return true;
}

bool FRenderliftReadback::Map(FSet& Set)
{
	for (int32 Index = 0; Index < Set.ChannelCount; ++Index)
	{
		FChannelCopy& Copy = Set.Channels[Index];
		int32 RowPitchPixels = 0;
		Copy.Pixels = Copy.Staging->Lock(RowPitchPixels);
		Copy.RowPitchBytes = uint32(RowPitchPixels) * RenderliftPackPass::TexelOf(Copy.Channel).Bytes;
		if (!Copy.Pixels)
		{
			Unmap(Set);
			return false;
		}
	}
	return true;
}

void FRenderliftReadback::Unmap(FSet& Set)
{
	for (int32 Index = 0; Index < Set.ChannelCount; ++Index)
	{
		FChannelCopy& Copy = Set.Channels[Index];
		if (Copy.Pixels)  // a Lock that gave nothing must not be unlocked
		{
			Copy.Staging->Unlock();
			Copy.Pixels = nullptr;
		}
	}
}

renderlift::FrameView FRenderliftReadback::ViewOf(const FSet& Set)
{
	renderlift::FrameView Result;
	Result.index = Set.Frame.Index;
	Result.engine_time_ns = Set.Frame.EngineTimeNs;
	Result.capture_time_ns = Set.Frame.CaptureTimeNs;
	Result.pose = Set.Frame.Pose;
	for (int32 Index = 0; Index < Set.ChannelCount; ++Index)
	{
		const FChannelCopy& Copy = Set.Channels[Index];
		renderlift::ChannelView View = renderlift::view_of(Copy.Channel, uint32(Set.Frame.Size.X), uint32(Set.Frame.Size.Y),
			Copy.Pixels, Copy.RowPitchBytes, RenderliftPackPass::TexelOf(Copy.Channel).Bytes);
		if (Copy.Channel == renderlift::Channel::normal)
		{
			View.dtype = renderlift::DType::float16;
		}
		Result.channels.push_back(View);
	}
	return Result;
}

void FRenderliftReadback::PublishOldest()
{
	FSet* const Oldest = InOrder[0];
	Oldest->State = EState::Publishing;
	UE::Tasks::Launch(UE_SOURCE_LOCATION,
		[this, Oldest] { Oldest->State = Publish(ViewOf(*Oldest)) ? EState::Taken : EState::Refused; });
}

void FRenderliftReadback::Poll()
{
	check(IsInRenderingThread());
	for (FSet* Set : InOrder)
	{
		if (Set->State == EState::Copying && IsCopied(*Set))
		{
			Set->State = Map(*Set) ? EState::Mapped : EState::Taken;
		}
	}
	while (InOrder.Num() > 0 && InOrder[0]->State == EState::Taken)
	{
		Unmap(*InOrder[0]);
		InOrder[0]->State = EState::Free;
		InOrder.RemoveAt(0);
		++Free;
	}
	// One at a time and in order: frames of a camera must reach the wire with growing numbers.
	if (InOrder.Num() > 0 && (InOrder[0]->State == EState::Mapped || InOrder[0]->State == EState::Refused))
	{
		PublishOldest();
	}
}

void FRenderliftReadback::Release()
{
	check(IsInRenderingThread() && !Filling);
	for (FSet* Set : InOrder)
	{
		while (Set->State == EState::Publishing)
		{
			FPlatformProcess::Sleep(0.0005f);  // a copy of pixels, never the network
		}
		Unmap(*Set);
	}
	InOrder.Empty();
	Sets.Empty();
}
